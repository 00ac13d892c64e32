"""The short table at the end of a run: what was measured, beside what it is compared with."""

import io
from collections.abc import Sequence

from hil.errors import Verdict
from hil.results.rows import Metric, Row

_SHOWN = {
    "latency": "latency",
    "latency.waiting": "and the host's part",
    "cycles": "cycles",
    "instructions": "instructions",
    "ram.paper": "RAM, paper's count",
    "ram.total": "RAM, all-in",
    "flash.total": "flash",
    "output.mismatches": "wrong outputs",
    "output.cosine": "cosine to float",
    "outcome": "outcome",
}
_NO_LATENCY = "no latency: this target counts instructions, whose cycles it does not know"


def render(rows: Sequence[Row], width: int = 100) -> str:
    """Draw the rows as one table per scenario and target, in plain text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=width, no_color=True)
    for title, metrics in _groups(rows).items():
        console.print(title, soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("per image", no_wrap=True)
        table.add_column("measured", justify="right")
        table.add_column("reference", justify="right")
        table.add_column("ratio", justify="right")
        table.add_column("verdict")
        for metric in metrics:
            if metric.name in _SHOWN:
                table.add_row(*_cells(metric))
        console.print(table)
        if any(metric.name == "instructions" for metric in metrics):
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
    reference = "" if metric.reference is None else quantity(metric.reference, metric.unit)
    ratio = "" if metric.ratio is None else f"{metric.ratio:.3g}"
    return (
        _SHOWN[metric.name],
        quantity(metric.value, metric.unit),
        reference,
        ratio,
        _words(metric),
    )


def _words(metric: Metric) -> str:
    if metric.verdict is not Verdict.PASS:
        return str(metric.verdict)
    return "pass" if metric.limit is not None else ""


def quantity(value: float, unit: str) -> str:
    """Write a figure as a person reads it: 76,800 B, 0.47 s, 0.9981."""
    number = f"{value:,.0f}" if float(value).is_integer() and unit != "s" else f"{value:.4g}"
    return f"{number} {unit}".rstrip()
