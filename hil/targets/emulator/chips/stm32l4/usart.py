"""The serial ports of an STM32L4+: USARTs and the low-power one.

Source: RM0432 sections 49.5.7, 49.8, 50.4.7 and 50.7.
"""

from hil.targets.emulator.chips.stm32.usart import (
    ERRORS,
    IDLE,
    LBD,
    RE,
    TC,
    TE,
    Baud,
    Usart,
    Wiring,
)
from hil.targets.emulator.core.registers import Register, Storage, ignore, read_only, write_only

_UE = 1 << 0
_TEACK, _REACK = 1 << 21, 1 << 22
_REST = (0x10, 0x14)  # GTPR, RTOR
_CLEARED = ERRORS | IDLE | LBD  # by ICR, where each flag has the place that it has in ISR
_PRESCALERS = (1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256)
LOW_POWER = Baud(least=0x300, bits=20, per_cycle=256)
"""LPUART: BRR counts 256ths of a cycle of its clock, in 20 bits."""


class Stm32L4Usart(Usart):
    """One serial port: data come and go by registers of their own."""

    def __init__(
        self, name: str, address: int, irq: int, wiring: Wiring, *, baud: Baud | None = None
    ) -> None:
        super().__init__(
            *(name, address, irq, wiring),
            enable=_UE,
            baud=baud or Baud(),
            read_at=(0x1C, 0x24),
            write_at=0x28,
        )
        self._rest = {offset: Storage() for offset in _REST}
        self._prescaler = Storage(writable=0xF)
        self.registers |= {
            0x00: Register(self._control.read, self._write_control),
            0x0C: Register(self._baud.read, self._write_baud),
            0x04: self._control_2.register(),
            0x08: Register(self._control_3.read, self._write_control_3),
            0x18: write_only(ignore),
            0x1C: read_only(lambda: self._read_status() | self._acknowledged(), self.changes),
            0x20: write_only(self._clear_flags),
            0x24: read_only(self._take_data),
            0x28: Register(lambda: 0, self._write_data, merges=False),
            0x2C: self._prescaler.register(),
            **{offset: storage.register() for offset, storage in self._rest.items()},
        }

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        super().reset()
        self._prescaler.reset()
        for storage in self._rest.values():
            storage.reset()

    def _clear_flags(self, value: int) -> None:
        self._flags &= ~(value & _CLEARED)
        if value & TC:
            self._forget_completion()
        self._core.attend()

    def _take_data(self) -> int:
        data = self._read_data()
        self._lend()
        return data

    def _steady_status(self) -> int | None:
        return self._status() | self._acknowledged()

    def _acknowledged(self) -> int:
        """Return the flags that say which halves are on."""
        control = self._control.value
        if not control & _UE:
            return 0
        return (_TEACK if control & TE else 0) | (_REACK if control & RE else 0)

    def _byte_cycles(self) -> int:
        divider = _PRESCALERS[min(self._prescaler.value, len(_PRESCALERS) - 1)]
        return super()._byte_cycles() * divider
