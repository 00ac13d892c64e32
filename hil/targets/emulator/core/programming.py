"""Programming of flash that ends on the C side, word by word, where nothing can go wrong.

A flash algorithm reads and writes the controller's registers six times for each word that it
stores: in Python that is most of what flashing costs. The controller opens them to the C side while
they say nothing else than what the algorithm chose, and the page that it programs. Every other
write to any register closes them, and so does whatever else makes a store come out otherwise.
"""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hil.build import native
from hil.targets.emulator.core.lent import Lent

_HERE = Path(__file__).parent
PAGE_BYTES = 4096
CHOICES = 0x301
"""The bits of FLASH_CR that may be written while it is open: PG and PSIZE."""
_NO_PAGE = 1


class _Programming(ctypes.Structure):
    """`programming_t` of programming.c."""

    _fields_: ClassVar = [
        ("control_at", ctypes.c_uint64),
        ("status_at", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("page", ctypes.c_uint64),
        ("memory", ctypes.c_void_p),
        ("invalidate", ctypes.c_void_p),
        ("clock", ctypes.c_void_p),
        ("accesses", ctypes.c_uint64),
        ("control", ctypes.c_uint32),
        ("open", ctypes.c_uint32),
    ]
    control_at: int
    status_at: int
    first: int
    page: int
    accesses: int
    control: int
    open: int


class _Window(ctypes.Structure):
    """`programming_window_t` of programming.c."""

    _fields_: ClassVar = [
        ("programming", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("read_context", ctypes.c_void_p),
    ]


_SOURCE = native.Source(
    _HERE / "programming.c",
    _HERE,
    mirrors=[
        native.Mirror(_Programming, "programming_t"),
        native.Mirror(_Window, "programming_window_t"),
    ],
    constants={"PROGRAMMING_PAGE_BYTES": PAGE_BYTES, "PROGRAMMING_CHOICES": CHOICES},
)


class Programming:
    """What the C side may answer of one flash controller.

    Args:
        lent: says whether anything may be answered there now.
    """

    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        self._c = _Programming(page=_NO_PAGE)
        self._bases: Sequence[int] = ()
        self._has_run_at: Callable[[int, int], bool] = lambda _address, _length: True
        self._windows: list[_Window] = []

    @property
    def accesses(self) -> int:
        """How many accesses have ended on the C side so far."""
        return self._c.accesses

    @property
    def control(self) -> int:
        """FLASH_CR but for its lock."""
        return self._c.control

    @control.setter
    def control(self, value: int) -> None:
        self._c.control = value

    def place(
        self,
        bases: Sequence[int],
        memory: Any,
        invalidates: tuple[int | None, int | None],
        has_run_at: Callable[[int, int], bool],
    ) -> None:
        """Say where the flash is.

        Args:
            bases: where its first byte is: first the address that is programmed, then others.
            memory: its bytes, which stay the caller's.
            invalidates: as a clock says, of each change.
            has_run_at: whether code has run in a range: address and length.
        """
        c = self._c
        c.first = bases[0]
        self._bases, self._has_run_at = bases, has_run_at
        c.memory = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
        c.invalidate, c.clock = invalidates

    def open(self, *, control_at: int, status_at: int) -> None:
        """Have the C side answer two registers: status 0, and control with its choices.

        Nothing happens where that is not allowed.

        Args:
            control_at: address of FLASH_CR.
            status_at: address of FLASH_SR.
        """
        if not self._lent.allowed():
            return
        c = self._c
        c.control_at, c.status_at = control_at, status_at
        c.open = 1

    def open_page(self, offset: int) -> None:
        """Have it take stores to a page, too, that program just what they store.

        Code must never have run there: what changes is to be translated anew.

        Args:
            offset: of a byte in it, from the flash's start.
        """
        start = offset // PAGE_BYTES * PAGE_BYTES
        if not any(self._has_run_at(base + start, PAGE_BYTES) for base in self._bases):
            self._c.page = self._c.first + start

    def close(self) -> None:
        """Have Python asked again; any thread may call."""
        self._c.open = 0
        self._c.page = _NO_PAGE

    def window(self, base: int, read: Any, read_context: Any, write: Any) -> tuple[Any, Any, Any]:
        """Return functions of C that read and write in a range of addresses, and their argument.

        Args:
            base: address of the first byte.
            read: what answers other reads.
            read_context: its last argument.
            write: what takes other writes.
        """
        window = _Window(ctypes.addressof(self._c), base, read, write, read_context)
        self._windows.append(window)
        library = native.load(_SOURCE)
        reads, writes = (
            ctypes.cast(one, ctypes.c_void_p)
            for one in (library.programming_read, library.programming_write)
        )
        context = ctypes.cast(ctypes.byref(window), ctypes.c_void_p)
        return reads, writes, context

    @property
    def store(self) -> tuple[Any, Any]:
        """A function of C that is asked for stores to flash, and its last argument."""
        return native.load(_SOURCE).programming_store, self._c
