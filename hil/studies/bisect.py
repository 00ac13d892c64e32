"""The commit at which a metric became worse: found by measuring revisions, without a board.

Each commit is checked out in a directory of its own, built, and run on the emulated board. As
emulated figures repeat to the one, one measurement of a commit is enough.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hil.errors import BuildError, UsageError
from hil.results import metrics
from hil.results.figures import gather
from hil.run import revisions
from hil.run.measurement import Progress, silent
from hil.run.revisions import How

Measure = Callable[[str], float | None]
"""A commit's value; None where it cannot be measured."""

History = Mapping[str, Sequence[str]]
"""Commits, parents before children, with their parents."""


@dataclass(frozen=True)
class Culprit:
    """What was found.

    Attributes:
        commits: the first bad commit last; before it those that could not be measured, any of
            which may be the one.
        before, after: the value at the last good and at the first bad commit.
        measured: how many commits were.
    """

    commits: tuple[str, ...]
    before: float
    after: float
    measured: int


def search(
    history: History,
    good: float,
    bad: float,
    measure: Measure,
    progress: Progress = silent,
) -> Culprit:
    """Find the first commit that is nearer to the bad value than to the good one.

    A bad commit leaves itself and its ancestors, a good one takes these away. So branches that were
    merged are searched as well.

    Args:
        history: commits after the good one; the last is the bad one.
        good: value at the good commit.
        bad: value at the bad one.
        measure: gives a commit's value.
        progress: told every measurement.
    """
    stands_on = _ancestors(history)
    last, after = list(history)[-1], bad
    left = stands_on[last]
    values: dict[str, float | None] = {last: bad}
    while untried := [one for one in history if one in left and one not in values]:
        commit = _middle(stands_on, left, untried)
        value = values[commit] = measure(commit)
        said = "cannot be measured" if value is None else f"{value:,.10g}"
        progress(f"{commit[:12]}: {said}")
        if value is not None and abs(value - good) <= abs(value - bad):
            left = left - stands_on[commit]
        elif value is not None:
            left, after = left & stands_on[commit], value
    suspects = tuple(one for one in history if one in left)
    behind = [values.get(parent) for parent in history[suspects[0]]]
    return Culprit(
        commits=suspects,
        before=next((value for value in behind if value is not None), good),
        after=after,
        measured=1 + sum(value is not None for value in values.values()),
    )


def _ancestors(history: History) -> dict[str, frozenset[str]]:
    """Return each commit's ancestors in the history, itself among them."""
    found: dict[str, frozenset[str]] = {}
    for commit, parents in history.items():
        found[commit] = frozenset({commit}).union(*(found[one] for one in parents if one in found))
    return found


def _middle(
    stands_on: Mapping[str, frozenset[str]], left: frozenset[str], untried: Sequence[str]
) -> str:
    """Choose the commit whose answer takes away most, whatever it is."""

    def least(commit: str) -> int:
        behind = len(stands_on[commit] & left)
        return min(behind, len(left) - behind)

    return max(untried, key=least)


def _since(history: History, good: str) -> dict[str, Sequence[str]]:
    """Return the commits that stand on the good one: without branches that left before it."""
    found: dict[str, Sequence[str]] = {}
    for commit, parents in history.items():
        if good in parents or any(one in found for one in parents):
            found[commit] = parents
    return found


def run(
    metric: str,
    scenario: str,
    good: str,
    bad: str,
    *,
    how: How,
    progress: Progress = silent,
) -> Culprit:
    """Find the commit at which a scenario's metric became worse.

    Args:
        metric: one of the table of metrics.
        scenario: its name.
        good: a revision at which it was well.
        bad: a later revision.
        how: board, target and compiler.
        progress: told each commit.

    Raises:
        UsageError: a revision does not exist, `good` is no ancestor of `bad`, one of them cannot be
            measured, or nothing became worse between them.
    """
    kind = metrics.find(metric)
    measure = measuring(metric, scenario, how)
    first, last = (revisions.resolve(name, how.repository) for name in (good, bad))
    history = revisions.between(first, last, how.repository)
    ends = []
    for name, commit in ((good, first), (bad, last)):
        progress(f"measuring {name}")
        value = measure(commit)
        if value is None:
            raise UsageError(
                f"{name} gives no {metric} of {scenario}",
                hint="name another revision, and a metric that results.csv has",
            )
        progress(f"{commit[:12]}: {value:,.10g}")
        ends.append(value)
    if ends[0] == ends[1] or (kind.better == "higher") == (ends[1] > ends[0]):
        raise UsageError(
            f"{metric} of {scenario} did not become worse: {ends[0]:,.10g} at {good}, "
            f"{ends[1]:,.10g} at {bad}",
            hint="name a good revision and a bad one; exchange them to find an improvement",
        )
    found = search(history, ends[0], ends[1], measure, progress)
    if _began_earlier(found, history, first, ends, measure):
        progress("a branch that was merged was bad before it left: searching without such branches")
        found = search(_since(history, first), ends[0], ends[1], measure, progress)
    return found


def _began_earlier(
    found: Culprit, history: History, good: str, ends: Sequence[float], measure: Measure
) -> bool:
    """Whether what stands before the culprit, on a branch that left before GOOD, is bad too."""
    before = {one for commit in found.commits for one in history[commit]} - {good, *history}
    values = [value for one in sorted(before) if (value := measure(one)) is not None]
    return any(abs(value - ends[0]) > abs(value - ends[1]) for value in values)


def measuring(metric: str, scenario: str, how: How) -> Measure:
    """Return what measures one metric of one scenario at a commit.

    Args:
        metric: one of the table of metrics.
        scenario: its name.
        how: board, target and compiler.
    """

    def measure(commit: str) -> float | None:
        try:
            rows = revisions.measure(commit, [scenario], how)
        except BuildError:
            return None
        return next((one.value(metric) for one in gather(rows)), None)

    return measure
