"""What the chip says it is: DBGMCU, unique id, flash size. Source: RM0090 sections 38.6 and 39."""

import hashlib

from hil.targets.emulator.core.registers import StoragePeripheral, constant

SYSTEM_MEMORY = 0x1FFF_0000
SYSTEM_MEMORY_BYTES = 0x8000
_UNIQUE_ID_OFFSET = 0x7A10
_FLASH_SIZE_OFFSET = 0x7A22
_IDCODE_RESERVED = 0x6000


_CONTROL = 0x4
_DBG_SLEEP = 1 << 0


class DebugMcu(StoragePeripheral):
    """DBGMCU: the id code, what runs on in sleep, and freeze bits that keep what is written.

    Args:
        dev_id, rev_id: of the part.
    """

    def __init__(self, dev_id: int, rev_id: int) -> None:
        super().__init__("DBGMCU", 0xE004_2000, {_CONTROL: 0, 0x8: 0, 0xC: 0})
        self.registers[0x0] = constant(rev_id << 16 | _IDCODE_RESERVED | dev_id)

    @property
    def clocks_sleep(self) -> bool:
        """Whether the core's clock, and with it the cycle counter, runs on in sleep."""
        return bool(self._storage[_CONTROL].value & _DBG_SLEEP)

    def reset(self) -> None:
        """Keep everything: only power-on resets it."""


def system_memory(unique_id: str, flash_bytes: int) -> bytearray:
    """Return the read-only page with the device signature; the boot ROM itself is empty."""
    memory = bytearray(b"\xff" * SYSTEM_MEMORY_BYTES)
    digest = hashlib.sha256(unique_id.encode()).digest()[:12]
    memory[_UNIQUE_ID_OFFSET : _UNIQUE_ID_OFFSET + 12] = digest
    size_kib = flash_bytes // 1024
    memory[_FLASH_SIZE_OFFSET : _FLASH_SIZE_OFFSET + 2] = size_kib.to_bytes(2, "little")
    return memory
