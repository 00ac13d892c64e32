"""The thread that executes, and how others hold it, wait for it and end it."""

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hil.errors import EmulatorError

_LOG = logging.getLogger(__name__)
_LINGER_S = 0.002


class CoreThread:
    """Takes turns at executing, one after the other, while nobody visits.

    Args:
        clear_stop: called before each turn, with visitors kept out.
        request_stop: makes a turn return; any thread may call it.
        on_failure: called in the thread when a turn has raised, which ends the execution.
    """

    def __init__(
        self,
        clear_stop: Callable[[], None],
        request_stop: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._turn: Callable[[], None] = lambda: None
        self._may_run: Callable[[], bool] = lambda: False
        self._clear_stop = clear_stop
        self._request_stop = request_stop
        self._on_failure = on_failure
        # Guards what the thread and its visitors share; notified on every change of it.
        self._state = threading.Condition()
        self._busy = False
        self._visitors = 0
        self._ended = False
        self._failure: Exception | None = None
        self._visit_lock = threading.RLock()
        self._thread = threading.Thread(target=self._main, name="emulated core", daemon=True)

    def start(self, turn: Callable[[], None], may_run: Callable[[], bool]) -> None:
        """Begin to execute.

        Args:
            turn: does one thing and returns soon after `request_stop`.
            may_run: whether there is anything to do.
        """
        self._turn, self._may_run = turn, may_run
        self._thread.start()

    def end(self) -> None:
        """Stop executing for good, and wait for that."""
        with self._state:
            self._ended = True
            self._request_stop()
            self._state.notify_all()
        if self._thread.is_alive() and not self.is_current():
            self._thread.join()

    @property
    def native_id(self) -> int | None:
        """The thread's number in the system; None before it has begun."""
        return self._thread.native_id

    def is_current(self) -> bool:
        """Whether the caller is the thread itself."""
        return threading.current_thread() is self._thread

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the thread between two turns while the block runs.

        Raises:
            EmulatorError: a turn has failed.
        """
        if self.is_current():
            yield
            return
        with self._visit_lock:
            with self._state:
                self._visitors += 1
                self._request_stop()
                self._state.notify_all()
                self._state.wait_for(lambda: not self._busy)
            try:
                self.raise_failure()
                yield
            finally:
                with self._state:
                    self._visitors -= 1
                    self._state.notify_all()

    def linger(self) -> None:
        """Let the thread go on for a moment, or until it has nothing to do.

        A debugger polls without pause, where a real probe's wire would take its time. Python would
        let that starve the thread.
        """
        if not self.is_current():
            with self._state:
                self._state.wait_for(lambda: not self._busy and not self._may_run(), _LINGER_S)
            self.raise_failure()

    def sleep(self, wakes: Callable[[], bool], timeout_s: float) -> bool:
        """Wait, within a turn, until a condition holds; returns whether it does.

        Args:
            wakes: tells whether the condition holds.
            timeout_s: seconds of the host.
        """
        with self._state:
            return self._state.wait_for(wakes, timeout_s)

    def wake(self) -> None:
        """Have `sleep` and the thread look at their conditions again."""
        with self._state:
            self._state.notify_all()

    def raise_failure(self) -> None:
        """Tell of a turn that has failed.

        Raises:
            EmulatorError: one has; its cause is what the turn raised.
        """
        if self._failure is not None:
            raise EmulatorError(
                f"the emulator itself failed: {_gist(self._failure)}",
                hint="this is no fault of the firmware: please report it, with the traceback "
                "that stands in the log",
            ) from self._failure

    def _main(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._ended or self._is_free())
                if self._ended:
                    return
                self._busy = True
                self._clear_stop()
            try:
                self._turn()
            except Exception as error:
                # Kept for whoever visits or waits: here is nobody to tell.
                _LOG.exception("the emulated core's thread failed")
                self._failure = error
            finally:
                with self._state:
                    self._busy = False
                    self._state.notify_all()
            if self._failure is not None:
                self._on_failure()

    def _is_free(self) -> bool:
        return not self._visitors and self._failure is None and self._may_run()


def _gist(error: Exception) -> str:
    """Return an error's kind, text and place."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
