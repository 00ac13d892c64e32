"""GPIO ports as registers: outputs read back, inputs follow their pulls.

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
    """One port of 16 pins.

    Attributes:
        on_route: called when pins may have another function.
        driven: pins that something outside holds high, whatever their pulls.
    """

    def __init__(self, port: str, layout: PortLayout) -> None:
        self.on_route: Callable[[], None] = lambda: None
        self.driven = 0
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
                0x04: self._type.register(),
                0x08: self._speed.register(),
                0x0C: self._pull.register(),
                0x10: read_only(self._read_input),
                0x14: self._output.register(),
                0x18: write_only(self._set_and_reset),
                0x1C: lock.register(),
                0x20: Register(low.read, self._routing(low)),
                0x24: Register(high.read, self._routing(high)),
                0x28: write_only(lambda value: self._set_and_reset(value << 16)),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (
            self._mode, self._type, self._speed, self._pull, self._output, *self._rest,
        ):  # fmt: skip
            storage.reset()
        self.on_route()

    def function(self, pin: int) -> int | None:
        """Return the number of a pin's alternate function, None where it has none."""
        if self._mode.value >> 2 * pin & 3 != _ALTERNATE:
            return None
        half = self._rest[1 + pin // 8]
        return half.value >> 4 * (pin % 8) & 0xF

    def _routing(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            storage.write(value)
            self.on_route()

        return write

    def _read_input(self) -> int:
        value = self.driven
        for pin in range(16):
            if self._mode.value >> 2 * pin & 3 == _OUTPUT:
                value |= self._output.value & 1 << pin
            elif self._pull.value >> 2 * pin & 3 == _PULL_UP:
                value |= 1 << pin
        return value

    def _set_and_reset(self, value: int) -> None:
        self._output.value = (self._output.value & ~(value >> 16) | value) & 0xFFFF


def all_ports(layout: PortLayout) -> Mapping[str, GpioPort]:
    """Return a family's ports, by letter."""
    return {port: GpioPort(port, layout) for port in layout.ports}
