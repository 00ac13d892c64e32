"""Which pins carry a USART's lines. Source: STM32F439 data sheet, table 12."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32f4.gpio import GpioPort
from hil.targets.emulator.chips.stm32f4.usart import Usart

_FUNCTION = 7  # AF7: USART1 to USART3


@dataclass(frozen=True)
class _Pins:
    transmit: Sequence[str]
    receive: Sequence[str]


_PINS = {
    "usart1": _Pins(("A9", "B6"), ("A10", "B7")),
    "usart2": _Pins(("A2", "D5"), ("A3", "D6")),
    "usart3": _Pins(("B10", "C10", "D8"), ("B11", "C11", "D9")),
}


class Pins:
    """Connects USARTs to their lines as the GPIO ports say.

    A pin keeps its function when its port's clock goes off again, as on the chip.
    """

    def __init__(self, ports: Mapping[str, GpioPort], usarts: Mapping[str, Usart]) -> None:
        self._ports = ports
        self._usarts = usarts
        for port in ports.values():
            port.on_route = self.route

    def route(self) -> None:
        """Look at the pins' functions anew."""
        for name, usart in self._usarts.items():
            pins = _PINS[name]
            usart.transmits = any(self._carries(pin) for pin in pins.transmit)
            usart.receives = any(self._carries(pin) for pin in pins.receive)

    def _carries(self, pin: str) -> bool:
        return self._ports[pin[0]].function(int(pin[1:])) == _FUNCTION
