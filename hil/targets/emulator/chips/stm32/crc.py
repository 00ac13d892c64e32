"""CRC: the checksum unit of the STM32F4: whole words, most significant bit first.

Source: RM0090 section 4.
"""

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only

_POLYNOMIAL = 0x04C1_1DB7
_START = 0xFFFF_FFFF
_WORD = 0xFFFF_FFFF


def _of_byte(byte: int) -> int:
    remainder = byte << 24
    for _ in range(8):
        remainder = (remainder << 1) ^ (_POLYNOMIAL if remainder >> 31 & 1 else 0)
    return remainder & _WORD


_OF_BYTE = [_of_byte(byte) for byte in range(256)]


class ChecksumUnit(Peripheral):
    """CRC-32 of the words written to its data register."""

    models = "the sum of words; IDR"

    def __init__(self, address: int = 0x4002_3000) -> None:
        self._sum = _START
        self._kept = Storage(writable=0xFF)
        super().__init__(
            "CRC",
            address,
            {
                0x0: Register(lambda: self._sum, self._add, merges=False),
                0x4: self._kept.register(),
                0x8: write_only(self._control),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        self._sum = _START
        self._kept.reset()

    def _control(self, value: int) -> None:
        if value & 1:
            self._sum = _START

    def _add(self, word: int) -> None:
        for shift in (24, 16, 8, 0):
            top = self._sum >> 24 ^ word >> shift & 0xFF
            self._sum = (self._sum << 8) & _WORD ^ _OF_BYTE[top]
