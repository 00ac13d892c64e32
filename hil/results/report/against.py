"""A run against a baseline, in words, as the page and the markdown show it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.results import baseline, compare, figures, words
from hil.results.rows import Row
from hil.results.rules import USUAL, Rules


@dataclass(frozen=True)
class Change:
    """What moved in one scenario, the most important first."""

    scenario: str
    outcome: str
    is_worse: bool
    lines: Sequence[str]


@dataclass(frozen=True)
class Against:
    """A comparison: with what, its verdict, and what moved by scenario."""

    name: str
    verdict: str
    changes: Sequence[Change]

    @property
    def is_worse(self) -> bool:
        """Whether a scenario became worse."""
        return any(change.is_worse for change in self.changes)

    def of(self, scenario: str) -> Change | None:
        """Return what moved in a scenario."""
        return next((one for one in self.changes if one.scenario == scenario), None)


def read(rows: Iterable[Row], path: Path, *, whole: bool = False, rules: Rules = USUAL) -> Against:
    """Compare a table's rows with a baseline's file.

    Args:
        rows: of a run.
        path: of the baseline.
        whole: whether to name the scenarios that the baseline has for the rows' boards, targets and
            compilers, and the rows lack.
        rules: direction and tolerance of each metric.

    Raises:
        UsageError: it is not there, or no baseline.
    """
    after = figures.gather(rows)
    groups = {one.key.place[1:] for one in after}
    before = [one for one in baseline.read(path) if one.key.place[1:] in groups]
    found = compare.compare(before, after, rules, whole=whole)
    return Against(path.stem + "'s baseline", words.verdict(found), [_change(one) for one in found])


def _change(one: compare.Comparison) -> Change:
    lines = [] if one.outcome.is_quiet else words.lines(one)
    return Change(one.key.scenario, str(one.outcome), one.outcome.is_worse, lines)
