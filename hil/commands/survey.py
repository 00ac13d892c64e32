"""`hil survey`: which of a folder's programs run on the emulated board."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.options import Commands, command, csv_option, jobs_option, show

if TYPE_CHECKING:
    from rich.table import Table

    from hil.studies.programs.survey import Row

_EXAMPLES = """\
examples:
  hil survey build/examples
  hil survey build/examples --seconds 5 --csv survey.csv
exit status: 0 where every program ended or goes on; 1 where one does not
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    summary = "run each program of a folder on the emulated board, and say what stops it"
    parser = command(commands, "survey", _run, summary, epilog=_EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="DIR", help="searched through")
    parser.add_argument(
        "--board", default="stm32f439", help="whose memory map (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=numbers.seconds,
        default=2.0,
        metavar="S",
        help="of each program's own clock (default: %(default)g)",
    )
    parser.add_argument(
        "--max-seconds",
        type=numbers.seconds,
        default=60.0,
        metavar="S",
        help="of the host's, for each (default: %(default)g)",
    )
    jobs_option(parser, "programs at once")
    csv_option(parser)


def _run(options: argparse.Namespace) -> int:
    from hil import files
    from hil.commands import progress
    from hil.studies.programs import survey

    found = survey.programs(options.folder)
    terms = survey.Terms(options.board, options.seconds, options.max_seconds)
    rows: list[Row] = []
    with progress.over(len(found)) as bar:
        bar.tell(f"{len(found)} programs")
        for row in survey.run(options.folder, found, terms, options.jobs):
            rows.append(row)
            bar.begin(row.program)
            if options.csv is not None:
                files.replace(options.csv, survey.table(sorted(rows, key=lambda one: one.program)))
    rows.sort(key=lambda one: one.program)
    show(_table(rows))
    counts = Counter(row.result for row in rows)
    print(", ".join(f"{count} {result}" for result, count in counts.most_common()))
    return int(any(row.result not in {"ended", "goes on"} for row in rows))


def _table(rows: "list[Row]") -> "Table":
    from rich import box
    from rich.table import Table

    out = Table("program", "result", box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("own time, s", justify="right")
    out.add_column("said, B", justify="right")
    for title in ("begins", "not modelled", "note"):
        out.add_column(title, overflow="fold")
    for row in rows:
        out.add_row(
            row.program, row.result, f"{row.seconds:.3f}", f"{row.said:,}", row.begins, row.missing,
            row.note,
        )  # fmt: skip
    return out
