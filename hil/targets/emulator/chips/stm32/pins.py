"""Which pins carry a serial port's lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32.gpio import GpioPort
from hil.targets.emulator.chips.stm32.usart import Usart


@dataclass(frozen=True)
class SerialPins:
    """Pins of one port, such as A9, and the number of the alternate function that it is there."""

    transmit: Sequence[str]
    receive: Sequence[str]
    function: int = 7


class Pins:
    """Connects USARTs to their lines as the GPIO ports say.

    A pin keeps its function when its port's clock goes off again, as on the chip.

    Args:
        ports: by letter.
        usarts: by lower-case name. pins: of each.
    """

    def __init__(
        self,
        ports: Mapping[str, GpioPort],
        usarts: Mapping[str, Usart],
        pins: Mapping[str, SerialPins],
    ) -> None:
        self._ports = ports
        self._usarts = usarts
        self._pins = pins
        for port in ports.values():
            port.on_route = self.route

    def route(self) -> None:
        """Look at the pins' functions anew."""
        for name, usart in self._usarts.items():
            pins = self._pins[name]
            usart.transmits = any(self._carries(pin, pins.function) for pin in pins.transmit)
            usart.receives = any(self._carries(pin, pins.function) for pin in pins.receive)

    def _carries(self, pin: str, function: int) -> bool:
        return self._ports[pin[0]].function(int(pin[1:])) == function
