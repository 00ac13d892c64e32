"""The flash controller: locks, erasing, programming, error flags. Source: RM0090 section 3."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from hil.targets.emulator.chips.stm32f4.key_sequence import KeySequence
from hil.targets.emulator.chips.stm32f4.option_bytes import BANK_SECTORS, OptionBytes
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only

ADDRESS = 0x4002_3C00
IRQ = 4
ERASED = 0xFF

_KEYS = (0x4567_0123, 0xCDEF_89AB)

# FLASH_SR
EOP = 1 << 0
OPERR = 1 << 1
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
_EOPIE = 1 << 24
_ERRIE = 1 << 25
_LOCK = 1 << 31
_CONTROL_BITS = 0x0300_83FF
_SECOND_BANK = _MER1 | 1 << 7  # MER1 and the highest bit of SNB

# FLASH_ACR
_LATENCY = 0xF
_CACHE_ON = (1 << 9, 1 << 10)
_CACHE_RESET_BY_ON = 2  # ICRST and DCRST are as far above ICEN and DCEN
_LATENCY_SETTLES_CYCLES = 16
"""How long FLASH_ACR may go on to say the old wait states. No manual has a figure: it says to read
the register back."""

_BANK_CODES = 16  # the second bank's sector numbers in FLASH_CR start there


class FlashController(Peripheral):
    """FLASH.

    Args:
        memory: the flash's bytes.
        sectors: bytes of each sector: 12 of each bank, in one bank or two.
        changed: called with offset and length of what was erased or programmed.
        set_acr: receives the access control register.
        on_interrupt: called when the interrupt line is high.
        on_repair: called when `settle` has something to do soon.
        now: the core's cycle count.

    Attributes:
        irq: its interrupt number.
        options: the option bytes.
    """

    def __init__(
        self,
        memory: "bytearray | memoryview",
        sectors: Sequence[int],
        *,
        changed: Callable[[int, int], None],
        set_acr: Callable[[int], None],
        on_interrupt: Callable[[], None],
        on_repair: Callable[[], None],
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        self.irq = IRQ
        self._memory = memory
        self._changed = changed
        self._set_acr = set_acr
        self._on_interrupt = on_interrupt
        self._on_repair = on_repair
        self._now = now
        self._repairs: list[tuple[int, bytes]] = []
        ends = list(accumulate(sectors))
        self._sectors = [(end - size, end) for size, end in zip(sectors, ends, strict=True)]
        self._ends = ends
        has_second = len(ends) > BANK_SECTORS
        self._control_bits = _CONTROL_BITS if has_second else _CONTROL_BITS & ~_SECOND_BANK
        self._access = Storage(writable=0x0000_1F0F)
        self._wait_states_before = 0
        self._settles_at = 0
        self.options = OptionBytes(has_second_bank=has_second, erase_all=self._erase_all)
        self._keys = KeySequence(_KEYS)
        self._status = 0
        self._control = 0
        super().__init__(
            "FLASH",
            ADDRESS,
            {
                0x00: Register(self._read_access, self._write_access),
                0x04: write_only(self._keys.write),
                0x08: write_only(self.options.unlock),
                0x0C: Register(self._read_status, self._clear_status, merges=False),
                0x10: Register(self._read_control, self._write_control),
                0x14: Register(self.options.read, self.options.write),
                0x18: Register(self.options.read_2, self.options.write_2),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: locked, no wait states. Option bytes are loaded anew."""
        self._access.reset()
        self._wait_states_before = self._settles_at = 0
        self._set_acr(0)
        self._keys.reset()
        self.options.reset()
        self._status = self._control = 0

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        ended = self._control & _EOPIE and self._status & EOP
        failed = self._control & _ERRIE and self._status & _ERRORS
        return bool(ended or failed)

    def deadline(self) -> int | None:
        """Return None: the line changes only by what software does."""
        return None

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
        old = int.from_bytes(self._memory[offset : offset + size], "little")
        outcome = old
        if size != 1 << (self._control >> 8 & 3):
            self._fail(PGPERR)
        elif self._is_protected(offset):
            self._fail(WRPERR)
        else:
            outcome = old & value
            self._end()
        self._changed(offset, size)
        if outcome != value:
            self._repairs.append((offset, outcome.to_bytes(size, "little")))
            self._on_repair()
        return True

    def settle(self) -> None:
        """Put right what a store wrote that programming would not have."""
        for offset, outcome in self._repairs:
            self._memory[offset : offset + len(outcome)] = outcome
        self._repairs.clear()

    @property
    def least_wait_states(self) -> int:
        """The wait states that are in force, the fewer of two while they change."""
        return min(self._read_access() & _LATENCY, self._access.value & _LATENCY)

    def _read_access(self) -> int:
        if self._now() < self._settles_at:
            return self._access.value & ~_LATENCY | self._wait_states_before
        return self._access.value

    def _write_access(self, value: int) -> None:
        """Take FLASH_ACR: a cache's reset bit only where the cache is off: section 3.9.1."""
        for on in _CACHE_ON:
            if self._access.value & on:
                value &= ~(on << _CACHE_RESET_BY_ON)
        if (self._access.value ^ value) & _LATENCY:
            self._wait_states_before = self._read_access() & _LATENCY
            self._settles_at = self._now() + _LATENCY_SETTLES_CYCLES
        self._access.write(value)
        self._set_acr(self._access.value)

    def _read_status(self) -> int:
        if self._repairs:
            self.settle()
        return self._status

    def _clear_status(self, value: int) -> None:
        self._status &= ~value

    def _read_control(self) -> int:
        return self._control | (_LOCK if self._keys.locked else 0)

    def _write_control(self, value: int) -> None:
        if self._repairs:
            self.settle()
        if self._keys.locked:
            return
        self._control = value & self._control_bits
        if value & _STRT:
            self._erase()
        if value & _LOCK:
            self._keys.lock()
        self._notify()

    def _erase(self) -> None:
        sectors = list(self._chosen_sectors())
        if not sectors:
            self._fail(PGSERR)
        elif any(self._is_protected(start) for start, _ in sectors):
            self._fail(WRPERR)
        else:
            for start, end in sectors:
                self._erase_range(start, end)
            self._end()

    def _erase_range(self, start: int, end: int) -> None:
        self._memory[start:end] = bytes([ERASED]) * (end - start)
        self._changed(start, end - start)

    def _erase_all(self) -> None:
        self._erase_range(0, len(self._memory))

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

    def _end(self) -> None:
        if self._control & _EOPIE:
            self._status |= EOP
            self._notify()

    def _fail(self, error: int) -> None:
        self._status |= error | (OPERR if self._control & _ERRIE else 0)
        self._notify()

    def _notify(self) -> None:
        if self._control & (_EOPIE | _ERRIE) and self.interrupt:
            self._on_interrupt()
