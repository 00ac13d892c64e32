"""Which bits of RCC give a peripheral its clock, and which hold it in reset."""

from collections.abc import Mapping
from dataclasses import dataclass

ENABLE_TO_RESET = -0x20
"""From an enable register in RCC to the reset register, with a peripheral's bit at the same place:
in the STM32F4 and the STM32L4 alike."""


@dataclass(frozen=True)
class Gate:
    """Which bits of a bus's enable and reset registers are a peripheral's.

    Attributes:
        bits: any of them gives the block its clock; the first holds it in reset.
        reset_bit: holds it in reset where that is another bit.
    """

    bus: str
    bits: tuple[int, ...]
    reset_bit: int | None = None

    @property
    def enable(self) -> int:
        """The bits of the enable register."""
        return sum(1 << bit for bit in self.bits)

    @property
    def reset(self) -> int:
        """The bit of the reset register."""
        return 1 << (self.bits[0] if self.reset_bit is None else self.reset_bit)


@dataclass(frozen=True)
class Unmodelled:
    """Registers of a peripheral that is not modelled: with its clock they keep what is written."""

    address: int
    bytes: int
    gate: Gate


def block_at(blocks: Mapping[str, Unmodelled], address: int) -> str:
    """Return the name of the block that holds an address, empty where none does."""
    found = (n for n, one in blocks.items() if one.address <= address < one.address + one.bytes)
    return next(found, "")


BLOCK_BYTES = 0x400
"""What most peripherals have of a bus."""


def blocks(bus: str, base: int, places: Mapping[str, tuple[int, int]]) -> dict[str, Unmodelled]:
    """Return unmodelled peripherals of a bus by name.

    Args:
        bus: as the gates name it.
        base: its first address.
        places: of each peripheral the offset from there, and its bit.
    """
    return {
        name: Unmodelled(base + at, BLOCK_BYTES, Gate(bus, (bit,)))
        for name, (at, bit) in places.items()
    }
