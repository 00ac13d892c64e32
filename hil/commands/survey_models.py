"""`hil survey-models`: which of a folder's networks compile, fit a board, and at what cost."""

import argparse
import sys
from pathlib import Path

from hil.commands.options import Commands, board_option, command, csv_option, show

_EXAMPLES = """\
examples:
  hil survey-models zoo/               .tflite files, and scenarios (.toml), which name networks
  hil survey-models zoo/ --board nucleo_l4r5zi --csv zoo.csv
needs no board and no compiler; exit status 1 where a network is refused or too large
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "survey-models",
        _run,
        "say which of a folder's networks compile and fit, and what they cost",
        epilog=_EXAMPLES,
    )
    parser.add_argument("folder", type=Path, help="of .tflite files and scenarios")
    board_option(parser)
    csv_option(parser)


def _run(options: argparse.Namespace) -> int:
    from hil.config import board as boards
    from hil.errors import UsageError
    from hil.studies import survey

    if not options.folder.is_dir():
        raise UsageError(f"{options.folder} is no folder")
    board = boards.load(options.board)
    rows = list(survey.survey(options.folder, board, lambda stage: print(stage, file=sys.stderr)))
    show(survey.table(rows, board))
    if options.csv:
        survey.write_csv(rows, options.csv)
    return 0 if all(row.verdict == "fits" for row in rows) else 1
