"""Option bytes of an STM32L4+. Source: RM0432 sections 3.4 and 3.7.8 to 3.7.17."""

from collections.abc import Callable, Iterable

from hil.targets.emulator.chips.stm32.key_sequence import KeySequence
from hil.targets.emulator.chips.stm32.option_bytes import KEYS, MEMORY_BYTES, level_of
from hil.targets.emulator.core.registers import Register, Storage

MEMORIES = (0x1FF0_0000, 0x1FF0_1000)
"""Where the first bank's and the second bank's option bytes are read."""

BANKS = 2

# FLASH_OPTR
_IWDG_SW = 1 << 16
_BFB2 = 1 << 20
_DBANK = 1 << 22
_FACTORY = 0xFFEF_F8AA

_OPTR = 0x20
_WRITE_PROTECTIONS = ((0x2C, 0x30), (0x4C, 0x50))
"""FLASH_WRP1AR, WRP1BR; WRP2AR, WRP2BR: first and last page of a range that must not be written."""
_OTHERS = {0x24: 0xFFFF_FFFF, 0x28: 0, 0x44: 0xFFFF_FFFF, 0x48: 0}  # PCROP: nothing
_NO_PAGE = 0xFF00_FFFF


class OptionBytes:
    """Registers of the option bytes, and what they have programmed.

    Args:
        dual: whether the flash stands in two banks; the board says it, and no program changes it.
        erase_all: called when the read-out protection is given up, which costs the flash.

    Attributes:
        memories: what is read at `MEMORIES`.
    """

    def __init__(self, *, dual: bool, erase_all: Callable[[], None]) -> None:
        self._erase_all = erase_all
        self._keys = KeySequence(KEYS)
        pages = {offset: _NO_PAGE for pair in _WRITE_PROTECTIONS for offset in pair}
        factory = _FACTORY if dual else _FACTORY & ~_DBANK
        self._programmed = {_OPTR: factory, **pages, **_OTHERS}
        self._registers = {
            offset: Storage(value, writable=0xFFFF_FFFF & ~(_DBANK if offset == _OPTR else 0))
            for offset, value in self._programmed.items()
        }
        self.memories = tuple(bytearray(b"\xff" * MEMORY_BYTES) for _ in MEMORIES)
        self._show()

    def reset(self) -> None:
        """Load what is programmed; lock."""
        self._keys.reset()
        self.load()

    def program(self, value: int) -> None:
        """Set FLASH_OPTR as a programmer's tool would, and load it."""
        self._registers[_OPTR].write(value)
        self.start()
        self.load()

    def placed(self) -> Iterable[tuple[int, bytearray]]:
        """Return where each bank's option bytes are read, with them."""
        return zip(MEMORIES, self.memories, strict=True)

    @property
    def value(self) -> int:
        """What is programmed of FLASH_OPTR."""
        return self._programmed[_OPTR]

    @property
    def level(self) -> int:
        """The read-out protection: 0, 1 or 2."""
        return level_of(self.value & 0xFF)

    @property
    def starts_watchdog(self) -> bool:
        """Whether the independent watchdog runs from reset on."""
        return not self.value & _IWDG_SW

    @property
    def boots_second_bank(self) -> bool:
        """Whether the second bank's program is started, if there is one."""
        return bool(self.value & _BFB2 and self.value & _DBANK)

    def is_protected(self, bank: int, page: int) -> bool:
        """Whether a page of a bank must not be written.

        Args:
            bank: its number.
            page: its number within the bank.
        """
        ranges = (self._programmed[offset] for offset in _WRITE_PROTECTIONS[bank])
        return any(one & 0xFF <= page <= one >> 16 & 0xFF for one in ranges)

    # registers

    @property
    def locked(self) -> bool:
        """FLASH_CR.OPTLOCK."""
        return self._keys.locked

    def unlock(self, key: int) -> None:
        """Take a key, FLASH_OPTKEYR."""
        self._keys.write(key)

    def lock(self) -> None:
        """Lock them."""
        self._keys.lock()

    def registers(self) -> dict[int, Register]:
        """Return the registers, by offset in FLASH."""
        return {
            at: Register(one.read, self._if_unlocked(one)) for at, one in self._registers.items()
        }

    def start(self) -> None:
        """Program what the registers say: FLASH_CR.OPTSTRT."""
        level = self.level
        if level == 2:
            return  # for ever
        self._programmed = {at: one.value for at, one in self._registers.items()}
        if level == 1 and self.level == 0:
            self._erase_all()
        self._show()

    def load(self) -> None:
        """Have the registers say what is programmed."""
        for offset, value in self._programmed.items():
            self._registers[offset].value = value

    def _if_unlocked(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            if not self._keys.locked:
                storage.write(value)

        return write

    def _show(self) -> None:
        for memory in self.memories:
            memory[0:8] = b"".join(
                word.to_bytes(4, "little") for word in (self.value, self.value ^ 0xFFFF_FFFF)
            )
