"""Division by zero: a trap when CCR.DIV_0_TRP is set, which Unicorn knows nothing of.

C code looks at the divisor before each division and ends the run if it is zero, so that firmware
that traps runs as fast as firmware that does not.

Source: ARM DDI 0403E B3.2.8 (CCR).
"""

import ctypes
from typing import ClassVar

from hil.build import native
from hil.targets.emulator.core.clock import HERE, address_of, core_register_ids
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.patterns import like
from hil.targets.emulator.errors import BusError

# An IT and the longest instructions between it and the last that it covers.
_IT_REACH_BYTES = 2 + 3 * 4


DIVISIONS = like(rb"[\x90-\x9f\xb0-\xbf]\xfb[\xf0-\xff][\xf0-\xff]", b"\xfb")
"""What SDIV and UDIV look like."""


class _Divisions(ctypes.Structure):
    """`divisions_t` of divisions.c."""

    _fields_: ClassVar = [
        ("emu_stop", ctypes.c_void_p),
        ("reg_read", ctypes.c_void_p),
        ("mem_read", ctypes.c_void_p),
        ("register_ids", ctypes.c_int32 * 16),
        ("trap", ctypes.c_uint32),
    ]
    trap: int


_SOURCE = native.Source(
    HERE / "divisions.c", HERE, mirrors=[native.Mirror(_Divisions, "divisions_t")]
)


class Divisions:
    """The divisions in the code seen so far.

    Attributes:
        found: their addresses.
    """

    def __init__(self, engine: Engine) -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        self._engine = engine
        self.found: set[int] = set()
        self._covered: set[int] = set()  # by an IT, or perhaps so
        self._watched: set[int] = set()
        self._function = native.load(_SOURCE).divisions_on_instruction
        self._c = _Divisions()
        for name in ("emu_stop", "reg_read", "mem_read"):
            setattr(self._c, name, address_of(getattr(uclib, f"uc_{name}")))
        self._c.register_ids[:] = core_register_ids()

    @property
    def trap(self) -> bool:
        """CCR.DIV_0_TRP."""
        return bool(self._c.trap)

    @trap.setter
    def trap(self, trap: bool) -> None:
        self._c.trap = trap

    @property
    def exits(self) -> set[int]:
        """Where runs have to end whatever the divisor: none can be stopped inside an IT block."""
        return self._covered if self.trap else set()

    def watch(self) -> None:
        """Have runs end before the divisions found since the last time, if they are by zero."""
        for address in self.found - self._watched - self._covered:
            if self._may_be_in_it_block(address):
                self._covered.add(address)
                continue
            self._engine.add_instruction_hook(address, self._function, self._c)
            self._engine.forget_code(address, 2)
            self._watched.add(address)

    def is_by_zero(self, address: int) -> bool:
        """Whether the instruction at an address is a division by zero, as registers are now."""
        if not self.trap or address not in self.found:
            return False
        first, second = self._engine.load_halfwords(address, 2)
        return is_division(first, second) and self._engine.read(f"r{second & 0xF}") == 0

    def _may_be_in_it_block(self, address: int) -> bool:
        try:
            before = self._engine.load_halfwords(address - _IT_REACH_BYTES, _IT_REACH_BYTES // 2)
        except BusError:
            return True
        return any(half >> 8 == 0xBF and half & 0xF for half in before)


def is_division(first: int, second: int) -> bool:
    """Whether a 32-bit instruction is SDIV or UDIV; its lowest bits name the divisor.

    Source: ARM DDI 0403E A7.7.127, A7.7.195.

    Args:
        first: the instruction's first halfword.
        second: its second halfword.
    """
    return first & 0xFFD0 == 0xFB90 and second & 0xF0F0 == 0xF0F0
