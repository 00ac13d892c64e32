"""Two sets of figures beside each other: what became worse, better or cannot be compared."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp, log

from hil.results import maps
from hil.results.figures import Figures, Key
from hil.results.rules import USUAL, Grade, Rule, Rules, is_part

History = Callable[[Figures, str], Sequence[float]]
"""Earlier values of a metric on the same board, for figures that vary."""


DIGEST = "digest"
"""The unit of outputs: equal or not, without a size."""

_ARISES: dict[str, tuple[str, ...]] = {
    "ram.stack": (),
    "ram.arena": ("ram.buffer.",),
    "ram.static": ("ram.symbol.",),
    "output.cosine": (),
    "output.sqnr.least": (),
    "output.sqnr.mean": (),
    "output.clipped": (),
}
"""In which parts a whole arises, where not in all that begin alike."""


class Outcome(StrEnum):
    """What became of a scenario, in fixed words."""

    REGRESSION = "regression"
    MIXED = "mixed"
    IMPROVEMENT = "improvement"
    CHANGED = "changed"
    NEUTRAL = "neutral"
    UNCHANGED = "unchanged"
    UNJUDGED = "not judged"
    FAILED = "not measured"
    MISSING = "not in the baseline"
    OTHER = "not comparable"
    GONE = "gone"

    @property
    def is_worse(self) -> bool:
        """Whether something became worse."""
        return self in {Outcome.REGRESSION, Outcome.MIXED}

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to say: every judged figure is the baseline's."""
        return self in {Outcome.NEUTRAL, Outcome.UNCHANGED}

    @property
    def is_unknown(self) -> bool:
        """Whether nothing could be compared."""
        return self in {Outcome.FAILED, Outcome.MISSING, Outcome.OTHER, Outcome.GONE}

    @property
    def is_stale(self) -> bool:
        """Whether the baseline no longer says what is measured."""
        return self in {Outcome.IMPROVEMENT, Outcome.CHANGED} or self.is_unknown


@dataclass(frozen=True)
class Change:
    """One metric before and after; None where it was not measured."""

    metric: str
    unit: str
    before: float | None
    after: float | None
    grade: Grade
    note: str = ""

    @property
    def moved(self) -> float:
        """After less before; what is new or gone counts whole."""
        return (self.after or 0.0) - (self.before or 0.0)

    @property
    def share(self) -> float | None:
        """How far it moved as a share of the value before; None without one."""
        return self.moved / self.before if self.before and self.after is not None else None

    @property
    def size(self) -> float:
        """For sorting: the share where there is one; else, and for digests, beyond any."""
        if self.share is None or self.unit == DIGEST:
            return float("inf")
        return abs(self.share)


@dataclass(frozen=True)
class Comparison:
    """One scenario before and after.

    Attributes:
        said: in words, where figures were not compared.
        changes: of the judged metrics that moved, the largest first; wholes before their parts.
    """

    key: Key
    outcome: Outcome
    said: str = ""
    changes: tuple[Change, ...] = ()
    before: Figures | None = None
    after: Figures | None = None

    @property
    def wholes(self) -> list[Change]:
        """The changes that are no part of another metric."""
        return [change for change in self.changes if not is_part(change.metric)]

    def parts(self, metric: str) -> list[Change]:
        """The changes in which a metric's change arose.

        The largest first; maps in the order in which the network computes them.
        """
        kinds = _ARISES.get(metric, (f"{metric.partition('.')[0]}.",))
        found = [c for c in self.changes if is_part(c.metric) and c.metric.startswith(kinds)]
        return sorted(found, key=lambda c: 0.0 if c.unit == DIGEST else -abs(c.moved))


def compare(
    before: Sequence[Figures],
    after: Sequence[Figures],
    rules: Rules = USUAL,
    *,
    history: History = lambda figures, metric: (),  # noqa: ARG005
    whole: bool = True,
) -> list[Comparison]:
    """Compare every scenario, those first that moved most.

    Args:
        before: the baseline.
        after: what was measured now.
        rules: direction and tolerance of each metric.
        history: earlier values on the same board.
        whole: whether `after` is everything there is, so that what is only in `before` is gone.
    """
    known = {figures.key: figures for figures in before}
    found = [_one(known, figures, rules, history) for figures in after]
    if whole:
        places = {figures.key.place for figures in after}
        found += [_gone(figures) for figures in before if figures.key.place not in places]
    order = list(Outcome)
    return sorted(found, key=lambda one: (order.index(one.outcome), -_largest(one), one.key))


def _largest(comparison: Comparison) -> float:
    return max((change.size for change in comparison.changes), default=0.0)


def _gone(figures: Figures) -> Comparison:
    said = "the baseline has it, this run does not"
    return Comparison(figures.key, Outcome.GONE, said, before=figures)


