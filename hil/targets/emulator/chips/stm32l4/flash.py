"""The flash controller of an STM32L4+: pages, double words, one bank or two.

Source: RM0432 sections 3.3 and 3.7.
"""

from hil.targets.emulator.chips.stm32.flash import (
    EOPIE,
    ERRIE,
    LOCK,
    OPERR,
    AccessControl,
    FlashCalls,
    FlashController,
)
from hil.targets.emulator.chips.stm32l4.option_bytes import OptionBytes
from hil.targets.emulator.core.registers import Register, Storage, constant, ignore, write_only

ADDRESS = 0x4002_2000
_ACCESS_RESET, _ACCESS_BITS = 0x0600, 0x7F0F

# FLASH_SR
PROGERR = 1 << 3
WRPERR = 1 << 4
PGAERR = 1 << 5
SIZERR = 1 << 6
PGSERR = 1 << 7
_ERRORS = OPERR | PROGERR | WRPERR | PGAERR | SIZERR | PGSERR

# FLASH_CR
_PG = 1 << 0
_PER = 1 << 1
_MER1 = 1 << 2
_BKER = 1 << 11
_MER2 = 1 << 15
_STRT = 1 << 16
_OPTSTRT = 1 << 17
_OPTLOCK = 1 << 30
_CONTROL_BITS = EOPIE | ERRIE | 0x8FFF

_BANK_PAGES = 256
DOUBLE_WORD = 8
_WORD = 4


class Stm32L4Flash(FlashController):
    """FLASH of an STM32L4+.

    Args:
        memory: the flash's bytes.
        dual: whether it stands in two banks, each of 256 pages; one bank has as many, twice as
            large.
        calls: whom it tells what.

    Attributes:
        options: the option bytes.
    """

    options: OptionBytes

    def __init__(self, memory: "bytearray | memoryview", calls: FlashCalls, *, dual: bool) -> None:
        # Wait states read back at once: ST's HAL looks once, and its certified images run.
        access = AccessControl(_ACCESS_RESET, _ACCESS_BITS, calls)
        super().__init__(ADDRESS, memory, access, calls, _ERRORS)
        self._banks = 2 if dual else 1
        self._page_bytes = len(memory) // (_BANK_PAGES * self._banks)
        self._first_word: int | None = None  # offset of half a double word that was stored
        self._before = b""  # what was there
        self._low_voltage = Storage(writable=1)  # FLASH_CFGR.LVEN: costs nothing here
        self.options = OptionBytes(dual=dual, erase_all=self._erase_all)
        self.registers |= {
            0x04: write_only(ignore),  # PDKEYR: no power-down
            0x08: write_only(self._keys.write),
            0x0C: write_only(self.options.unlock),
            0x10: Register(self._read_status, self._clear_status, merges=False),
            0x14: Register(self._read_control, self._write_control),
            0x18: constant(0),  # ECCR: no error is ever found
            0x130: self._low_voltage.register(),
            **self.options.registers(),
        }

    def reset(self) -> None:
        """Return to the state after reset: locked, no wait states. Option bytes are loaded anew."""
        super().reset()
        self._first_word = None
        self._low_voltage.reset()
        self.options.reset()

    def program(self, offset: int, size: int, value: int) -> bool:
        """Take a store to flash that is about to happen; returns whether it may.

        A double word is programmed when its second word is stored, and only where it is erased or
        becomes zero.
        """
        self.settle()
        if not self._control & _PG or self._keys.locked:
            self._fail(PGSERR)
            return False
        first, self._first_word = self._first_word, None
        error = self._error_of(offset, size, first)
        if error:
            self._fail(error)
            return False
        if first is None:
            self._first_word = offset
            self._before = bytes(self._memory[offset : offset + DOUBLE_WORD])
        elif not self._may_become(offset - _WORD, value):
            self._come_out_as(offset - _WORD, self._before)
            self._fail(PROGERR)
        else:
            self._end()
        self._calls.changed(offset, size)
        return True

    def _error_of(self, offset: int, size: int, first: int | None) -> int:
        if size != _WORD:
            return SIZERR
        if offset % DOUBLE_WORD and first is None:
            return PGAERR
        if first is not None and offset != first + _WORD:
            return PGAERR
        return WRPERR if self._is_protected(offset) else 0

    def _may_become(self, offset: int, second: int) -> bool:
        """Whether the double word whose first word is stored already may be programmed."""
        erased = self._before == b"\xff" * DOUBLE_WORD
        return erased or not (any(self._memory[offset : offset + _WORD]) or second)

    def _read_control(self) -> int:
        locks = (LOCK if self._keys.locked else 0) | (_OPTLOCK if self.options.locked else 0)
        return self._control | locks

    def _write_control(self, value: int) -> None:
        self.settle()
        if self._keys.locked:
            return
        self._control = value & _CONTROL_BITS
        if value & _STRT:
            self._erase()
        if value & _OPTSTRT and not self.options.locked:
            self.options.start()
        if value & _OPTLOCK:
            self.options.lock()
        if value & LOCK:
            self._keys.lock()
        self._notify()

    def _erase(self) -> None:
        pages = self._chosen_pages()
        if not pages:
            self._fail(PGSERR)
        elif any(self._is_protected(page * self._page_bytes) for page in pages):
            self._fail(WRPERR)
        else:
            self._erase_range(pages.start * self._page_bytes, pages.stop * self._page_bytes)
            self._end()

    def _chosen_pages(self) -> range:
        """Return the pages that FLASH_CR chooses, counted from the first bank on."""
        control, whole = self._control, range(_BANK_PAGES * self._banks)
        if control & _PG:
            return range(0)
        erases = bool(control & _MER1), bool(control & _MER2)
        if any(erases):
            if all(erases):
                return whole
            if self._banks == 1:
                return range(0)
            return whole[:_BANK_PAGES] if erases[0] else whole[_BANK_PAGES:]
        if not control & _PER:
            return range(0)
        page = control >> 3 & 0xFF
        page += _BANK_PAGES if control & _BKER and self._banks == 2 else 0
        return range(page, page + 1)

    def _is_protected(self, offset: int) -> bool:
        """Whether the option bytes forbid writing the page."""
        bank, page = divmod(offset // self._page_bytes, _BANK_PAGES)
        return self.options.is_protected(bank, page)
