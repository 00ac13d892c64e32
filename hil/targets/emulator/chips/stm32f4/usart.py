"""The USARTs of an STM32F4. Source: RM0090 sections 30.3 and 30.6."""

from hil.targets.emulator.chips.stm32.usart import Baud, Usart, Wiring
from hil.targets.emulator.core.registers import Register, Storage, ignore

_UE = 1 << 13
_REST = (0x10, 0x14, 0x18)  # CR2, CR3, GTPR


class Stm32F4Usart(Usart):
    """One USART: one data register, one status register."""

    def __init__(self, name: str, address: int, irq: int, wiring: Wiring) -> None:
        super().__init__(name, address, irq, wiring, enable=_UE, baud=Baud())
        self._control.writable = 0xFFFF
        self._rest = {offset: Storage(writable=0xFFFF) for offset in _REST}
        self.registers |= {
            # The flags modelled here follow the data, whatever a store to the status says.
            0x00: Register(self._read_status, ignore, merges=False),
            0x04: Register(self._read_data, self._write_data, merges=False),
            0x08: Register(self._baud.read, self._write_baud),
            0x0C: Register(self._control.read, self._write_control),
            **{offset: storage.register() for offset, storage in self._rest.items()},
        }

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        super().reset()
        for storage in self._rest.values():
            storage.reset()
