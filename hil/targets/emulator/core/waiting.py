"""How the core waits for something to happen, and how a peripheral tells it that it has."""

import time
from collections.abc import Callable

from hil.targets.emulator.core.clock import NEVER, Clock
from hil.targets.emulator.core.thread import CoreThread

# How long a sleeping core waits at most before it lets the cycle count catch up with the clock on
# the wall, so that a firmware's time-outs run while it waits for input.
_DOZE_S = 0.05


class Waiting:
    """Sleep of the core, in WFI or in an access to a peripheral that has nothing yet.

    Args:
        core_hz: the core's clock as the firmware has set it up.

    Attributes:
        paced: whether time passes in sleep as on the host's clock; else a sleeping core is at the
            next event at once, where there is one.
        on_sleep: called with the cycles that WFI or WFE has lasted.
    """

    def __init__(self, clock: Clock, thread: CoreThread, core_hz: Callable[[], int]) -> None:
        self._clock = clock
        self._thread = thread
        self._core_hz = core_hz
        self.paced = True
        self.on_sleep: Callable[[int], None] = lambda _cycles: None

    def now(self) -> int:
        """Return the cycle count."""
        return self._clock.now()

    def block_cycles(self) -> int:
        """Return the cycle count at the last block's end, which is cheaper to know."""
        return self._clock.run.cycles

    def attend(self) -> None:
        """Have the core look at interrupt lines and deadlines soon; any thread may call."""
        self.request_stop()
        self._thread.wake()

    def request_stop(self) -> None:
        """End the run at its next block; any thread may call."""
        self._clock.run.stop = 1

    def doze(self, arrived: Callable[[], bool]) -> None:
        """Sleep, in a bus access, until something arrives or the core is needed.

        The cycle count goes on meanwhile at the speed of the core's clock.
        """
        self._sleep(lambda: arrived() or bool(self._clock.run.stop))

    def sleep(self) -> None:
        """Sleep until the core is needed."""
        self.on_sleep(self._sleep(lambda: bool(self._clock.run.stop)))

    def _sleep(self, wakes: Callable[[], bool]) -> int:
        """Return the cycles that went by."""
        hz = self._core_hz()
        left = max(self._clock.run.deadline - self._clock.run.cycles, 0)
        if not self.paced and self._clock.run.deadline != NEVER:
            passed = 0 if wakes() else left
            self._clock.add_cycles(passed)
            return passed
        timeout_s = min(_DOZE_S, left / hz)
        began = time.monotonic()
        woken = self._thread.sleep(wakes, timeout_s)
        slept = round((time.monotonic() - began) * hz)
        cycles = min(slept, left) if woken or timeout_s == _DOZE_S else left
        self._clock.add_cycles(cycles)
        return cycles
