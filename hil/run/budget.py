"""Time for a whole run, after which what is under way is given up with a verdict."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from hil.errors import BudgetError

_SIGNAL = signal.SIGUSR1  # SIGALRM is pytest-timeout's


class Budget:
    """Seconds for a whole run, from now on.

    Args:
        seconds: None for as long as it takes.
        clock: seconds that only grow.
    """

    def __init__(
        self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, at least 0; None for any number."""
        if self._seconds is None:
            return None
        return max(0.0, self._began + self._seconds - self._clock())

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Spend time in the block, which is given up when none is left.

        In another thread than the main one it is only looked at before the block.

        Raises:
            BudgetError: the time is up.
        """
        left = self.left_s
        if left is None:
            yield
            return
        if left == 0:
            raise self._error()
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with self._alarm(left):
            yield

    @contextmanager
    def _alarm(self, left: float) -> Iterator[None]:
        def give_up(_number: int, _frame: FrameType | None) -> None:
            raise self._error()

        main = threading.main_thread().ident or 0
        before = signal.signal(_SIGNAL, give_up)
        alarm = threading.Timer(left, signal.pthread_kill, (main, _SIGNAL))
        alarm.daemon = True
        alarm.start()
        try:
            yield
        finally:
            signal.signal(_SIGNAL, signal.SIG_IGN)  # one on its way comes too late
            alarm.cancel()
            alarm.join()
            signal.signal(_SIGNAL, before)

    def _error(self) -> BudgetError:
        return BudgetError(
            f"the run's budget of {self._seconds:g} s is spent",
            hint="give it more with --hil-budget, or fewer scenarios",
        )
