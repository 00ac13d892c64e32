"""The memory protection unit: it keeps its settings and protects nothing.

Source: ARM DDI 0403E B3.5.
"""

from hil.targets.emulator.core.registers import Peripheral, Register, constant

ADDRESS = 0xE000_ED90
_REGIONS = 8
_VALID = 1 << 4


class MemoryProtectionUnit(Peripheral):
    """MPU of eight regions."""

    def __init__(self) -> None:
        registers = {
            0x00: constant(_REGIONS << 8),
            0x04: Register(lambda: self._control, self._write_control),
            0x08: Register(lambda: self._number, self._write_number),
        }
        # RBAR and RASR, and three aliases of the pair for multiple stores.
        for offset in range(0x0C, 0x2C, 8):
            registers[offset] = Register(self._read_base, self._write_base)
            registers[offset + 4] = Register(self._read_attributes, self._write_attributes)
        super().__init__("MPU", ADDRESS, registers)
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset."""
        self._control = 0
        self._number = 0
        self._bases = [0] * _REGIONS
        self._attributes = [0] * _REGIONS

    def _write_control(self, value: int) -> None:
        self._control = value & 7

    def _write_number(self, value: int) -> None:
        self._number = value % _REGIONS

    def _read_base(self) -> int:
        return self._bases[self._number] | self._number

    def _write_base(self, value: int) -> None:
        if value & _VALID:
            self._number = value % _REGIONS
        self._bases[self._number] = value & 0xFFFF_FFE0

    def _read_attributes(self) -> int:
        return self._attributes[self._number]

    def _write_attributes(self, value: int) -> None:
        self._attributes[self._number] = value & 0x173F_FF3F
