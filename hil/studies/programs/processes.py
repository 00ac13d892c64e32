"""Work in processes of its own: several at once, each heard while it runs, all called off at once.

A process that dies takes nothing else with it. One whose parent dies ends too.
"""

import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Item = TypeVar("Item")
Result = TypeVar("Result")

_GRACE_S = 10.0  # that a process has for its result once it is called off
_PEAK = "VmHWM:"  # proc(5); getrusage counts what the parent had, too
_LOOK_S = 1.0  # after which a process that is called off is looked at without a word of it
_ORPHANED = 1  # exit status of a process whose parent is gone


@dataclass(frozen=True)
class Said:
    """Words of a process that runs.

    Attributes:
        number: of the item that it works on.
        kind: what they are, as the work named it.
    """

    number: int
    kind: str
    data: bytes


@dataclass(frozen=True)
class Ended(Generic[Result]):
    """The result of a process."""

    number: int
    result: Result


@dataclass(frozen=True)
class Died:
    """The end of a process without a result.

    Attributes:
        status: of the process; the number of a signal, negative, where one killed it.
    """

    number: int
    status: int


class Voice:
    """What a process says to its parent, and hears from it; safe from any of its threads.

    Attributes:
        on_call_off: called when the parent wants the result now, from a thread of its own.
        called_off: whether the parent has said so.

    Args:
        number: of the item.
        parent: the connection to it.
    """

    def __init__(self, number: int, parent: Connection) -> None:
        self._number, self._parent = number, parent
        self._lock = Lock()
        self.on_call_off: Callable[[], None] = lambda: None
        self.called_off = False
        Thread(target=self._hear, name="parent", daemon=True).start()

    def say(self, kind: str, data: bytes) -> None:
        """Send words.

        Args:
            kind: what they are.
            data: the words.
        """
        self._send(Said(self._number, kind, data))

    def end(self, result: object) -> None:
        """Send the result."""
        self._send(Ended(self._number, result))

    def _send(self, message: object) -> None:
        with self._lock:
            self._parent.send(message)

    def _hear(self) -> None:
        try:
            self._parent.recv()
        except (EOFError, OSError):
            os._exit(_ORPHANED)
        self.called_off = True
        self.on_call_off()


class Processes(Generic[Item, Result]):
    """One process for each item, at most some at a time. Use it in a `with` block.

    Args:
        work: a function of a module, called in each process with its item and its voice.
        items: what there is to do.
        jobs: processes at once.
    """

    def __init__(
        self, work: Callable[[Item, Voice], Result], items: Sequence[Item], jobs: int
    ) -> None:
        self._work, self._jobs = work, jobs
        self._waiting = deque(enumerate(items))
        self._running: dict[Connection, tuple[int, SpawnProcess]] = {}
        self._told: set[Connection] = set()
        self._until: float | None = None

    def __enter__(self) -> "Processes[Item, Result]":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs."""
        for _number, process in self._running.values():
            process.kill()
        for connection, (_number, process) in self._running.items():
            process.join()
            connection.close()
        self._running.clear()

    def call_off(self) -> None:
        """Begin no other process, and have those that run end with what they have.

        A second call kills them. It may be called by a signal's handler.
        """
        self._waiting.clear()
        self._until = time.monotonic() + _GRACE_S if self._until is None else 0.0
        self._tell()

    def events(self) -> Iterator[Said | Ended[Result] | Died]:
        """Yield what processes say and how they end, as it comes, until the last has ended."""
        ended: set[int] = set()
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._jobs:
                self._begin(*self._waiting.popleft())
            self._tell()
            ready = wait(list(self._running), _LOOK_S)
            for connection in [one for one in self._running if one in ready]:
                number, process = self._running[connection]
                try:
                    event = connection.recv()
                except (EOFError, OSError):
                    process.join()
                    del self._running[connection]
                    connection.close()
                    if number not in ended:
                        yield Died(number, process.exitcode or 0)
                else:
                    if isinstance(event, Ended):
                        ended.add(number)
                    yield event

    def _begin(self, number: int, item: Item) -> None:
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(
            target=_process, args=(self._work, number, item, theirs), daemon=True
        )
        with _deaf_to_interrupts():
            process.start()
        theirs.close()
        self._running[ours] = (number, process)

    def _tell(self) -> None:
        """Call off whoever has not been told; kill those whose time is over."""
        if self._until is None:
            return
        for connection, (_number, process) in tuple(self._running.items()):
            if connection not in self._told:
                self._told.add(connection)
                with suppress(OSError):
                    connection.send(None)
            if time.monotonic() >= self._until:
                process.kill()


def peak_memory_bytes() -> int:
    """Return the most memory that this process has had, resident."""
    with suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith(_PEAK):
                return int(line.split()[1]) << 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Call a function at each Ctrl-C while the block runs, in place of KeyboardInterrupt.

    Yields:
        what tells whether there was one.
    """
    seen: list[bool] = []

    def handle(_number: int, _frame: object) -> None:
        seen.append(True)
        act()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Have processes that begin in the block leave Ctrl-C to this one."""
    resource_tracker.ensure_running()  # to begin it would end what the next line begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _process(
    work: Callable[[Item, Voice], object], number: int, item: Item, parent: Connection
) -> None:
    voice = Voice(number, parent)
    voice.end(work(item, voice))
