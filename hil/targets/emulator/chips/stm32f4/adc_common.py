"""What the three ADCs share. Source: RM0090 sections 13.13.15 to 13.13.17."""

import logging
from typing import TYPE_CHECKING

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, read_only

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32f4.adc import Converter

_log = logging.getLogger(__name__)
_MULTI = 0x1F  # CCR


class CommonRegisters(Peripheral):
    """Their flags in one word, the clock's prescaler, the inner channels' switches."""

    bytes = 0x100

    def __init__(self) -> None:
        self._control = Storage(writable=0x00C3_EF1F)
        self.converters: list[Converter] = []
        super().__init__(
            "ADC",
            0x4001_2300,
            {
                0x00: read_only(self._read_status),
                0x04: Register(self._control.read, self._write_control),
                0x08: read_only(self._read_data),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        self._control.reset()

    def divider(self) -> int:
        """Return ADCPRE: cycles of APB2 per cycle of the converters' clock."""
        return 2 * ((self._control.value >> 16 & 3) + 1)

    def control(self) -> int:
        """Return CCR."""
        return self._control.value

    def _write_control(self, value: int) -> None:
        for converter in self.converters:
            converter.advance()
        if value & _MULTI and not self._control.value & _MULTI:
            _log.warning("ADC_CCR.MULTI is not modelled: each ADC converts by itself")
        self._control.write(value)

    def _read_status(self) -> int:
        statuses = (one.read_status() for one in self.converters)
        return sum(status << 8 * at for at, status in enumerate(statuses))

    def _read_data(self) -> int:
        first, second = self.converters[:2]
        return first.data | second.data << 16
