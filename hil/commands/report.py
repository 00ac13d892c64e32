"""`hil report`: results as a page, as markdown, or as other tools read them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command, written
from hil.paths import RESULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.results.report.against import Against
    from hil.results.rows import Row

_PAGE = "html"
_FORMATS = (_PAGE, "markdown", "openmetrics", "bencher", "benchmark-action", "annotations")
_EPILOG = """\
examples:
  hil report --open                                  the last run's page, in the browser
  hil report --csv results.csv --out report.html
  hil report --format markdown >> $GITHUB_STEP_SUMMARY
  hil report --format openmetrics --out metrics.txt  GitLab compares it with the target branch's
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "report",
        _run,
        "make a page of results that needs nothing else, or what other tools read",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--csv", type=Path, default=RESULTS, metavar="FILE", help="results (default: %(default)s)"
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default=_PAGE,
        metavar="FORMAT",
        help="a page, or one of %(choices)s (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=written,
        metavar="FILE",
        help="where it goes (default: report.html beside the results; other formats are printed)",
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="say what moved against it, and which of its scenarios this run lacks "
        "(default: baselines/<board>.csv, where there is one, for the scenarios that ran)",
    )
    parser.add_argument(
        "--history",
        type=Path,
        metavar="DIR",
        help="folder of earlier runs (default: history beside the results)",
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")


def _run(options: argparse.Namespace) -> int:
    text = _render(options)
    out = options.out
    if out is None and options.format == _PAGE:
        out = _page(options)
    if out is None:
        print(text, end="")
        return 0
    from hil import files

    files.replace(out, text)
    print(out)
    if options.open:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0


def _page(options: argparse.Namespace) -> Path:
    out: Path = options.out or options.csv.with_name("report.html")
    return out


def _render(options: argparse.Namespace) -> str:
    from hil.results import store, table
    from hil.results.report import (
        annotations,
        beside,
        dashboards,
        markdown,
        openmetrics,
        page,
        subjects,
    )

    rows = table.load(options.csv)
    history = options.history or options.csv.parent / store.HISTORY
    found = subjects.gather(rows, options.csv, store.load_history(history))
    against = _against(options, rows)
    match options.format:
        case "markdown":
            return markdown.render(found, against)
        case "openmetrics":
            return openmetrics.render(found)
        case "bencher":
            return dashboards.bencher(found)
        case "benchmark-action":
            return dashboards.benchmark_action(found)
        case "annotations":
            return annotations.render(found, against)
        case _:
            files = beside.links(found, options.csv.parent, _page(options))
            return page.build(found, options.csv.read_text(encoding="utf-8"), against, files)


def _against(options: argparse.Namespace, rows: "Sequence[Row]") -> "Against | None":
    from hil.results import baseline
    from hil.results.report import against
    from hil.run import against as baselines

    path = options.baseline
    if path is None and rows:
        path = baseline.path_of(rows[0].context.board)
        path = path if path.is_file() else None
    if path is None:
        return None
    rules = baselines.rules_of_names({row.context.scenario for row in rows})
    return against.read(rows, path, whole=options.baseline is not None, rules=rules)
