"""The USARTs of an STM32F4. Source: RM0090 sections 30.3 and 30.6."""

from hil.targets.emulator.chips.stm32.usart import ERRORS, IDLE, LBD, RXNE, TC, Baud, Usart, Wiring
from hil.targets.emulator.core.registers import Register, Storage

_UE = 1 << 13
_SBK = 1 << 0


class Stm32F4Usart(Usart):
    """One USART: one data register, one status register."""

    def __init__(self, name: str, address: int, irq: int, wiring: Wiring) -> None:
        super().__init__(
            *(name, address, irq, wiring),
            enable=_UE,
            baud=Baud(),
            read_at=(0x00, 0x04),
            write_at=0x04,
        )
        for storage in (self._control, self._control_2, self._control_3):
            storage.writable = 0xFFFF
        self._guard_time = Storage(writable=0xFFFF)
        self._seen = 0  # flags that a read of the status has shown: a read of the data clears them
        self.registers |= {
            0x00: Register(
                self._show_status, self._clear_flags, merges=False, changes=self.changes
            ),
            0x04: Register(self._take_data, self._write_data, merges=False),
            0x08: Register(self._baud.read, self._write_baud),
            0x0C: Register(self._control.read, self._take_control),
            0x10: self._control_2.register(),
            0x14: Register(self._control_3.read, self._write_control_3),
            0x18: self._guard_time.register(),
        }

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        super().reset()
        self._seen = 0
        self._guard_time.reset()

    def _show_status(self) -> int:
        status = self._read_status()
        self._seen = status & (ERRORS | IDLE)
        return status

    def _steady_status(self) -> int | None:
        status = self._status()
        return status if self._seen == status & (ERRORS | IDLE) else None

    def _take_data(self) -> int:
        data = self._read_data()
        self._flags &= ~self._seen
        self._seen = 0
        self._lend()
        return data

    def _clear_flags(self, value: int) -> None:
        """Clear what is cleared by writing zero: LBD, TC, and RXNE for chained buffers."""
        self._flags &= value | ~LBD
        if not value & TC:
            self._forget_completion()
        if not value & RXNE:
            self._full = False
        self._core.attend()

    def _take_control(self, value: int) -> None:
        self._write_control(value & ~_SBK)  # a break is out by the time that anybody looks
