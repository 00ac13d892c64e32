"""The local exclusive monitor: exceptions clear it, so that the STREX behind them fails.

Unicorn has a monitor of its own, which knows nothing of exceptions. Source: ARM DDI 0403E A3.4,
B1.5.6 and B1.5.8.
"""

import ctypes
import struct
from typing import ClassVar

from hil.build import native
from hil.targets.emulator.core.clock import HERE, address_of
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.patterns import like

_EXCLUSIVE = like(rb"[\x40-\x5f\xc0-\xdf]\xe8..", b"\xe8")
_TWO_HALFWORDS = struct.Struct("<HH")


class _Exclusive(ctypes.Structure):
    """`exclusive_t` of exclusive.c."""

    _fields_: ClassVar = [("emu_stop", ctypes.c_void_p), ("cleared", ctypes.c_uint32)]
    cleared: int


_SOURCE = native.Source(
    HERE / "exclusive.c", HERE, mirrors=[native.Mirror(_Exclusive, "exclusive_t")]
)


class ExclusiveMonitor:
    """Fails stores that an exception has come before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._c: _Exclusive | None = None
        self._found: set[int] = set()
        self._watched: set[int] = set()

    def clear(self) -> None:
        """Note that an exception has been taken, or returned from."""
        if self._c is not None:
            self._c.cleared = 1

    def note(self, address: int, code: bytes) -> bool:
        """Look for exclusive accesses in code; returns whether there are new ones.

        Args:
            address: of the code.
            code: its bytes.
        """
        found = {
            address + at
            for at in _EXCLUSIVE.found_in(code)
            if is_exclusive(*_TWO_HALFWORDS.unpack_from(code, at))
        }
        new = found - self._found
        self._found |= found
        return bool(new)

    def watch(self) -> None:
        """Have runs end before the stores that fail, also those found since the last time."""
        for address in self._found - self._watched:
            if self._c is None:
                self._load()
            first, _ = self._engine.load_halfwords(address, 2)
            function = self._on_load if first & 0x10 else self._on_store
            self._engine.add_instruction_hook(address, function, self._c)
            self._engine.forget_code(address, 2)
            self._watched.add(address)

    def _load(self) -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        library = native.load(_SOURCE)
        self._on_load, self._on_store = library.exclusive_on_load, library.exclusive_on_store
        self._c = _Exclusive()
        self._c.emu_stop = address_of(uclib.uc_emu_stop)

    def fails(self, address: int) -> int | None:
        """Return the register that tells of the store at an address which fails, if it does."""
        if self._c is None or not self._c.cleared or address not in self._watched:
            return None
        first, second = self._engine.load_halfwords(address, 2)
        if not is_exclusive(first, second) or first & 0x10:
            return None
        return second >> 8 & 0xF if first & 0xFFE0 == 0xE840 else second & 0xF


def is_exclusive(first: int, second: int) -> bool:
    """Whether a 32-bit instruction is LDREX or STREX, of a byte, a halfword or a word.

    Bit 4 of its first halfword says that it loads. Source: ARM DDI 0403E A5.3.6.

    Args:
        first: the instruction's first halfword.
        second: its second halfword.
    """
    if first & 0xFFE0 == 0xE840:
        return second >> 12 != 0xF or bool(first & 0x10)
    return first & 0xFFE0 == 0xE8C0 and second >> 4 & 0xF in {4, 5}
