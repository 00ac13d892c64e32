"""`hil detect`: faces in photographs, as the board and the float model find them."""

import argparse
from pathlib import Path

from hil import numbers
from hil.commands.options import (
    Commands,
    checkpoint_option,
    command,
    folder,
    measuring_options,
    show,
)
from hil.errors import UsageError

_CHECKPOINTS = """\
name a checkpoint: --checkpoint FILE, or `checkpoint` in the scenario's file
  EdgeML (microsoft/EdgeML on GitHub) has trained ones: its Face_Detection example
  links that of --scenario face_quant, and `hil import edgeml` makes face_m4's of
  its C headers; docs/models.md says how
  without one: --seeded"""
_EXAMPLES = """\
examples:
  hil detect astronaut --seeded        does the board find what the float model does
  hil detect photos/ 'more/*.jpg' --checkpoint face_m4.pth
  hil detect photo.jpg --checkpoint trained.pth --float-only
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
        "--seeded",
        action="store_true",
        help="go on without trained weights: the boxes mean nothing, only that both find the same",
    )
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
        type=folder,
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
    if chosen.checkpoint is None and not options.seeded:
        raise UsageError(
            f"{chosen.name} has no trained weights, and seeded ones find faces everywhere",
            hint=_CHECKPOINTS,
        )
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
