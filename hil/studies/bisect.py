"""The commit at which a metric became worse: found by measuring revisions, without a board.

Each commit is checked out in a directory of its own, built, and run on the emulated board. As
emulated figures repeat to the one, one measurement of a commit is enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.errors import BuildError, UsageError
from hil.results import metrics
from hil.results.figures import gather
from hil.run import revisions
from hil.run.measurement import Progress, silent
from hil.run.revisions import How

Measure = Callable[[str], float | None]
"""A commit's value; None where it cannot be measured."""


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
    commits: Sequence[str],
    good: float,
    bad: float,
    measure: Measure,
    progress: Progress = silent,
) -> Culprit:
    """Find the first commit that is nearer to the bad value than to the good one.

    Args:
        commits: after the good one, oldest first; the last is the bad one.
        good: value at the good commit.
        bad: value at the bad one.
        measure: gives a commit's value.
        progress: told every measurement.
    """
    values: dict[int, float | None] = {-1: good, len(commits) - 1: bad}
    low, high = -1, len(commits) - 1
    while True:
        between = [i for i in range(low + 1, high) if values.get(i, 0.0) is not None]
        if not between:
            break
        middle = between[len(between) // 2]
        value = values[middle] = measure(commits[middle])
        said = "cannot be measured" if value is None else f"{value:,.10g}"
        progress(f"{commits[middle][:12]}: {said}")
        if value is not None and abs(value - good) <= abs(value - bad):
            low = middle
        elif value is not None:
            high = middle
    before, after = values[low], values[high]
    if before is None or after is None:
        raise AssertionError("both ends of the search have been measured")
    return Culprit(
        commits=tuple(commits[low + 1 : high + 1]),
        before=before,
        after=after,
        measured=sum(value is not None for value in values.values()),
    )


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

    Raises:
        UsageError: a revision does not exist, `good` is no ancestor of `bad`, one of them cannot be
            measured, or nothing became worse between them.
    """
    kind = metrics.find(metric)
    measure = measuring(metric, scenario, how)
    first, last = (revisions.resolve(name, how.repository) for name in (good, bad))
    commits = revisions.between(first, last, how.repository)
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
    return search(commits, ends[0], ends[1], measure, progress)


def measuring(metric: str, scenario: str, how: How) -> Measure:
    """Return what measures one metric of one scenario at a commit."""

    def measure(commit: str) -> float | None:
        try:
            rows = revisions.measure(commit, [scenario], how)
        except BuildError:
            return None
        return next((one.value(metric) for one in gather(rows)), None)

    return measure
