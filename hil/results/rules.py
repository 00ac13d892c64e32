"""When a figure has become worse: the direction and the tolerance of each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from statistics import quantiles

from hil.results import metrics
from hil.results.metrics import Better

LEAST_HISTORY = 4
"""Values that a fence needs: fewer have no quartiles worth the name."""

_FENCE = 3.0  # interquartile ranges beyond a quartile: Tukey's outer fence


class Grade(StrEnum):
    """What became of a figure."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    CHANGED = "changed"
    NEUTRAL = "neutral"
    ADDED = "added"
    GONE = "gone"
    UNJUDGED = "not judged"


@dataclass(frozen=True)
class Rule:
    """How a figure is held to an earlier one.

    Attributes:
        better: the direction of improvement; "neither": any change has to be looked at; None, in a
            special rule: the usual one.
        judged: whether it is compared at all; the host's seconds are not.
        relative: by which share of the earlier value it may move.
        absolute: by how much it may move, in its own unit.
    """

    better: Better | None = "lower"
    judged: bool = True
    relative: float = 0.0
    absolute: float = 0.0

    def grade(self, before: float, after: float) -> Grade:
        """Grade an exact figure: anything beyond the tolerance is a change.

        Args:
            before: the value that it is held to.
            after: the value of this run.
        """
        moved = after - before
        if abs(moved) <= max(self.absolute, self.relative * abs(before)):
            return Grade.NEUTRAL
        return self._direction(moved)

    def grade_by_history(self, after: float, history: Sequence[float]) -> Grade:
        """Grade a figure that varies by what the same board has given before.

        Within Q1 - 3 IQR and Q3 + 3 IQR nothing is said; without enough history nothing either.

        Args:
            after: the value of this run.
            history: values of earlier runs, oldest first.
        """
        if len(history) < LEAST_HISTORY:
            return Grade.UNJUDGED
        low, high = fence(history)
        if low <= after <= high:
            return Grade.NEUTRAL
        return self._direction(after - (high if after > high else low))

    def _direction(self, moved: float) -> Grade:
        if self.better in {"neither", None}:
            return Grade.CHANGED
        worse = moved > 0 if self.better == "lower" else moved < 0
        return Grade.REGRESSION if worse else Grade.IMPROVEMENT


def fence(history: Sequence[float]) -> tuple[float, float]:
    """Return Tukey's outer fence of at least two values: Q1 - 3 IQR and Q3 + 3 IQR."""
    first, _, third = quantiles(history, n=4, method="inclusive")
    reach = _FENCE * (third - first)
    return first - reach, third + reach


@dataclass(frozen=True)
class Rules:
    """The rule of every metric.

    Attributes:
        usual: by the metric's name, or by a pattern such as `time.*`; the first that fits counts.
        special: by scenario, such rules that come before the usual ones.
    """

    usual: Mapping[str, Rule]
    special: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)

    def of(self, scenario: str, metric: str) -> Rule:
        """Return a metric's rule in a scenario; an unknown metric may not change.

        Args:
            scenario: the scenario's name.
            metric: the metric's name.
        """
        usual = _first(self.usual, metric) or Rule("neither")
        special = _first(self.special.get(scenario, {}), metric)
        if special is None:
            return usual
        return special if special.better else replace(special, better=usual.better)


def _first(rules: Mapping[str, Rule], metric: str) -> Rule | None:
    return next((rule for name, rule in rules.items() if fnmatchcase(metric, name)), None)


PARTS = (".layer.", ".buffer.", ".symbol.")
"""What the name of a part has behind the whole's: `cycles.layer.stem` is a part of `cycles`."""

_COSINE_NOISE = 1e-4  # sums of the float model differ by host
_SQNR_NOISE_DB = 0.05  # likewise
_CLIPPED_NOISE = 1e-4  # likewise, of a value at the end of its range
_SHARE_NOISE = 1e-4  # likewise, of average precision and accuracy
_DROP_NOISE = 5e-3  # of what is lost: a tie of the float model may fall otherwise on another host
_SAID_ELSEWHERE = ("latency", "ram.paper", "*.spread", "outcome")
"""Cycles at the clock, the arena by another name, what has a limit of its own, what is no figure"""


def _usual() -> dict[str, Rule]:
    rules = {name: Rule(judged=False) for name in _SAID_ELSEWHERE}
    rules["output.cosine"] = Rule("higher", absolute=_COSINE_NOISE)
    for name in ("output.sqnr.least", "output.sqnr.mean"):
        rules[name] = Rule("higher", absolute=_SQNR_NOISE_DB)
    rules["output.clipped"] = Rule("lower", absolute=_CLIPPED_NOISE)
    for name in ("map", "map.of.*", "accuracy"):
        rules[name] = Rule("higher", absolute=_SHARE_NOISE)
    for name in ("map.drop", "accuracy.drop"):
        rules[name] = Rule("lower", absolute=_DROP_NOISE)
    for kind in metrics.KINDS:
        pattern = kind.stem if kind.stem == kind.name else f"{kind.stem}.*"
        rules.setdefault(pattern, Rule(kind.better, judged=kind.repeats))
    return rules


USUAL = Rules(_usual())
"""Exact figures may not move at all, improvements included."""


def is_part(metric: str) -> bool:
    """Whether a metric is a part of another, which says where that one's change arose."""
    return any(mark in metric for mark in PARTS)
