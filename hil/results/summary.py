"""The short table at the end of a run: what was measured, beside what it is compared with.

One scenario is shown whole. Of several each has a row, and those that failed are shown whole below.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil.errors import Verdict
from hil.results import metrics
from hil.results.rows import Context, Metric, Row
from hil.results.rules import is_part

if TYPE_CHECKING:
    from rich.table import Table

_NO_LATENCY = "no latency: this target counts instructions, whose cycles it does not know"
_COLUMNS = (
    *("latency", "instructions", "ram.total", "flash.total"),
    *("output.mismatches", "output.cosine", "map.drop", "accuracy.drop"),
)
"""What each of several scenarios shows in its row."""

_OUTCOME = "outcome"  # in place of the figures of a measurement that ended early
_LEAST_WIDTH = 80  # characters that a row of figures takes
_GOOD, _BAD = "green", "bold red"


@dataclass(frozen=True)
class _Group:
    """The metrics of one scenario on one target."""

    context: Context
    metrics: dict[str, Metric] = field(default_factory=dict)

    @property
    def how(self) -> str:
        """Board, target, what it counts, compiler."""
        where = self.context
        counts = "instructions" if where.timing == "instructions" else f"{where.timing} cycles"
        told = [where.target, counts if where.timing else "", where.toolchain]
        return f"on {where.board} ({', '.join(filter(None, told))})"

    @property
    def verdict(self) -> Verdict:
        """The first that did not hold, or pass."""
        verdicts = (metric.verdict for metric in self.metrics.values())
        return next((one for one in verdicts if one is not Verdict.PASS), Verdict.PASS)


def render(rows: Sequence[Row], width: int = 100, *, colour: bool = False) -> str:
    """Draw the rows as a person reads them.

    Args:
        rows: of a run.
        width: of the terminal, in characters.
        colour: whether verdicts are coloured by escape sequences.
    """
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file,
        width=max(width, _LEAST_WIDTH),
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
    )
    groups = _groups(rows)
    shown = groups
    if len(groups) > 1:
        for line in _all(groups):
            if isinstance(line, str):
                console.print(line, soft_wrap=True)
            else:  # rather wider than the terminal than a figure cut short
                console.print(line, width=max(console.width, _least_width(line)), crop=False)
        shown = [group for group in groups if group.verdict is not Verdict.PASS]
    for group in shown:
        if _OUTCOME not in group.metrics:
            console.print(f"{group.context.scenario} {group.how}", soft_wrap=True)
            console.print(_whole(group.metrics))
    for (how, verdict, note), names in _ended(shown).items():
        console.print(f"{', '.join(names)} {how}", soft_wrap=True)
        console.print(f"  {_coloured(str(verdict), verdict, said=True)}", end="")
        console.print(f": {note}" if note else "", soft_wrap=True, markup=False)
    if any("instructions" in group.metrics for group in groups):
        console.print(_NO_LATENCY, soft_wrap=True)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()).rstrip()


def _ended(groups: Sequence[_Group]) -> dict[tuple[str, Verdict, str], list[str]]:
    """Return the scenarios that ended early by how they ran and why: one reason is said once."""
    found: dict[tuple[str, Verdict, str], list[str]] = {}
    for group in groups:
        ended = group.metrics.get(_OUTCOME)
        if ended is not None:
            why = group.how, ended.verdict, ended.note
            found.setdefault(why, []).append(group.context.scenario)
    return found


def _groups(rows: Sequence[Row]) -> list[_Group]:
    groups: dict[tuple[str, ...], _Group] = {}
    for row in rows:
        where = row.context
        place = where.scenario, where.board, where.target, where.toolchain
        groups.setdefault(place, _Group(where)).metrics[row.metric.name] = row.metric
    return list(groups.values())


def _all(groups: Sequence[_Group]) -> "Iterator[str | Table]":
    """One table for all that ran alike: a row for each scenario."""
    for how in dict.fromkeys(group.how for group in groups):
        alike = [group for group in groups if group.how == how]
        failed = sum(group.verdict is not Verdict.PASS for group in alike)
        said = f"{failed} of {len(alike)} scenarios fail" if failed else _pass(len(alike))
        yield f"{said} {how}"
        yield _overview(alike)


def _pass(count: int) -> str:
    return "one scenario passes" if count == 1 else f"{count} scenarios pass"


def _overview(groups: Sequence[_Group]) -> "Table":
    from rich import box
    from rich.table import Table

    names = [name for name in _COLUMNS if any(name in group.metrics for group in groups)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading, texts in (
        ("scenario", [group.context.scenario for group in groups]),
        ("verdict", [str(group.verdict) for group in groups]),
    ):
        table.add_column(heading, no_wrap=True, min_width=max(map(len, [heading, *texts])))
    for name in names:
        kind = metrics.find(name)
        heading = f"{kind.label}, {kind.unit}" if kind.unit else kind.label
        numbers = [_number(one.metrics[name]) for one in groups if name in one.metrics]
        table.add_column(heading, justify="right", min_width=max(map(len, numbers)))
    for group in groups:
        figures = [group.metrics.get(name) for name in names]
        cells = [_coloured(_number(one), one.verdict) if one else "" for one in figures]
        verdict = _coloured(str(group.verdict), group.verdict, said=True)
        table.add_row(group.context.scenario, verdict, *cells)
    return table


def _least_width(table: "Table") -> int:
    """Characters that the columns take as narrow as they may be, with a space behind each."""
    return sum((column.min_width or 0) + 1 for column in table.columns) + 1


def _whole(measured: Mapping[str, Metric]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("per image", no_wrap=True)
    table.add_column("measured", justify="right")
    table.add_column("reference", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("verdict")
    for metric in measured.values():
        if metrics.find(metric.name).label or _is_failed_whole(metric):
            table.add_row(*_cells(metric))
    return table


def _is_failed_whole(metric: Metric) -> bool:
    return metric.verdict is not Verdict.PASS and not is_part(metric.name)


def _cells(metric: Metric) -> tuple[str, str, str, str, str]:
    kind = metrics.find(metric.name)
    reference = "" if metric.reference is None else kind.show(metric.reference)
    ratio = "" if metric.ratio is None else f"{metric.ratio:.3g}"
    return (
        kind.label or kind.name,
        _coloured(kind.show(metric.value), metric.verdict),
        reference,
        ratio,
        _coloured(_words(metric), metric.verdict, said=True),
    )


def _number(metric: Metric) -> str:
    return metrics.find(metric.name).show(metric.value).removesuffix(metric.unit).rstrip()


def _coloured(text: str, verdict: Verdict, *, said: bool = False) -> str:
    """Mark a text in rich's way: what failed in red, a verdict that holds in green."""
    if not text or (verdict is Verdict.PASS and not said):
        return text
    colour = _GOOD if verdict is Verdict.PASS else _BAD
    return f"[{colour}]{text}[/]"


def _words(metric: Metric) -> str:
    if metric.verdict is not Verdict.PASS:
        kind = metrics.find(metric.name)
        limit = None if metric.verdict is Verdict.REGRESSION else metric.limit  # a baseline's
        beyond = "" if limit is None else f": {kind.sign} {kind.show(limit)}"
        return f"{metric.verdict}{beyond}"
    return "pass" if metric.limit is not None else ""
