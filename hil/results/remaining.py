"""How long a run still takes, by how long its scenarios took in earlier runs on this host."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hil.results.rows import Row

_STAGE = "time."
_SOON_S = 1.0


def durations(history: Iterable[Row]) -> dict[str, float]:
    """Return the seconds of each scenario's latest measurement, all stages together.

    Args:
        history: rows of earlier runs, oldest first.
    """
    seconds: dict[str, tuple[str, float]] = {}
    for row in history:
        if row.metric.name.startswith(_STAGE):
            scenario, run = row.context.scenario, row.context.run
            last, total = seconds.get(scenario, ("", 0.0))
            seconds[scenario] = run, row.metric.value + (total if last == run else 0.0)
    return {scenario: total for scenario, (_, total) in seconds.items()}


@dataclass
class Remaining:
    """Says which scenario of how many runs, and how long the rest takes.

    Attributes:
        scenarios: in the order in which they run.
        known: seconds of each in an earlier run; one that is not known counts as the mean of those
            that are.
        now: a clock in seconds.
        current: the scenario that runs now; empty before the first.
    """

    scenarios: Sequence[str]
    known: dict[str, float]
    now: Callable[[], float] = time.monotonic
    current: str = ""
    _begun: float = 0.0
    _measured: dict[str, float] = field(default_factory=dict)

    def begin(self, scenario: str) -> None:
        """Note that a scenario runs now."""
        if scenario == self.current:
            return
        if self.current:
            self._measured[self.current] = self.now() - self._begun
        self.current, self._begun = scenario, self.now()

    def say(self, stage: str) -> str:
        """Put a stage into words: "[2/15] face_a: compiling, 3 min left"; it may be empty."""
        if self.current not in self.scenarios:
            return stage
        number = self.scenarios.index(self.current) + 1
        left = self.left_s()
        text = f"[{number}/{len(self.scenarios)}] {self.current}" + (f": {stage}" if stage else "")
        return text if left is None else f"{text}, {in_words(left)} left"

    def left_s(self) -> float | None:
        """Seconds that the current scenario and those behind it still take; None if unknown."""
        known = self.known | self._measured
        if not known or self.current not in self.scenarios:
            return None
        mean = sum(known.values()) / len(known)
        behind = self.scenarios[self.scenarios.index(self.current) + 1 :]
        current = self.known.get(self.current, mean) - (self.now() - self._begun)
        return max(_SOON_S, current) + sum(known.get(name, mean) for name in behind)


def in_words(seconds: float) -> str:
    """Write a duration as coarsely as it is known: 40 s, 3 min."""
    if seconds < 60:
        return f"{max(1, round(seconds / 5)) * 5} s"
    return f"{round(seconds / 60)} min"
