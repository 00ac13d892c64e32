"""`hil history`: one metric over all runs."""

import argparse
from pathlib import Path

from hil.commands.compare import history_option
from hil.commands.options import Commands, command, csv_option, show, written

_EPILOG = """\
examples:
  hil history cycles
  hil history ram.total --scenario face_m4 --csv ram.csv
  hil history cycles.layer.pool --scenario face_m4 --svg pool.svg
"""


_TO_THE_MINUTE = len("2026-11-30 12:00")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands, "history", _run, "show a metric over all runs, oldest first", _EPILOG
    )
    parser.add_argument("metric", help="as in results.csv: cycles, ram.total, cycles.layer.pool")
    parser.add_argument("--scenario", metavar="NAME", help="that scenario alone")
    history_option(parser)
    csv_option(parser)
    parser.add_argument("--svg", type=written, metavar="FILE", help="draw it there, by commit")


def _run(options: argparse.Namespace) -> int:
    from rich import box
    from rich.table import Table

    from hil import files
    from hil.errors import UsageError
    from hil.results import history, table, words

    points = history.of(options.history_dir, options.metric, options.scenario)
    if not points:
        raise UsageError(
            f"no run in {options.history_dir} has {options.metric}"
            + (f" of {options.scenario}" if options.scenario else ""),
            hint=f"metrics there: {', '.join(history.metrics(options.history_dir)) or 'none'}",
        )
    varied = [
        name
        for name in ("scenario", "target", "toolchain")
        if len({getattr(point, name) for point in points}) > 1
    ]
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("when", "commit", *varied, options.metric, "moved"):
        out.add_column(head, justify="right" if head in {options.metric, "moved"} else "left")
    for point in points:
        moved = words.signed(point.moved, point.unit) if point.moved else ""
        when = point.when.replace("T", " ")[:_TO_THE_MINUTE]
        texts = [getattr(point, name) for name in varied]
        out.add_row(when, point.commit, *texts, words.amount(point.value, point.unit), moved)
    show(out)
    if options.csv:
        rows = [vars(point) for point in points]
        files.replace(Path(options.csv), table.text(history.COLUMNS, rows))
    if options.svg:
        from hil.results.report import history as chart

        files.replace(options.svg, chart.draw(points))
    return 0
