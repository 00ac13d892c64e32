"""Loops that do nothing but read a register until it changes: they are passed over at once.

A loop is passed over when its state repeats: the same core registers at the same read, the same
value read, the same number of cycles since the last time, the same read from other registers, and
nothing written in between. What its functions write, such as return addresses, counts as nothing
where all memory is as it was a round before. Its further rounds are all alike then, up to the cycle
at which the register is to change, so that cycles and instructions come out as if each had been
executed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.targets.emulator.core.clock import Clock, Loops, Mark
from hil.targets.emulator.core.engine import Engine

_FIRST_LOOK = 6  # alike reads before the loop is looked at closely
_LONGEST_ROUND = 4096
_MOST_READS = 4  # of the register in a round
_ROUNDS_TO_GO = 2  # that are executed before the change
_MOST_PATIENCE = 4096  # reads between two looks at memory that never repeats
_FURTHER_REGISTERS = (
    "primask", "basepri", "faultmask", "control", "fpscr", *(f"s{i}" for i in range(32)),
)  # fmt: skip
_REGISTERS = (*(f"r{i}" for i in range(13)), "sp", "lr", "xpsr")


@dataclass
class _Look:
    """A close look at the core, at a read of the register.

    Attributes:
        round: cycles and instructions since its state was the same before.
        further: memory and further registers, where those were looked at.
    """

    state: tuple[int, ...]
    cycles: int
    instructions: int
    mark: Mark | None
    round: tuple[int, int] | None = None
    further: object = None

    def is_like(self, other: "_Look") -> bool:
        """Whether another is one of the same place with the same state."""
        if self.state != other.state or self.mark is None or other.mark is None:
            return False
        return next(iter(self.mark)) == next(iter(other.mark))


class Memory(Protocol):
    """What the core can write."""

    def accesses(self) -> tuple[int, int]:
        """Return how often any register was written, and a trace of reads since the last call."""

    def content(self) -> Sequence[bytes] | None:
        """Return a copy of all RAM; None where that is too much."""


class Polls:
    """Watches the reads of registers whose next change is known.

    Args:
        memory: what the core can write.
    """

    def __init__(self, engine: Engine, clock: Clock, memory: Memory) -> None:
        self._engine = engine
        self._clock = clock
        self._memory = memory
        self._last = (-1, -1)  # address, value
        self._cycles = self._alike = 0
        self._looks: deque[_Look] = deque(maxlen=_MOST_READS)
        self._patience, self._waits = 1, 0

    def note(self, address: int, value: int, changes: Callable[[], int | None]) -> None:
        """Take note of a read; lets time pass if nothing will happen for many more rounds.

        Args:
            address: of the register.
            value: that was read.
            changes: returns the cycle at which another may be read, None where nobody knows.
        """
        run = self._clock.run
        period = run.cycles - self._cycles
        same = self._last == (address, value) and 0 < period < _LONGEST_ROUND
        self._last, self._cycles = (address, value), run.cycles
        accesses = self._memory.accesses()
        if not same:
            self._forget()
            return
        self._alike += 1
        if self._alike < _FIRST_LOOK:
            return
        loops, change = self._clock.loops, changes()
        if loops is None or change is None:  # the state is dear to know: not where it is no use
            self._looks.clear()
            return
        state = (*accesses, *self._engine.read_many(_REGISTERS))
        look = _Look(state, run.cycles, run.instructions, loops.mark())
        before = next((one for one in reversed(self._looks) if one.is_like(look)), None)
        self._looks.append(look)
        if before is None:
            return
        look.round = (look.cycles - before.cycles, look.instructions - before.instructions)
        if before.round == look.round and (
            loops.is_pure(before.mark, look.mark) or self._all_repeats(before, look)
        ):
            self._pass(loops, *look.round, change)

    def _forget(self) -> None:
        self._alike = 0
        self._looks.clear()

    def _all_repeats(self, before: "_Look", look: "_Look") -> bool:
        """Whether memory and the further registers are as a round before: a dear look."""
        if self._waits:
            self._waits -= 1
            return False
        memory = None if self._engine.unprivileged else self._memory.content()
        if memory is None:
            return False
        look.further = (*(self._engine.read(name) for name in _FURTHER_REGISTERS), *memory)
        if before.further is None:
            return False
        repeats = look.further == before.further
        self._patience = 1 if repeats else min(2 * self._patience, _MOST_PATIENCE)
        self._waits = 0 if repeats else self._patience
        return repeats

    def _pass(self, loops: Loops, period: int, instructions: int, change: int) -> None:
        run = self._clock.run
        if run.stop:
            return
        rounds = (min(change, run.deadline) - run.cycles) // period - _ROUNDS_TO_GO
        if rounds > 0:
            loops.skip(rounds * period, rounds * instructions)
            self._cycles = run.cycles
            self._forget()
