"""The flash controller: locks, erasing, programming, error flags. Source: RM0090 section 3."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from hil.targets.emulator.chips.stm32.flash import (
    EOPIE,
    ERRIE,
    LOCK,
    OPERR,
    AccessControl,
    FlashCalls,
    FlashController,
)
from hil.targets.emulator.chips.stm32f4.option_bytes import BANK_SECTORS, OptionBytes
from hil.targets.emulator.core.programming import CHOICES
from hil.targets.emulator.core.registers import Register, write_only

ADDRESS = 0x4002_3C00
_ACCESS_BITS = 0x0000_1F0F
_LATENCY_SETTLES_CYCLES = 16
"""How long FLASH_ACR may go on to say the old wait states. No manual has a figure: it says to read
the register back."""

_STATUS_AT, _CONTROL_AT = 0x0C, 0x10

# FLASH_SR
WRPERR = 1 << 4
PGAERR = 1 << 5
PGPERR = 1 << 6
PGSERR = 1 << 7
_ERRORS = OPERR | WRPERR | PGAERR | PGPERR | PGSERR

# FLASH_CR
_PG = 1 << 0
_SER = 1 << 1
_MER = 1 << 2
_MER1 = 1 << 15
_STRT = 1 << 16
_CONTROL_BITS = EOPIE | ERRIE | 0x83FF
_SECOND_BANK = _MER1 | 1 << 7  # MER1 and the highest bit of SNB

_BANK_CODES = 16  # the second bank's sector numbers in FLASH_CR start there


class Stm32F4Flash(FlashController):
    """FLASH of an STM32F4: sectors are erased, 1 to 4 bytes programmed at once.

    Args:
        memory: the flash's bytes.
        sectors: bytes of each sector: 12 of each bank, in one bank or two.
        calls: whom it tells what.

    Attributes:
        options: the option bytes.
    """

    options: OptionBytes

    def __init__(
        self, memory: "bytearray | memoryview", sectors: Sequence[int], calls: FlashCalls
    ) -> None:
        self._calls = calls  # before FLASH_CR is written, which is there
        super().__init__(
            ADDRESS,
            memory,
            AccessControl(0, _ACCESS_BITS, calls, _LATENCY_SETTLES_CYCLES),
            calls,
            _ERRORS,
        )
        ends = list(accumulate(sectors))
        self._sectors = [(end - size, end) for size, end in zip(sectors, ends, strict=True)]
        self._ends = ends
        has_second = len(ends) > BANK_SECTORS
        self._control_bits = _CONTROL_BITS if has_second else _CONTROL_BITS & ~_SECOND_BANK
        self.options = OptionBytes(
            has_second_bank=has_second,
            erase_all=self._erase_all,
            on_change=calls.programming.close,
        )
        self.registers |= {
            0x04: write_only(self._keys.write),
            0x08: write_only(self.options.unlock),
            _STATUS_AT: Register(self._read_status, self._clear_status, merges=False),
            _CONTROL_AT: Register(self._read_control, self._write_control),
            0x14: Register(self.options.read, self.options.write),
            0x18: Register(self.options.read_2, self.options.write_2),
        }

    def reset(self) -> None:
        """Return to the state after reset: locked, no wait states. Option bytes are loaded anew."""
        super().reset()
        self.options.reset()

    def program(self, offset: int, size: int, value: int) -> bool:
        """Take a store to flash that is about to happen; returns whether it may.

        Bits only ever go from one to zero: a byte that is not erased ends up as the AND. Where the
        outcome is not the value stored, `settle` makes it so.
        """
        if self._repairs:
            self.settle()
        if not self._control & _PG or self._keys.locked:
            self._fail(PGSERR)
            return False
        self._tell("program")
        old = int.from_bytes(self._memory[offset : offset + size], "little")
        outcome = old
        if size != 1 << (self._control >> 8 & 3):
            self._fail(PGPERR)
        elif self._is_protected(offset):
            self._fail(WRPERR)
        else:
            outcome = old & value
            self._end()
        self._calls.changed(offset, size)
        kept = outcome.to_bytes(size, "little")
        if self._stuck:
            kept = self._as_cells_take_it(offset, kept)
        if kept != value.to_bytes(size, "little"):
            self._come_out_as(offset, kept)
        elif self._is_plain() and not self._is_protected(offset):
            self._calls.programming.open_page(offset)
        return True

    def _read_control(self) -> int:
        return self._control | (LOCK if self._keys.locked else 0)

    def _write_control(self, value: int) -> None:
        if self._repairs:
            self.settle()
        if self._keys.locked or self._is_busy:  # section 3.9.8: not while BSY is set
            return
        self._control = value & self._control_bits
        if value & _STRT:
            self._erase()
        if value & LOCK:
            self._keys.lock()
        self._notify()
        if self._is_plain():
            self._calls.programming.open(
                control_at=self.address + _CONTROL_AT, status_at=self.address + _STATUS_AT
            )

    @property
    def _control(self) -> int:
        return self._calls.programming.control

    @_control.setter
    def _control(self, value: int) -> None:
        self._calls.programming.control = value

    def _is_plain(self) -> bool:
        """Whether the C side may answer: stores come out as they are, and nobody is told."""
        return not (
            self._control & ~CHOICES
            or self._status
            or self._keys.locked
            or self._repairs
            or self._is_busy
            or self._stuck
            or self._on_step
        )

    def _erase(self) -> None:
        sectors = list(self._chosen_sectors())
        if not sectors:
            self._fail(PGSERR)
        elif any(self._is_protected(start) for start, _ in sectors):
            self._fail(WRPERR)
        else:
            self._begin_erasing()
            for start, end in sectors:
                self._erase_range(start, end)
            self._end()

    def _chosen_sectors(self) -> Iterable[tuple[int, int]]:
        if self._control & _PG:
            return []
        if self._control & (_MER | _MER1):
            first = 0 if self._control & _MER else BANK_SECTORS
            last = 2 * BANK_SECTORS if self._control & _MER1 else BANK_SECTORS
            return self._sectors[first:last]
        if self._control & _SER:
            code = self._control >> 3 & 0x1F
            bank, number = divmod(code, _BANK_CODES)
            at = bank * BANK_SECTORS + number
            return self._sectors[at : at + 1] if number < BANK_SECTORS else []
        return []

    def _is_protected(self, offset: int) -> bool:
        """Whether the option bytes forbid writing the sector."""
        return self.options.is_protected(bisect_right(self._ends, offset))
