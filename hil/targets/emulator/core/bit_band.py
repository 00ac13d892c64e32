"""Bit-band aliases: each bit of a region as a word of its own. Source: ARM DDI 0439D 3.7."""

from collections.abc import Callable
from dataclasses import dataclass

SRAM_ALIAS = 0x2200_0000
PERIPHERAL_ALIAS = 0x4200_0000
PERIPHERALS = 0x4000_0000
PERIPHERAL_BYTES = 0x10_0000


@dataclass(frozen=True)
class BitBand:
    """One alias.

    Attributes:
        alias: its first address. region: the first address of what it stands for.
        read, write: access a word of the region.
    """

    alias: int
    region: int
    region_bytes: int
    read: Callable[[int], int]
    write: Callable[[int, int], None]

    @property
    def bytes(self) -> int:
        """Length of the alias."""
        return 32 * self.region_bytes

    def holds(self, address: int) -> bool:
        """Whether an address lies in the alias."""
        return self.alias <= address < self.alias + self.bytes

    def read_bit(self, address: int, size: int) -> int:
        """Return the bit that an alias address stands for.

        Args:
            address: in the alias region.
            size: 1, 2 or 4 bytes.
        """
        del size
        word, bit = self._place(address)
        return self.read(word) >> bit & 1

    def write_bit(self, address: int, size: int, value: int) -> None:
        """Change the bit that an alias address stands for, by reading and writing its word.

        Args:
            address: in the alias region.
            size: 1, 2 or 4 bytes.
            value: whose lowest bit counts.
        """
        del size
        word, bit = self._place(address)
        self.write(word, self.read(word) & ~(1 << bit) | (value & 1) << bit)

    def _place(self, address: int) -> tuple[int, int]:
        index = (address - self.alias) // 4
        return self.region + index // 32 * 4, index % 32
