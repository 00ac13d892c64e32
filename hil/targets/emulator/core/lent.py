"""Bytes that a receiver lends to the C side, which answers the reads of its registers with them.

A firmware that takes in an image reads the status and the data of its receiver for each byte: in
Python those reads are most of what an emulated board costs. A receiver that has many bytes waiting
lends them. It has them back before anything else can tell: whenever a register is written, when the
host drops them, and before its data is read in Python.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hil.build import native

_HERE = Path(__file__).parent
LENT_BYTES = 4096
"""The most that are lent at once."""


class _Lent(ctypes.Structure):
    """`lent_t` of lent.c."""

    _fields_: ClassVar = [
        ("status_at", ctypes.c_uint64),
        ("data_at", ctypes.c_uint64),
        ("status", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("next", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("reads", ctypes.c_uint64),
        ("bytes", ctypes.c_uint8 * LENT_BYTES),
    ]
    status_at: int
    data_at: int
    status: int
    count: int
    next: int
    reads: int


class _Window(ctypes.Structure):
    """`lent_window_t` of lent.c."""

    _fields_: ClassVar = [
        ("lent", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("read", ctypes.c_void_p),
    ]


_SOURCE = native.Source(
    _HERE / "lent.c",
    _HERE,
    mirrors=[native.Mirror(_Lent, "lent_t"), native.Mirror(_Window, "lent_window_t")],
    constants={"LENT_BYTES": LENT_BYTES},
)


class Lent:
    """What one receiver of a chip has lent; there are bytes of one at a time.

    Attributes:
        allowed: whether anything may be lent now.
        taken: bytes that were taken in Python so far.
        owner: takes back what is left and the last byte that was taken, None where none was.
    """

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self.allowed = allowed
        self.owner: Callable[[bytes, int | None], None] | None = None
        self.taken = 0
        self._c = _Lent()
        self._windows: list[_Window] = []

    @property
    def reads(self) -> int:
        """How many reads of data the C side has answered so far."""
        return self._c.reads

    def window(self, base: int, read: ctypes.c_void_p) -> tuple[Any, Any]:
        """Return a function of C that reads in a range of addresses, and its last argument.

        Args:
            base: address of the first byte.
            read: what answers where nothing is lent.
        """
        window = _Window(ctypes.addressof(self._c), base, read)
        self._windows.append(window)
        function = ctypes.cast(native.load(_SOURCE).lent_read, ctypes.c_void_p)
        return function, ctypes.cast(ctypes.byref(window), ctypes.c_void_p)

    def lend(
        self,
        data: bytes,
        *,
        status_at: int,
        data_at: int,
        status: int,
        owner: Callable[[bytes, int | None], None],
    ) -> None:
        """Lend bytes; what was lent before has to be back.

        Args:
            data: the bytes, at most `LENT_BYTES`.
            status_at: address of the status register.
            data_at: address of the data register.
            status: what the status reads as while some are left.
            owner: as the attribute.
        """
        c = self._c
        c.status_at, c.data_at, c.status = status_at, data_at, status
        c.next = 0
        c.bytes[: len(data)] = data
        self.owner = owner
        c.count = len(data)

    def take_back(self) -> None:
        """Give what is left back to who lent it; harmless where nothing was lent."""
        owner, self.owner = self.owner, None
        if owner is None:
            return
        c = self._c
        left = bytes(c.bytes[c.next : c.count])
        last = c.bytes[c.next - 1] if c.next else None
        c.count = 0
        owner(left, last)

    def drop(self) -> None:
        """Have nothing left; any thread may call."""
        self._c.count = 0
