"""The chip's pins: which carry a serial port's lines, and what is around them.

A pin is named as its data sheet does, such as PA9.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hil.errors import UsageError
from hil.targets.emulator.chips.stm32.gpio import GpioPort
from hil.targets.emulator.chips.stm32.timer import Timer
from hil.targets.emulator.chips.stm32.usart import Usart

_PINS_OF_A_PORT = 16


@dataclass(frozen=True)
class SerialPins:
    """Pins of one port, such as A9, and the number of the alternate function that it is there."""

    transmit: Sequence[str]
    receive: Sequence[str]
    function: int = 7


class Pins:
    """Connects the ports' pins to USARTs, to EXTI and to what is around the chip.

    A pin keeps its function when its port's clock goes off again, as on the chip.

    Args:
        ports: by letter.
        usarts: by lower-case name. pins: of each.

    Attributes:
        on_edge: called with a port's letter, the number of a pin that EXTI listens to, and its
            new level.
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
        self.on_edge: Callable[[str, int, bool], None] = lambda _port, _pin, _level: None
        self._watchers: dict[tuple[str, int], list[Callable[[bool], None]]] = {}
        self._heard: Mapping[str, int] = {}
        self._channels: Mapping[tuple[str, int, int], tuple[Timer, int]] = {}
        self._driven: list[tuple[GpioPort, Timer, int]] = []
        self._watched_at_once: set[tuple[str, int]] = set()
        for letter, port in ports.items():
            port.on_route = self.route
            port.on_levels = self._teller(letter)

    # what is around the chip

    def drive(self, name: str, *, level: bool | None) -> None:
        """Hold a pin at a level from outside; None lets it go. The core stands meanwhile.

        Args:
            name: such as "PA0".
            level: True for high.

        Raises:
            UsageError: there is no such pin.
        """
        letter, pin = self.place(name)
        port = self._ports[letter]
        before = port.levels() >> pin & 1
        port.drive(1 << pin, level=level)
        after = port.levels() >> pin & 1
        function = port.function(pin)
        if function is not None and after != before and (letter, pin, function) in self._channels:
            timer, number = self._channels[letter, pin, function]
            timer.take_edge(number, level=bool(after))

    def connect(self, channels: Mapping[tuple[str, int, int], tuple[Timer, int]]) -> None:
        """Let timers have their pins: by port, pin and alternate function."""
        self._channels = channels

        def driver(letter: str) -> Callable[[int, int], bool | None]:
            def level(pin: int, function: int) -> bool | None:
                found = channels.get((letter, pin, function))
                return found[0].level(found[1]) if found else None

            return level

        for letter, port in self._ports.items():
            port.driver = driver(letter)
        for timer in {found[0] for found in channels.values()}:
            timer.inputs.level = self._level_of(timer)

    def _level_of(self, timer: Timer) -> Callable[[int], bool]:
        """Return what tells the level of a timer's pin by its number: low where it has none."""
        places = [(place, found[1]) for place, found in self._channels.items() if found[0] is timer]

        def level(number: int) -> bool:
            return any(
                self._ports[letter].levels() >> pin & 1
                for (letter, pin, function), one in places
                if one == number and self._ports[letter].function(pin) == function
            )

        return level

    def level(self, name: str) -> bool:
        """Return a pin's level. Raises UsageError where there is no such pin."""
        letter, pin = self.place(name)
        return bool(self._ports[letter].levels() >> pin & 1)

    def watch(self, name: str, function: Callable[[bool], None], *, at_once: bool = True) -> None:
        """Call a function with a pin's level whenever it changes. Raises UsageError.

        Args:
            name: such as "PA0".
            function: gets True for high.
            at_once: whether runs end where a timer changes it.
        """
        place = self.place(name)
        if at_once:
            self._watched_at_once.add(place)
        self._watchers.setdefault(place, []).append(function)
        self._listen()

    def place(self, name: str) -> tuple[str, int]:
        """Return a pin's port and number. Raises UsageError where there is no such pin."""
        letter, number = name[1:2].upper(), name[2:]
        known = name[:1] in {"P", "p"} and letter in self._ports and number.isdecimal()
        if not known or int(number) >= _PINS_OF_A_PORT:
            raise UsageError(
                f"the chip has no pin {name!r}",
                hint=f"name it as PA0 is named; its ports are {', '.join(self._ports)}",
            )
        return letter, int(number)

    # what the chip listens to

    def hear(self, masks: Mapping[str, int]) -> None:
        """Have EXTI listen to pins, by port."""
        self._heard = masks
        self._listen()

    def _listen(self) -> None:
        for letter, port in self._ports.items():
            watched = sum(1 << pin for at, pin in self._watchers if at == letter)
            port.watch(watched | self._heard.get(letter, 0))
        self._find_driven()

    def _find_driven(self) -> None:
        """Work out which pins that somebody listens to are outputs of timers."""
        listened = set(self._watched_at_once)
        for letter, mask in self._heard.items():
            listened.update((letter, pin) for pin in range(_PINS_OF_A_PORT) if mask >> pin & 1)
        self._driven = []
        for letter, pin in sorted(listened):
            port = self._ports[letter]
            found = self._channels.get((letter, pin, port.function(pin) or 0))
            if found is not None:
                self._driven.append((port, *found))

    def deadline(self) -> int | None:
        """Return the cycle at which a timer may change a pin that somebody listens to."""
        if not self._driven:  # as nearly always, and asked often
            return None
        dues = (timer.next_edge(number) for _, timer, number in self._driven if timer.clocked)
        return min((due for due in dues if due is not None), default=None)

    def settle(self) -> None:
        """Tell of levels that timers have changed."""
        for port, _, _ in self._driven:
            port.look()

    def _teller(self, letter: str) -> Callable[[int, int], None]:
        def tell(changed: int, levels: int) -> None:
            for pin in range(_PINS_OF_A_PORT):
                if not changed >> pin & 1:
                    continue
                level = bool(levels >> pin & 1)
                for function in self._watchers.get((letter, pin), ()):
                    function(level)
                if self._heard.get(letter, 0) >> pin & 1:
                    self.on_edge(letter, pin, level)

        return tell

    # serial ports

    def route(self) -> None:
        """Look at the pins' functions anew."""
        self._find_driven()
        for name, usart in self._usarts.items():
            pins = self._pins[name]
            usart.transmits = any(self._carries(pin, pins.function) for pin in pins.transmit)
            usart.receives = any(self._carries(pin, pins.function) for pin in pins.receive)

    def _carries(self, pin: str, function: int) -> bool:
        return self._ports[pin[0]].function(int(pin[1:])) == function
