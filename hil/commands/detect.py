"""`hil detect`: faces in photographs, as the board and the float model find them."""

import argparse
from pathlib import Path

from hil import numbers
from hil.commands.options import (
    Commands,
    checkpoint_option,
    command,
    measuring_options,
    show,
)

_EXAMPLES = """\
examples:
  hil detect astronaut                 a photograph that scikit-image carries
  hil detect photos/ 'more/*.jpg' --checkpoint face_m4.pth
  hil detect photo.jpg --float-only    the float model alone: no board, no compiler
Ctrl-C keeps the pictures and boxes so far.
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "detect",
        _run,
        "find faces in photographs, on a board and in float; draw both",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "image", nargs="+", metavar="IMAGE", help="files (PNG, JPEG, PPM, PGM), folders or globs"
    )
    parser.add_argument(
        "--scenario", default="face_m4", help="a file of scenarios/ (default: %(default)s)"
    )
    checkpoint_option(parser)
    measuring_options(parser)
    parser.add_argument(
        "--float-only", action="store_true", help="run the float model alone; needs no board"
    )
    parser.add_argument(
        "--score",
        type=numbers.share,
        default=0.3,
        metavar="S",
        help="that a face must exceed, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--no-pictures", action="store_true", help="write boxes.json alone, no pictures"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/hil/detect"),
        metavar="DIR",
        help="for the pictures and boxes.json (default: %(default)s)",
    )


def _run(options: argparse.Namespace) -> int:
    from hil.commands import progress
    from hil.config import scenario
    from hil.studies.answering_board import BoardOptions
    from hil.studies.detect import finders as detect
    from hil.studies.detect import report as detect_report

    chosen = scenario.load(options.scenario).override(checkpoint=options.checkpoint)
    names = detect.images(options.image)
    on_board = None
    if not options.float_only:
        on_board = BoardOptions(
            options.board, options.target, options.toolchain, options.probe, options.port
        )
    with (
        progress.over(len(names)) as bar,
        detect.finder(chosen, on_board, least_score=options.score, progress=bar.tell) as find,
    ):
        entries = detect_report.run(
            names,
            find,
            options.out,
            detect.about(chosen, on_board),
            bar.begin,
            pictures=not options.no_pictures,
        )
    show(detect_report.table(entries))
    if chosen.checkpoint is None:
        print("without a checkpoint the boxes mean nothing: only that both find the same does")
    print(f"pictures and boxes.json: {options.out}")
    return 1 if any(entry.error for entry in entries) else 0
