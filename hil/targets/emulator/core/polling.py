"""Loops that do nothing but read a register until it changes: they are passed over at once.

A loop is passed over when its state repeats: the same core registers at the same read, the same
value read, the same number of cycles since the last time, and nothing written in between. Its
further rounds are all alike then, up to the cycle at which the register is to change, so that
cycles and instructions come out as if each had been executed.
"""

from collections.abc import Callable

from hil.targets.emulator.core.clock import Clock, Loops, Mark
from hil.targets.emulator.core.engine import Engine

_FIRST_LOOK = 6  # alike reads before the loop is looked at closely
_LONGEST_ROUND = 4096
_ROUNDS_TO_GO = 2  # that are executed before the change
_REGISTERS = (*(f"r{i}" for i in range(13)), "sp", "lr", "xpsr")


class Polls:
    """Watches the reads of registers whose next change is known."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._last = (-1, -1)  # address, value
        self._cycles = self._instructions = self._alike = 0
        self._state: object = None
        self._mark: Mark | None = None

    def note(self, address: int, value: int, changes: Callable[[], int | None]) -> None:
        """Take note of a read; lets time pass if nothing will happen for many more rounds.

        Args:
            address: of the register.
            value: that was read.
            changes: returns the cycle at which another may be read, None where nobody knows.
        """
        run = self._clock.run
        period = run.cycles - self._cycles
        instructions = run.instructions - self._instructions
        same = self._last == (address, value) and 0 < period < _LONGEST_ROUND
        self._last = address, value
        self._cycles, self._instructions = run.cycles, run.instructions
        if not same:
            self._alike, self._state = 0, None
            return
        self._alike += 1
        if self._alike < _FIRST_LOOK:
            return
        loops, change = self._clock.loops, changes()
        if loops is None or change is None:  # the state is dear to know: not where it is no use
            self._state = None
            return
        state = (period, instructions, *self._engine.read_many(_REGISTERS))
        mark = loops.mark()
        if state == self._state and loops.is_pure(self._mark, mark):
            self._pass(loops, period, instructions, change)
        self._state, self._mark = state, mark

    def _pass(self, loops: Loops, period: int, instructions: int, change: int) -> None:
        run = self._clock.run
        if run.stop:
            return
        rounds = (min(change, run.deadline) - run.cycles) // period - _ROUNDS_TO_GO
        if rounds > 0:
            loops.skip(rounds * period, rounds * instructions)
            self._cycles, self._instructions = run.cycles, run.instructions
            self._alike = 0
