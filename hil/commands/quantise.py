"""`hil quantise`: what was chosen for every layer, and what each choice buys."""

import argparse
from dataclasses import replace
from pathlib import Path

from hil import numbers
from hil.commands.options import (
    Commands,
    board_option,
    checkpoint_option,
    command,
    csv_option,
    show,
    written,
)

_MOST_PHOTOGRAPHS = 1000
_EPILOG = """\
examples:
  hil quantise face_m4                 every layer's range, scale and noise: seconds
  hil quantise face_m4 --report        each choice undone, each option taken: a minute
  hil quantise face_m4 --quantise auto the options that help on the calibration photographs
  hil quantise face_quant --report --checkpoint rpool_face_quant.pth
                                       trained weights, 640x480: a minute
needs no board and no compiler: the integer reference is what the firmware answers, to the bit
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "quantise",
        _run,
        "quantise a network and show layer by layer what was chosen and what it buys",
        epilog=_EPILOG,
    )
    parser.add_argument("scenario", help="a file of scenarios/, or the path of one")
    checkpoint_option(parser)
    parser.add_argument(
        "--report",
        action="store_true",
        help="undo each of the quantiser's choices, take each option, and measure again",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="FOLDER",
        help="annotated photographs; with --report, what each choice loses on them",
    )
    parser.add_argument(
        "--quantise",
        metavar="OPTION",
        nargs="+",
        help="options in place of the scenario's: auto, input, equalise, bias, learned, task, "
        "whole, int16, tables128, tables512, weights7",
    )
    board_option(parser)
    parser.add_argument(
        "--photographs",
        type=numbers.whole(1, _MOST_PHOTOGRAPHS),
        metavar="N",
        help="measure on so many of the evaluation photographs (default: all)",
    )
    parser.add_argument(
        "--markdown",
        choices=("photographs", "operators", "choices"),
        help="print this table alone, as docs/quantisation.md has it",
    )
    csv_option(parser)
    parser.add_argument(
        "--json", type=written, metavar="FILE", help="write all of it there as JSON"
    )


def _run(options: argparse.Namespace) -> int:
    from hil.commands import progress
    from hil.config import board, scenario
    from hil.run import calibration, network, room
    from hil.studies.quantisation import choices as quantisation
    from hil.studies.quantisation import costs
    from hil.studies.quantisation import table as quantisation_table
    from hil.vision import photographs

    chosen = scenario.load(options.scenario).override(
        checkpoint=options.checkpoint, quantise=options.quantise
    )
    if options.dataset:
        chosen = replace(chosen, dataset=options.dataset)
    chip = board.load(options.board)
    loaded = network.load(chosen)
    variants: tuple[quantisation.Variant, ...] = ()
    if options.report:
        variants = (*quantisation.undone(loaded), *quantisation.optional(loaded))
    names = photographs.evaluation_set()[: options.photographs]
    with progress.over(quantisation.stages(variants, names)) as bar:
        report = quantisation.run(
            loaded,
            variants,
            names,
            bar.begin,
            calibration=calibration.names(chosen),
            options=chosen.quantise,
            room=room.of(chosen, chip),
            cost=(lambda program: costs.on_board(program, chosen, chip)) if variants else None,
            score=(lambda graph, program: costs.on_dataset(program, chosen, loaded, graph))
            if variants and chosen.dataset
            else None,
        )
    if options.markdown:
        from hil.studies.quantisation import markdown

        print(markdown.write(report, options.markdown))
    else:
        show(quantisation_table.layers(report))
        show(quantisation_table.photographs(report))
    if report.tried and not options.markdown:
        show(quantisation_table.tried(report))
    if variants and not options.markdown:
        show(quantisation_table.operators(report))
        show(quantisation_table.choices(report))
        for name, why in report.impossible.items():
            print(f"{name} is not possible here: {why}")
    if options.csv:
        quantisation_table.write_csv(report, options.csv)
    if options.json:
        quantisation_table.write_json(report, options.json)
    return 0
