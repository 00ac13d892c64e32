"""Option bytes: what outlives power, and how a chip starts and is protected by them.

Source: RM0090 sections 3.6, 3.7 and 3.9.10; table 14 for where they stand in memory.
"""

from collections.abc import Callable, Iterable

from hil.targets.emulator.chips.stm32.key_sequence import KeySequence
from hil.targets.emulator.chips.stm32.option_bytes import KEYS, MEMORY_BYTES, level_of
from hil.targets.emulator.core.registers import Storage

BANK_SECTORS = 12
MEMORIES = (0x1FFF_C000, 0x1FFE_C000)
"""Where the first bank's and the second bank's option bytes are read."""

_WRITE_PROTECTION_AT = 8

# FLASH_OPTCR
_OPTLOCK = 1 << 0
_OPTSTRT = 1 << 1
_BFB2 = 1 << 4
_WDG_SW = 1 << 5
_FACTORY = (0x0FFF_AAEC, 0x0FFF_0000)
_WRITABLE = (0xFFFF_FFEC | _BFB2, 0x0FFF_0000)


class OptionBytes:
    """Both registers, FLASH_OPTCR and OPTCR1, and what they have programmed.

    Args:
        has_second_bank: whether there is an OPTCR1, and a BFB2.
        erase_all: called when the read-out protection is given up, which costs the flash.
        on_change: called when other sectors may be protected.

    Attributes:
        memories: what is read at `MEMORIES`.
    """

    def __init__(
        self,
        *,
        has_second_bank: bool,
        erase_all: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._erase_all, self._on_change = erase_all, on_change
        self._keys = KeySequence(KEYS)
        unused = 0 if has_second_bank else _BFB2
        self._registers = tuple(
            Storage(factory, writable=writable & ~unused)
            for factory, writable in zip(_FACTORY, _WRITABLE, strict=True)
        )
        self._programmed = list(_FACTORY)
        self.memories = tuple(bytearray(b"\xff" * MEMORY_BYTES) for _ in MEMORIES)
        self._show()

    def reset(self) -> None:
        """Load what is programmed; lock."""
        self._keys.reset()
        self._load()

    def program(self, value: int, value_2: int | None = None) -> None:
        """Set option bytes as a programmer's tool would, and load them.

        Args:
            value: of FLASH_OPTCR.
            value_2: of FLASH_OPTCR1; None leaves it as it is.
        """
        self._registers[0].write(value)
        if value_2 is not None:
            self._registers[1].write(value_2)
        self._program()
        self._load()

    def placed(self) -> Iterable[tuple[int, bytearray]]:
        """Return where each bank's option bytes are read, with them."""
        return zip(MEMORIES, self.memories, strict=True)

    @property
    def value(self) -> int:
        """What is programmed of FLASH_OPTCR."""
        return self._programmed[0]

    @property
    def level(self) -> int:
        """The read-out protection: 0, 1 or 2."""
        return level_of(self.value >> 8 & 0xFF)

    @property
    def starts_watchdog(self) -> bool:
        """Whether the independent watchdog runs from reset on."""
        return not self.value & _WDG_SW

    @property
    def boots_second_bank(self) -> bool:
        """Whether the second bank's program is started, if there is one."""
        return bool(self.value & _BFB2)

    def is_protected(self, sector: int) -> bool:
        """Whether a sector must not be written (nWRP is active low)."""
        programmed = self._programmed[sector // BANK_SECTORS]
        return not programmed >> (16 + sector % BANK_SECTORS) & 1

    # registers

    def unlock(self, key: int) -> None:
        """Take a key, FLASH_OPTKEYR."""
        self._keys.write(key)

    def read(self) -> int:
        """Return FLASH_OPTCR."""
        return self._registers[0].value | (_OPTLOCK if self._keys.locked else 0)

    def write(self, value: int) -> None:
        """Take FLASH_OPTCR."""
        if self._keys.locked:
            return
        self._registers[0].write(value & ~(_OPTLOCK | _OPTSTRT))
        if value & _OPTSTRT:
            self._program()
        if value & _OPTLOCK:
            self._keys.lock()

    def read_2(self) -> int:
        """Return FLASH_OPTCR1."""
        return self._registers[1].value

    def write_2(self, value: int) -> None:
        """Take FLASH_OPTCR1."""
        if not self._keys.locked:
            self._registers[1].write(value)

    def _load(self) -> None:
        for register, value in zip(self._registers, self._programmed, strict=True):
            register.value = value

    def _program(self) -> None:
        level = self.level
        if level == 2:
            return  # for ever
        self._programmed = [register.value for register in self._registers]
        if level == 1 and self.level == 0:
            self._erase_all()
        self._show()

    def _show(self) -> None:
        self._on_change()
        first, second = self._programmed
        for memory, at, half in (
            (self.memories[0], 0, first & 0xFFFF),
            (self.memories[0], _WRITE_PROTECTION_AT, first >> 16),
            (self.memories[1], _WRITE_PROTECTION_AT, second >> 16),
        ):
            memory[at : at + 2] = half.to_bytes(2, "little")
