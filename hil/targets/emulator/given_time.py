"""The time that the machine gives the emulated core: a loaded machine makes no firmware hang."""

import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_MOST_BYTES = 256  # of the file: three numbers
_NS_PER_S = 1_000_000_000
_LEAST_SHARE = 0.1
"""Of the seconds on the wall, so that a wait ends on any machine."""


class GivenTime:
    """Seconds since it was made, less those in which the core's thread waited for a processor.

    A core that sleeps is given up after as many seconds as on an idle machine. A core that works on
    a loaded machine is given the time that it needs, up to ten times as long on the wall. Where the
    system does not say how long a thread waited, as macOS does not, these are plain seconds.

    Args:
        thread: its number in the system; None for one that has not begun.
        clock: seconds that only grow.
        tasks: the folder in which the system has a folder for each thread; None for the usual.

    Source: Linux, Documentation/scheduler/sched-stats.rst: /proc/<pid>/schedstat, second field.
    """

    def __init__(
        self,
        thread: int | None,
        clock: Callable[[], float] = time.monotonic,
        tasks: Path | None = None,
    ) -> None:
        self._file = (tasks or _TASKS) / str(thread) / "schedstat"
        self._clock = clock
        self._open: int | None = None
        self._waited_s = 0.0
        self._begun, self._waited_before_s = clock(), self._waited()

    def __call__(self) -> float:
        """Return the seconds."""
        passed = self._clock() - self._begun
        given = passed - (self._waited() - self._waited_before_s)
        return max(given, passed * _LEAST_SHARE)

    def _waited(self) -> float:
        """Return the seconds that the thread waited so far; once it has ended, as they were."""
        with suppress(OSError, ValueError, IndexError):
            if self._open is None:  # kept open: it is asked several times in each exchange
                self._open = os.open(self._file, os.O_RDONLY)
                weakref.finalize(self, os.close, self._open)
            self._waited_s = int(os.pread(self._open, _MOST_BYTES, 0).split()[1]) / _NS_PER_S
        return self._waited_s
