"""Comparisons in words: what moved, by how much, and where it arose."""

from collections.abc import Sequence

from hil.results.compare import DIGEST, Change, Comparison, Outcome
from hil.results.rules import Grade

MOST_PARTS = 5
"""Parts that are named of one change; the rest is counted."""

_MISMATCHES = "output.mismatches"


def amount(value: float | None, unit: str) -> str:
    """Write a value: 80,672,550 cycle, 0.9992, 3f2a... of a digest; "none" where there is none.

    Args:
        value: in the metric's unit.
        unit: the metric's; empty for a plain number.
    """
    if value is None:
        return "none"
    if unit == DIGEST:
        return f"{int(value):012x}"
    whole = f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"
    return f"{whole} {unit}".rstrip()


def moved(change: Change) -> str:
    """Write what moved: "+1 cycle", "-256 B", "new", "gone", "differs"."""
    if change.grade is Grade.ADDED:
        return f"new, {amount(change.after, change.unit)}"
    if change.grade is Grade.GONE:
        return f"gone, was {amount(change.before, change.unit)}"
    if change.unit == DIGEST:
        return "differs"
    return signed(change.moved, change.unit)


def signed(value: float, unit: str) -> str:
    """Write by how much something moved: "+1 cycle", "-256 B".

    Args:
        value: how far, in the metric's unit.
        unit: the metric's; empty for a plain number.
    """
    return f"{'+' if value >= 0 else '-'}{amount(abs(value), unit)}"


def part_name(metric: str) -> str:
    """Return what a part is called: the layer, buffer or symbol."""
    return metric.split(".", 2)[2]


def where(change: Change, comparison: Comparison) -> str:
    """Say in which layers, buffers or symbols a change arose: "+1 cycle in blocks.1 (conv2d)".

    Of outputs that differ from the integer reference it says the first place; of others the first
    map that differs, and the values where they are kept.

    Args:
        change: of a whole.
        comparison: the scenario's, with its parts.
    """
    if change.metric == _MISMATCHES:
        return change.note
    parts = comparison.parts(change.metric)
    if change.unit == DIGEST:
        return _maps(parts)
    said = [_part(part) for part in parts[:MOST_PARTS]]
    if len(parts) > MOST_PARTS:
        said.append(f"and {len(parts) - MOST_PARTS} more")
    return ", ".join(said)


def _maps(parts: Sequence[Change]) -> str:
    """Say at which map outputs begin to differ, and how many behind it differ too."""
    if not parts:
        return ""
    behind = f", then in {len(parts) - 1} more" if len(parts) > 1 else ""
    return f"{_part(parts[0])}{behind}"


def _part(part: Change) -> str:
    note = f" ({part.note})" if part.note else ""
    name = part_name(part.metric)
    if ".layer." in part.metric:
        return f"{moved(part)} in {name}{note}"
    return f"{moved(part)}: {name}{note}"


def line(change: Change, comparison: Comparison) -> str:
    """Write one change whole: metric, before, after, how far, and where it arose.

    Args:
        change: of a whole.
        comparison: the scenario's, with its parts.
    """
    share = f", {change.share:+.3%}" if change.share is not None and change.unit != DIGEST else ""
    before, after = (amount(value, change.unit) for value in (change.before, change.after))
    text = f"{change.grade}: {change.metric} {before} -> {after} ({moved(change)}{share})"
    arose = where(change, comparison)
    return f"{text}: {arose}" if arose else text


def lines(comparison: Comparison) -> list[str]:
    """Write a scenario's comparison, a line for each whole that moved."""
    if comparison.said and not comparison.changes:
        return [comparison.said]
    if comparison.wholes:
        return [line(change, comparison) for change in comparison.wholes]
    return [f"{change.grade}: {change.metric} {moved(change)}" for change in comparison.changes]


def verdict(comparisons: Sequence[Comparison]) -> str:
    """Count scenarios by outcome: "1 regression, 14 unchanged"."""
    counts = dict.fromkeys(Outcome, 0)
    for one in comparisons:
        counts[one.outcome] += 1
    said = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    return ", ".join(said) or "nothing to compare"
