"""The short table at the end of a run: what was measured, beside what it is compared with."""

import io
from collections.abc import Sequence

from hil.errors import Verdict
from hil.results import metrics
from hil.results.rows import Metric, Row

_NO_LATENCY = "no latency: this target counts instructions, whose cycles it does not know"


def render(rows: Sequence[Row], width: int = 100) -> str:
    """Draw the rows as one table per scenario and target, in plain text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=width, no_color=True)
    for title, measured in _groups(rows).items():
        console.print(title, soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("per image", no_wrap=True)
        table.add_column("measured", justify="right")
        table.add_column("reference", justify="right")
        table.add_column("ratio", justify="right")
        table.add_column("verdict")
        for metric in measured:
            if metrics.find(metric.name).label:
                table.add_row(*_cells(metric))
        console.print(table)
        if any(metric.name == "instructions" for metric in measured):
            console.print(_NO_LATENCY, soft_wrap=True)
    output = console.file
    return output.getvalue().rstrip() if isinstance(output, io.StringIO) else ""


def _groups(rows: Sequence[Row]) -> dict[str, list[Metric]]:
    groups: dict[str, list[Metric]] = {}
    for row in rows:
        where = row.context
        counts = "instructions" if where.timing == "instructions" else f"{where.timing} cycles"
        how = f"{where.target}, {counts}, {where.toolchain}"
        title = f"{where.scenario} on {where.board} ({how})"
        groups.setdefault(title, []).append(row.metric)
    return groups


def _cells(metric: Metric) -> tuple[str, str, str, str, str]:
    kind = metrics.find(metric.name)
    reference = "" if metric.reference is None else kind.show(metric.reference)
    ratio = "" if metric.ratio is None else f"{metric.ratio:.3g}"
    return (
        kind.label,
        kind.show(metric.value),
        reference,
        ratio,
        _words(metric),
    )


def _words(metric: Metric) -> str:
    if metric.verdict is not Verdict.PASS:
        return str(metric.verdict)
    return "pass" if metric.limit is not None else ""
