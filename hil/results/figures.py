"""Figures of one scenario under one set of circumstances: what can be compared with what."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hil.errors import Verdict
from hil.results.rows import Context, Metric, Row

_DIGITS = 12  # of a compiler's digest


@dataclass(frozen=True, order=True)
class Key:
    """What has to be equal for exact figures to be equal.

    Attributes:
        rules: the target's timing rules, with their version.
        compiler: digest of compiler, version and flags.
        wait_states: of the flash; -1 where it is not known.
    """

    scenario: str
    board: str
    target: str
    rules: str
    toolchain: str
    compiler: str
    clock_hz: int
    wait_states: int

    @classmethod
    def of(cls, context: Context) -> "Key":
        """Return the key of a row."""
        return cls(
            scenario=context.scenario,
            board=context.board,
            target=context.target,
            rules=context.rules,
            toolchain=context.toolchain,
            compiler=digest_of(context.compiler),
            clock_hz=context.clock_hz,
            wait_states=-1 if context.wait_states is None else context.wait_states,
        )

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Scenario, board, target and compiler's name: where a person looks for an entry."""
        return self.scenario, self.board, self.target, self.toolchain.partition(" ")[0]

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.scenario} on {self.board} ({self.target}, {self.toolchain})"

    def differences(self, other: "Key") -> str:
        """Say how another key differs, in words; empty where it does not."""
        pairs = [
            ("scenario", self.scenario, other.scenario),
            ("board", self.board, other.board),
            ("target", self.target, other.target),
            ("timing rules", self.rules, other.rules),
            ("compiler", self.toolchain, other.toolchain),
            ("clock", f"{self.clock_hz:,} Hz", f"{other.clock_hz:,} Hz"),
            ("wait states", self.wait_states, other.wait_states),
        ]
        said = [f"{name} {mine} became {theirs}" for name, mine, theirs in pairs if mine != theirs]
        if self.compiler != other.compiler and self.toolchain == other.toolchain:
            said.append(f"the flags of {self.toolchain} are others")
        return ", ".join(said)


@dataclass(frozen=True)
class Figures:
    """One scenario's metrics by name.

    Attributes:
        build_id: of the image; empty where it is not known.
        run, commit: where they were measured; empty where it is not known.
    """

    key: Key
    build_id: str
    board_uid: str
    run: str
    commit: str
    metrics: Mapping[str, Metric]

    @property
    def exact(self) -> bool:
        """Whether counts repeat to the one: everywhere but on silicon."""
        return not self.key.rules.startswith("silicon")

    @property
    def failure(self) -> Metric | None:
        """The outcome that ended the measurement early, if one did."""
        outcome = self.metrics.get("outcome")
        return outcome if outcome and outcome.verdict is not Verdict.PASS else None

    def value(self, name: str) -> float | None:
        """Return a metric's value, None where it was not measured."""
        metric = self.metrics.get(name)
        return None if metric is None else metric.value


def digest_of(text: str) -> str:
    """Return a short digest of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def gather(rows: Iterable[Row]) -> list[Figures]:
    """Sort rows by what can be compared; of a figure measured twice the later counts."""
    found: dict[Key, Figures] = {}
    for row in rows:
        key = Key.of(row.context)
        earlier = found.get(key)
        fresh = earlier is None or earlier.run != row.context.run
        metrics = {} if fresh or earlier is None else dict(earlier.metrics)
        metrics[row.metric.name] = row.metric
        found[key] = Figures(
            key=key,
            build_id=row.context.build_id or ("" if fresh or earlier is None else earlier.build_id),
            board_uid=row.context.board_uid,
            run=row.context.run,
            commit=row.context.commit,
            metrics=metrics,
        )
    return list(found.values())


def only(figures: Figures, names: Iterable[str]) -> Figures:
    """Return the figures with these metrics alone, in this order.

    Args:
        figures: of scenarios.
        names: of metrics.
    """
    kept = {name: figures.metrics[name] for name in names if name in figures.metrics}
    return replace(figures, metrics=kept)