def _one(known: dict[Key, Figures], after: Figures, rules: Rules, history: History) -> Comparison:
    if after.failure is not None:
        said = f"the measurement ended early: {after.failure.verdict}"
        return Comparison(after.key, Outcome.FAILED, said, after=after)
    before = known.get(after.key)
    if before is not None:
        return _compared(before, after, rules, history)
    others = [figures.key for figures in known.values() if figures.key.place == after.key.place]
    if others:
        said = others[0].differences(after.key)
        return Comparison(after.key, Outcome.OTHER, said, before=known[others[0]], after=after)
    return Comparison(after.key, Outcome.MISSING, _missing(known, after.key), after=after)


def _missing(known: Iterable[Key], key: Key) -> str:
    """Say that there is no entry, and what there is of the scenario on other targets."""
    elsewhere = sorted(
        f"{one.target} with {one.toolchain}"
        for one in known
        if (one.scenario, one.board) == (key.scenario, key.board)
    )
    if not elsewhere:
        return "the baseline has no entry for it"
    return (
        f"the baseline has it under another fingerprint only: {', '.join(elsewhere)}; "
        f"this run is on {key.target} with {key.toolchain}"
    )


def _compared(before: Figures, after: Figures, rules: Rules, history: History) -> Comparison:
    order = {name: at for at, name in enumerate({**after.metrics, **before.metrics})}
    names = [
        name
        for name in dict.fromkeys([*before.metrics, *after.metrics])
        if not is_part(name) or (_has_kind(before, name) and _has_kind(after, name))
    ]
    changes = [
        change
        for name in names
        if (change := _change(name, before, after, rules, history)) is not None
    ]
    moved = [c for c in changes if c.grade not in {Grade.NEUTRAL, Grade.UNJUDGED}]
    moved.sort(key=lambda change: (is_part(change.metric), -change.size, order[change.metric]))
    whole = {change.grade for change in changes if not is_part(change.metric)}
    outcome = _outcome(whole)
    if outcome is Outcome.NEUTRAL:
        outcome = _outcome({change.grade for change in changes})
    if outcome is Outcome.NEUTRAL and before.build_id and before.build_id == after.build_id:
        outcome = Outcome.UNCHANGED
    said = "the same image under the same rules" if outcome is Outcome.UNCHANGED else ""
    if outcome is Outcome.UNJUDGED:
        said = "too little history of this board to judge its cycles by"
    return Comparison(after.key, outcome, said, tuple(_placed(moved)), before, after)


def _placed(changes: Sequence[Change]) -> Iterable[Change]:
    """Note at the first map that differs how many of its values do, and where."""
    is_first = True
    for change in changes:
        if change.unit != DIGEST or not is_part(change.metric) or not is_first:
            yield change
            continue
        is_first = False
        if change.before is None or change.after is None:
            yield change
            continue
        said = maps.difference(int(change.before), int(change.after)) or maps.NOT_KEPT
        yield replace(change, note=f"{change.note}: {said}")


def _has_kind(figures: Figures, part: str) -> bool:
    """Whether figures have parts of a kind; earlier versions of the harness knew fewer."""
    kind = ".".join(part.split(".", 2)[:2]) + "."
    return any(name.startswith(kind) for name in figures.metrics)


def _change(
    name: str, before: Figures, after: Figures, rules: Rules, history: History
) -> Change | None:
    """Grade one metric; None where it is not judged, or equal."""
    rule = rules.of(after.key.scenario, name)
    old, new = before.metrics.get(name), after.metrics.get(name)
    metric = new or old
    if not rule.judged or metric is None:
        return None
    if new is None or old is None:
        grade = Grade.GONE if new is None else Grade.ADDED
    else:
        grade = _grade(rule, old.value, after, name, history)
    return Change(
        metric=name,
        unit=metric.unit,
        before=None if old is None else old.value,
        after=None if new is None else new.value,
        grade=grade,
        note=metric.note,
    )


def _grade(rule: Rule, before: float, after: Figures, name: str, history: History) -> Grade:
    value = after.metrics[name].value
    if after.exact or not name.startswith("cycles"):
        return rule.grade(before, value)
    return rule.grade_by_history(value, history(after, name))


def _outcome(grades: set[Grade]) -> Outcome:
    worse, better = Grade.REGRESSION in grades, Grade.IMPROVEMENT in grades
    if worse or better:
        return Outcome.MIXED if worse and better else Outcome(_only_of(worse=worse))
    if grades & {Grade.CHANGED, Grade.ADDED, Grade.GONE}:
        return Outcome.CHANGED
    return Outcome.UNJUDGED if Grade.UNJUDGED in grades else Outcome.NEUTRAL


def _only_of(*, worse: bool) -> Grade:
    return Grade.REGRESSION if worse else Grade.IMPROVEMENT


def geometric_mean(comparisons: Iterable[Comparison], metric: str) -> float | None:
    """Return the geometric mean of after over before, None where nothing was compared.

    Args:
        comparisons: of scenarios.
        metric: a metric's name, such as `cycles`.
    """
    ratios = []
    for one in comparisons:
        if one.before is None or one.after is None or one.outcome is Outcome.OTHER:
            continue
        old, new = one.before.value(metric), one.after.value(metric)
        if old and new:
            ratios.append(log(new / old))
    return exp(sum(ratios) / len(ratios)) if ratios else None
