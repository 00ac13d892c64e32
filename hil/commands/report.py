"""`hil report`: results as a page, as markdown, or as other tools read them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.results.report.subjects import Subject

_CSV = Path("build/hil/results.csv")
_EPILOG = """\
examples:
  hil report --open                        the last run's page, in the browser
  hil report --csv results.csv --out report.html
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands, "report", _run, "make a page of results that needs nothing else", epilog=_EPILOG
    )
    parser.add_argument(
        "--csv", type=Path, default=_CSV, metavar="FILE", help="results (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where it goes (default: report.html beside them)"
    )
    parser.add_argument(
        "--history",
        type=Path,
        metavar="DIR",
        help="folder of earlier runs (default: history beside the results)",
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")


def _run(options: argparse.Namespace) -> int:
    from hil.results.report import page

    out = options.out or options.csv.with_name("report.html")
    csv_text = options.csv.read_text(encoding="utf-8") if options.csv.is_file() else ""
    found = _subjects(options)
    page.write(page.build(found, csv_text), out)
    print(out)
    if options.open:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0


def _subjects(options: argparse.Namespace) -> "Sequence[Subject]":
    from hil.results import store, table
    from hil.results.report import subjects

    rows = table.load(options.csv)
    history = options.history or options.csv.parent / store.HISTORY
    return subjects.gather(rows, options.csv, store.load_history(history))
