"""Bytes that the C side takes from a program in place of a transmitter, until the host reads them.

A firmware that answers reads the status and writes the data of its transmitter for each byte: in
Python those accesses are most of what an answer costs. A transmitter that takes each byte at once
opens both registers to C. They are closed before anything else can tell: at any other write to a
register, when the host sends, and when received data is read in Python.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hil.build import native
from hil.targets.emulator.core.lent import Lent

_HERE = Path(__file__).parent
SENT_BYTES = 4096
"""The most that wait in C for the host."""
_NEVER = (1 << 64) - 1
_WAKE = ctypes.CFUNCTYPE(None)


class _Sent(ctypes.Structure):
    """`sent_t` of sending.c."""

    _fields_: ClassVar = [
        ("put", ctypes.c_uint64),
        ("taken", ctypes.c_uint64),
        ("wake_at", ctypes.c_uint64),
        ("wake", _WAKE),
        ("bytes", ctypes.c_uint8 * SENT_BYTES),
    ]
    put: int
    taken: int
    wake_at: int


class _Sending(ctypes.Structure):
    """`sending_t` of sending.c."""

    _fields_: ClassVar = [
        ("status_at", ctypes.c_uint64),
        ("data_at", ctypes.c_uint64),
        ("sent", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("looked_at", ctypes.c_uint64),
        ("writes", ctypes.c_uint64),
        ("status", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("open", ctypes.c_uint32),
        ("fresh", ctypes.c_uint32),
    ]
    status_at: int
    data_at: int
    looked_at: int
    writes: int
    status: int
    mask: int
    open: int
    fresh: int


class _Window(ctypes.Structure):
    """`sending_window_t` of sending.c."""

    _fields_: ClassVar = [
        ("sending", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
    ]


_SOURCE = native.Source(
    _HERE / "sending.c",
    _HERE,
    mirrors=[
        native.Mirror(_Sent, "sent_t"),
        native.Mirror(_Sending, "sending_t"),
        native.Mirror(_Window, "sending_window_t"),
    ],
    constants={"SENT_BYTES": SENT_BYTES},
)


class Sent:
    """What C has taken of one transmitter and nobody has read; one thread at a time takes it.

    Args:
        wake: called, in the core's thread, when as many bytes are there as `wake_after` said.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._c = _Sent(wake_at=_NEVER, wake=_WAKE(wake))

    def __len__(self) -> int:
        return self._c.put - self._c.taken

    def take(self) -> bytes:
        """Take all bytes."""
        if not len(self):
            return b""
        taken = (ctypes.c_uint8 * SENT_BYTES)()
        count = native.load(_SOURCE).sent_take(ctypes.byref(self._c), taken)
        return bytes(taken[:count])

    def wake_after(self, count: int) -> bool:
        """Have `wake` called when so many bytes more are there than were taken.

        Args:
            count: of bytes, at least 1.

        Returns:
            whether they are there already.
        """
        return self._wake_after(count) >= count

    def wake_later(self, count: int) -> None:
        """Do as `wake_after`, in the core's thread, which alone adds bytes.

        Args:
            count: of bytes, at least 1.
        """
        self._c.wake_at = self._c.taken + count

    def let_sleep(self) -> None:
        """Have nobody woken."""
        self._c.wake_at = _NEVER

    def _wake_after(self, count: int) -> int:
        function = native.load(_SOURCE).sent_wake_after
        function.restype = ctypes.c_uint64
        return int(function(ctypes.byref(self._c), ctypes.c_uint64(count)))


class Sending:
    """What the C side answers in place of one transmitter of a chip, one at a time.

    Args:
        lent: says whether anything may be answered there now.

    Attributes:
        owner: told the cycles of the last read of the status that C answered, None where it
            answered none, and how many it answered behind the last byte. It is None while nothing
            is open.
    """

    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        self.owner: Callable[[int | None, int], None] | None = None
        self._c = _Sending()
        self._windows: list[_Window] = []

    @property
    def allowed(self) -> bool:
        """Whether anything may be answered there now."""
        return self._lent.allowed()

    @property
    def writes(self) -> int:
        """How many bytes the C side has taken so far."""
        return self._c.writes

    def window(self, base: int, read: Any, write: Any, context: Any) -> tuple[Any, Any, Any]:
        """Return functions of C that read and write in a range of addresses, and their argument.

        Args:
            base: address of the first byte.
            read: what answers other reads.
            write: what takes other writes.
            context: the last argument of both.
        """
        window = _Window(ctypes.addressof(self._c), base, read, write, context)
        self._windows.append(window)
        library = native.load(_SOURCE)
        reads, writes = (
            ctypes.cast(one, ctypes.c_void_p)
            for one in (library.sending_read, library.sending_write)
        )
        return reads, writes, ctypes.cast(ctypes.byref(window), ctypes.c_void_p)

    def count_by(self, cycles_at: int) -> None:
        """Say where the cycles at the last block's end stand, as an address."""
        self._c.cycles = cycles_at

    def open(
        self,
        sent: Sent,
        *,
        status_at: int,
        data_at: int,
        status: int,
        mask: int,
        owner: Callable[[int | None, int], None],
    ) -> None:
        """Have C take bytes; what was open before has to be closed.

        Args:
            sent: where they go.
            status_at: address of the status register.
            data_at: address of the data register.
            status: what the status reads as, as long as it is open.
            mask: the bits of a byte that are sent.
            owner: as the attribute.
        """
        c = self._c
        c.sent = ctypes.addressof(sent._c)  # noqa: SLF001 - both are C's
        c.status_at, c.data_at, c.status, c.mask = status_at, data_at, status, mask
        c.fresh = 1
        c.looked_at = _NEVER
        self.owner = owner
        c.open = 1

    def close(self) -> None:
        """Have Python asked again; harmless where nothing is open."""
        owner, self.owner = self.owner, None
        if owner is not None:
            c = self._c
            c.open = 0
            owner(None if c.looked_at == _NEVER else c.looked_at, 1 - c.fresh)

    def stop(self) -> None:
        """Have nothing more end in C; any thread may call."""
        self._c.open = 0
