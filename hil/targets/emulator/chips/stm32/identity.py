"""What the chip says it is: DBGMCU, unique id, flash size.

Source: RM0090 sections 38.6 and 39, RM0432 sections 57.6 and 58.
"""

import hashlib
from dataclasses import dataclass

from hil.targets.emulator.core.registers import StoragePeripheral, constant


@dataclass(frozen=True)
class SystemMemory:
    """A family's read-only page with the device signature.

    Attributes:
        address, bytes: of the page.
        unique_id, flash_size: where each stands in it.
    """

    address: int
    bytes: int
    unique_id: int
    flash_size: int

    def content(self, unique_id: str, flash_bytes: int) -> bytearray:
        """Return what stands in the page; the boot ROM itself is empty.

        Args:
            unique_id: of the board; the chip's is made of it.
            flash_bytes: of the part.
        """
        memory = bytearray(b"\xff" * self.bytes)
        digest = hashlib.sha256(unique_id.encode()).digest()[:12]
        memory[self.unique_id : self.unique_id + 12] = digest
        size_kib = (flash_bytes // 1024).to_bytes(2, "little")
        memory[self.flash_size : self.flash_size + 2] = size_kib
        return memory


_CONTROL = 0x4
_DBG_SLEEP = 1 << 0


class DebugMcu(StoragePeripheral):
    """DBGMCU: the id code, what runs on in sleep, and freeze bits that keep what is written.

    Args:
        dev_id, rev_id: of the part. reserved: what other bits of the id code read as.
    """

    def __init__(self, dev_id: int, rev_id: int, reserved: int = 0) -> None:
        super().__init__("DBGMCU", 0xE004_2000, {_CONTROL: 0, 0x8: 0, 0xC: 0, 0x10: 0})
        self.registers[0x0] = constant(rev_id << 16 | reserved | dev_id)

    @property
    def clocks_sleep(self) -> bool:
        """Whether the core's clock, and with it the cycle counter, runs on in sleep."""
        return bool(self._storage[_CONTROL].value & _DBG_SLEEP)

    def reset(self) -> None:
        """Keep everything: only power-on resets it."""
