"""A run in markdown, short enough for a step summary or a comment: verdict, one line a scenario."""

from collections.abc import Iterator, Sequence

from hil.errors import Verdict
from hil.results.report import subjects
from hil.results.report.against import Against
from hil.results.report.subjects import Subject
from hil.results.rows import Metric

_SHOWN = (
    "latency",
    "instructions",
    "ram.total",
    "flash.total",
    "output.mismatches",
    "output.cosine",
    "map",
    "map.drop",
    "accuracy",
    "accuracy.drop",
)


def render(found: Sequence[Subject], against: Against | None = None) -> str:
    """Write the run.

    Args:
        found: its scenarios.
        against: what moved against a baseline; None where nothing was compared.
    """
    return "\n".join(_lines(found, against)) + "\n"


def _lines(found: Sequence[Subject], against: Against | None) -> Iterator[str]:
    yield f"## {verdict(found)}"
    if against:
        yield from ("", f"Against {against.name}: {against.verdict}.")
    if not found:
        return
    yield ""
    yield from _table(found, against)
    yield ""
    failures = [(one, metric) for one in found for metric in one.failures]
    yield from (f"- **{one.name}**: {explain(metric)}" for one, metric in failures)
    for change in against.changes if against else ():
        yield from (f"- {change.scenario}: {_escaped(line)}" for line in change.lines)
    yield from ("", _how(found[0]))


def verdict(found: Sequence[Subject]) -> str:
    """Say how many scenarios pass or fail."""
    failed = [one for one in found if one.verdict is not Verdict.PASS]
    if not found:
        return "Nothing was measured"
    if failed:
        return f"{len(failed)} of {len(found)} scenarios fail"
    return f"{found[0].name} passes" if len(found) == 1 else f"All {len(found)} scenarios pass"


def explain(metric: Metric) -> str:
    """Say what did not hold: "[latency] latency is 1 s, limit 0.5 s"."""
    value = subjects.shown(metric)
    if metric.name == "outcome":
        why = metric.note.partition("\n")[0]
        return f"[{metric.verdict}] the measurement ended early{f': {why}' if why else ''}"
    if metric.limit is None or metric.verdict is Verdict.REGRESSION:  # held to a baseline
        return f"[{metric.verdict}] {metric.name} is {value}"
    limit = subjects.show(metric.name, metric.limit, metric.unit)
    return f"[{metric.verdict}] {metric.name} is {value}, limit {limit}"


def _table(found: Sequence[Subject], against: Against | None) -> Iterator[str]:
    names = [name for name in _SHOWN if any(name in one.metrics for one in found)]
    heads = ["scenario", "verdict", *map(subjects.label, names)]
    if against:
        heads.append("since the baseline")
    yield _row(heads)
    yield _row(["---", "---", *("--:" for _ in names), *(["---"] if against else [])])
    for one in found:
        figures = [_cell(one.metrics.get(name)) for name in names]
        change = against.of(one.name) if against else None
        outcome = [change.outcome if change else ""] if against else []
        mark = "✅" if one.verdict is Verdict.PASS else "❌"
        yield _row([one.name, f"{mark} {one.verdict}", *figures, *outcome])


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return ""
    shown = subjects.shown(metric)
    if metric.ratio is None or metric.unit == "":
        return shown
    return f"{shown} ({metric.ratio:.3g} of the reference)"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _how(one: Subject) -> str:
    context = one.context
    told = [
        f"{context.board} at {context.clock_hz / 1e6:,.0f} MHz",
        context.target,
        context.timing,
        context.toolchain,
        f"commit {context.commit or 'none'}",
    ]
    return ", ".join(filter(None, told))
