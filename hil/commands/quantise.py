"""`hil quantise`: what was chosen for every layer, and what each choice buys."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.config.scenario import Scenario
    from hil.models import LoadedModel
    from hil.studies.quantisation.choices import Report, Variant

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
    from hil.config import scenario
    from hil.run import network
    from hil.studies.quantisation import choices, table

    chosen = scenario.load(options.scenario).override(
        checkpoint=options.checkpoint, quantise=options.quantise
    )
    if options.dataset:
        chosen = replace(chosen, dataset=options.dataset)
    loaded = network.load(chosen)
    variants: tuple[choices.Variant, ...] = ()
    if options.report:
        variants = (*choices.undone(loaded), *choices.optional(loaded))
    report = _measured(options, chosen, loaded, variants)
    if options.markdown:
        from hil.studies.quantisation import markdown

        print(markdown.write(report, options.markdown))
    else:
        _show(report, with_choices=bool(variants))
    if options.csv:
        table.write_csv(report, options.csv)
    if options.json:
        table.write_json(report, options.json)
    return 0


def _measured(
    options: argparse.Namespace,
    chosen: "Scenario",
    loaded: "LoadedModel",
    variants: "Sequence[Variant]",
) -> "Report":
    """Quantise the network as it is and in its variants, and measure each."""
    from hil.commands import progress
    from hil.config import board
    from hil.run import calibration, room
    from hil.studies.quantisation import choices, costs
    from hil.vision import photographs

    chip = board.load(options.board)
    names = photographs.evaluation_set()[: options.photographs]
    with progress.over(choices.stages(variants, names)) as bar:
        return choices.run(
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


def _show(report: "Report", *, with_choices: bool) -> None:
    from hil.studies.quantisation import table

    show(table.layers(report))
    show(table.photographs(report))
    if report.tried:
        show(table.tried(report))
    if with_choices:
        show(table.operators(report))
        show(table.choices(report))
        for name, why in report.impossible.items():
            print(f"{name} is not possible here: {why}")
