"""`hil quantise`: what was chosen for every layer, and what each choice buys."""

import argparse
from pathlib import Path

from hil import numbers
from hil.commands.options import Commands, checkpoint_option, command, csv_option, show

_MOST_PHOTOGRAPHS = 1000
_EPILOG = """\
examples:
  hil quantise face_m4                 every layer's range, scale and noise: seconds
  hil quantise face_m4 --report        each choice undone, one by one: some 20 seconds
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
        help="undo each of the quantiser's choices and measure again",
    )
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it there as JSON")


def _run(options: argparse.Namespace) -> int:
    from hil.commands import progress
    from hil.config import scenario
    from hil.run import calibration, network
    from hil.studies.quantisation import choices as quantisation
    from hil.studies.quantisation import table as quantisation_table
    from hil.vision import photographs

    chosen = scenario.load(options.scenario).override(checkpoint=options.checkpoint)
    loaded = network.load(chosen)
    variants = quantisation.undone(loaded) if options.report else ()
    names = photographs.evaluation_set()[: options.photographs]
    with progress.over(quantisation.stages(variants, names)) as bar:
        report = quantisation.run(
            loaded, variants, names, bar.begin, calibration=calibration.names(chosen)
        )
    if options.markdown:
        from hil.studies.quantisation import markdown

        print(markdown.write(report, options.markdown))
    else:
        show(quantisation_table.layers(report))
        show(quantisation_table.photographs(report))
    if variants and not options.markdown:
        show(quantisation_table.operators(report))
        show(quantisation_table.choices(report))
    if options.csv:
        quantisation_table.write_csv(report, options.csv)
    if options.json:
        quantisation_table.write_json(report, options.json)
    return 0
