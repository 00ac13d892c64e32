"""What happens around the chip at given times, such as a pin that changes."""

import heapq
import itertools
import threading
from collections.abc import Callable


class Agenda:
    """Acts at moments of the chip's own time, which runs with its clock and not with the host's.

    Args:
        now: returns the cycle count.
        core_hz: returns the core's clock.
        attend: has the core look at deadlines soon; any thread may call it.
    """

    def __init__(
        self, now: Callable[[], int], core_hz: Callable[[], int], attend: Callable[[], None]
    ) -> None:
        self._now, self._core_hz, self._attend = now, core_hz, attend
        self._lock = threading.Lock()
        self._numbers = itertools.count()  # acts of one moment keep their order
        self._acts: list[tuple[float, int, Callable[[], None]]] = []
        self._since_cycle, self._since_s, self._hz = 0, 0.0, core_hz()

    def seconds(self, cycle: int | None = None) -> float:
        """Return the time since power came on, through all changes of the clock."""
        return self._since_s + ((cycle or self._now()) - self._since_cycle) / self._hz

    def add(self, seconds: float, act: Callable[[], None]) -> int:
        """Have something done at a time since power came on; any thread may call.

        Args:
            seconds: a time that is past means at once.
            act: called in the core's thread, between two instructions.

        Returns:
            A number to take it back by.
        """
        with self._lock:
            number = next(self._numbers)
            heapq.heappush(self._acts, (seconds, number, act))
        self._attend()
        return number

    def remove(self, number: int) -> None:
        """Take back what has not been done yet; harmless where it has."""
        with self._lock:
            self._acts = [one for one in self._acts if one[1] != number]
            heapq.heapify(self._acts)

    def deadline(self) -> int | None:
        """Return the cycle of the next act, None without one."""
        if not self._acts:  # as nearly always, and asked often
            return None
        with self._lock:
            if not self._acts:
                return None
            left = self._acts[0][0] - self._since_s
        return self._since_cycle + max(0, -int(-left * self._hz // 1))

    def act(self) -> None:
        """Do what is due."""
        if not self._acts:
            return
        while (deadline := self.deadline()) is not None and deadline <= self._now():
            with self._lock:
                _, _, act = heapq.heappop(self._acts)
            act()

    def before_clock(self, core_hz: int) -> None:
        """Count up to now: the core's clock is about to change."""
        now = self._now()
        self._since_s, self._since_cycle = self.seconds(now), now
        self._hz = core_hz
