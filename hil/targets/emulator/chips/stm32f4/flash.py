"""The flash controller: locks, erasing, programming, error flags. Source: RM0090 section 3."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only

ADDRESS = 0x4002_3C00
IRQ = 4
ERASED = 0xFF

_KEYS = (0x4567_0123, 0xCDEF_89AB)
_OPTION_KEYS = (0x0819_2A3B, 0x4C5D_6E7F)

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

# FLASH_OPTCR
_OPTLOCK = 1 << 0
_OPTSTRT = 1 << 1

_BANK_SECTORS = 12
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

    Attributes:
        irq: its interrupt number.
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
    ) -> None:
        self.irq = IRQ
        self._memory = memory
        self._changed = changed
        self._set_acr = set_acr
        self._on_interrupt = on_interrupt
        self._on_repair = on_repair
        self._repairs: list[tuple[int, bytes]] = []
        ends = list(accumulate(sectors))
        self._sectors = [(end - size, end) for size, end in zip(sectors, ends, strict=True)]
        self._ends = ends
        has_second = len(ends) > _BANK_SECTORS
        self._control_bits = _CONTROL_BITS if has_second else _CONTROL_BITS & ~_SECOND_BANK
        self._access = Storage(writable=0x0000_1F0F)
        self._options = Storage(0x0FFF_AAEC, writable=0xBFFF_FFEC)
        self._options_2 = Storage(0x0FFF_0000, writable=0x0FFF_0000)
        self._keys = KeySequence(_KEYS)
        self._option_keys = KeySequence(_OPTION_KEYS)
        self._status = 0
        self._control = 0
        super().__init__(
            "FLASH",
            ADDRESS,
            {
                0x00: Register(self._access.read, self._write_access),
                0x04: write_only(self._keys.write),
                0x08: write_only(self._option_keys.write),
                0x0C: Register(self._read_status, self._clear_status, merges=False),
                0x10: Register(self._read_control, self._write_control),
                0x14: Register(self._read_options, self._write_options),
                0x18: Register(self._options_2.read, self._write_options_2),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: locked, no wait states. Option bytes stay."""
        self._access.reset()
        self._set_acr(0)
        self._keys.reset()
        self._option_keys.reset()
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

    def _write_access(self, value: int) -> None:
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
                self._memory[start:end] = bytes([ERASED]) * (end - start)
                self._changed(start, end - start)
            self._end()

    def _chosen_sectors(self) -> Iterable[tuple[int, int]]:
        if self._control & _PG:
            return []
        if self._control & (_MER | _MER1):
            first = 0 if self._control & _MER else _BANK_SECTORS
            last = 2 * _BANK_SECTORS if self._control & _MER1 else _BANK_SECTORS
            return self._sectors[first:last]
        if self._control & _SER:
            code = self._control >> 3 & 0x1F
            bank, number = divmod(code, _BANK_CODES)
            at = bank * _BANK_SECTORS + number
            return self._sectors[at : at + 1] if number < _BANK_SECTORS else []
        return []

    def _is_protected(self, offset: int) -> bool:
        """Whether the option bytes forbid writing the sector (nWRP is active low)."""
        number = bisect_right(self._ends, offset)
        options = self._options if number < _BANK_SECTORS else self._options_2
        return not options.value >> (16 + number % _BANK_SECTORS) & 1

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

    def _read_options(self) -> int:
        return self._options.value | (_OPTLOCK if self._option_keys.locked else 0)

    def _write_options(self, value: int) -> None:
        if self._option_keys.locked:
            return
        self._options.write(value)
        if value & _OPTLOCK:
            self._option_keys.lock()

    def _write_options_2(self, value: int) -> None:
        if not self._option_keys.locked:
            self._options_2.write(value)


class KeySequence:
    """A lock that two writes open and a wrong one jams until the next reset."""

    def __init__(self, keys: tuple[int, int]) -> None:
        self._expected = keys
        self._position = 0
        self._jammed = False
        self.locked = True

    def write(self, value: int) -> None:
        """Take a key."""
        if self._jammed or not self.locked:
            return
        if value != self._expected[self._position]:
            self._jammed = True
        elif self._position == 0:
            self._position = 1
        else:
            self.lock()
            self.locked = False

    def lock(self) -> None:
        """Lock it; the same keys open it again."""
        self.locked = True
        self._position = 0

    def reset(self) -> None:
        """Lock it and clear a jam."""
        self.lock()
        self._jammed = False
