"""GPIO ports: pins with what firmware puts out on them and what is around the chip.

Source: RM0090 section 8.4, RM0432 section 8.4; the layout is the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.targets.emulator.core.registers import (
    Peripheral,
    Register,
    Storage,
    read_only,
    write_only,
)

_PORT_BYTES = 0x400
_OUTPUT = 1
_ALTERNATE = 2
_ANALOG = 3
_PULL_UP = 1


@dataclass(frozen=True)
class PortLayout:
    """A family's ports.

    Attributes:
        address: of the first.
        ports: their letters, one behind the other.
        mode: of MODER after reset. modes, speeds, pulls: of registers that differ, by letter.
    """

    address: int
    ports: str
    mode: int = 0
    modes: Mapping[str, int] = field(default_factory=dict)
    speeds: Mapping[str, int] = field(default_factory=dict)
    pulls: Mapping[str, int] = field(default_factory=dict)


class GpioPort(Peripheral):
    """One port of 16 pins; a mask has a bit per pin.

    Attributes:
        on_route: called when pins may have another function.
        on_levels: called with the pins among `watched` that have changed, and all levels.
        driver: the level that a peripheral puts on a pin, by pin and alternate function; None
            where none does.
    """

    models = "inputs from outside, pulls, push-pull and open-drain outputs, alternate functions"

    def __init__(self, port: str, layout: PortLayout) -> None:
        self.on_route: Callable[[], None] = lambda: None
        self.on_levels: Callable[[int, int], None] = lambda _changed, _levels: None
        self.driver: Callable[[int, int], bool | None] = lambda _pin, _function: None
        self._watched = self._last = 0
        self._held_high = self._held_low = 0  # by what is around the chip
        self._mode = Storage(layout.modes.get(port, layout.mode))
        self._type = Storage(writable=0xFFFF)
        self._speed = Storage(layout.speeds.get(port, 0))
        self._pull = Storage(layout.pulls.get(port, 0))
        self._output = Storage(writable=0xFFFF)
        self._rest = [Storage(writable=0x1_FFFF), Storage(), Storage()]
        lock, low, high = self._rest
        super().__init__(
            f"GPIO{port}",
            layout.address + _PORT_BYTES * layout.ports.index(port),
            {
                0x00: Register(self._mode.read, self._routing(self._mode)),
                0x04: Register(self._type.read, self._routing(self._type)),
                0x08: self._speed.register(),
                0x0C: Register(self._pull.read, self._routing(self._pull)),
                0x10: read_only(self.levels),
                0x14: Register(self._output.read, self._write_output),
                0x18: write_only(self._set_and_reset),
                0x1C: lock.register(),
                0x20: Register(low.read, self._routing(low)),
                0x24: Register(high.read, self._routing(high)),
                0x28: write_only(lambda value: self._set_and_reset(value << 16)),
            },
        )
        self._sort()

    def reset(self) -> None:
        """Return to the state after reset; what is around the chip stays."""
        for storage in (
            self._mode, self._type, self._speed, self._pull, self._output, *self._rest,
        ):  # fmt: skip
            storage.reset()
        self._sort()
        self.on_route()
        self.look()

    # what is around the chip

    def drive(self, pins: int, *, level: bool | None) -> None:
        """Hold pins at a level from outside; None lets them go.

        Args:
            pins: a mask, one bit for each pin.
            level: True for high.
        """
        self._held_high = self._held_high & ~pins | (pins if level else 0)
        self._held_low = self._held_low & ~pins | (pins if level is False else 0)
        self.look()

    def is_held_high(self, pin: int) -> bool:
        """Whether a pin is held high from outside."""
        return bool(self._held_high >> pin & 1)

    def watch(self, pins: int) -> None:
        """Tell `on_levels` of these pins from now on, and of no others."""
        self._watched = pins
        self._last = self.levels() if pins else 0

    def levels(self) -> int:
        """Return the levels as IDR shows them: an open input without a pull is low."""
        released = self._held_high | self._pulled_up & ~self._held_low
        driven = self._output.value & (released | ~self._type.value)
        value = self._outputs & driven | ~self._outputs & released
        for pin in self._alternates:
            level = self.driver(pin, self._function_number(pin))
            if level is not None:
                value = value & ~(1 << pin) | level << pin
        return value & ~self._analog & 0xFFFF

    def look(self) -> None:
        """Tell of levels that have changed."""
        if not self._watched:
            return
        levels = self.levels()
        changed = (levels ^ self._last) & self._watched
        self._last = levels
        if changed:
            self.on_levels(changed, levels)

    # what the firmware set

    def function(self, pin: int) -> int | None:
        """Return the number of a pin's alternate function, None where it has none."""
        return self._function_number(pin) if pin in self._alternates else None

    def _function_number(self, pin: int) -> int:
        return self._rest[1 + pin // 8].value >> 4 * (pin % 8) & 0xF

    def _routing(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            storage.write(value)
            self._sort()
            self.on_route()
            self.look()

        return write

    def _sort(self) -> None:
        """Work out which pins are what."""
        modes = [self._mode.value >> 2 * pin & 3 for pin in range(16)]
        self._outputs = sum(1 << pin for pin in range(16) if modes[pin] == _OUTPUT)
        self._analog = sum(1 << pin for pin in range(16) if modes[pin] == _ANALOG)
        self._alternates = [pin for pin in range(16) if modes[pin] == _ALTERNATE]
        self._pulled_up = sum(
            1 << pin for pin in range(16) if self._pull.value >> 2 * pin & 3 == _PULL_UP
        )

    def _write_output(self, value: int) -> None:
        self._output.write(value)
        self.look()

    def _set_and_reset(self, value: int) -> None:
        self._output.value = (self._output.value & ~(value >> 16) | value) & 0xFFFF
        self.look()


def all_ports(layout: PortLayout) -> Mapping[str, GpioPort]:
    """Return a family's ports, by letter."""
    return {port: GpioPort(port, layout) for port in layout.ports}
