"""GPIO ports as registers: outputs read back, inputs follow their pulls. Source: RM0090 8.4."""

from collections.abc import Callable, Mapping

from hil.targets.emulator.core.registers import (
    Peripheral,
    Register,
    Storage,
    read_only,
    write_only,
)

_PORTS = "ABCDEFGHIJK"
_MODE_RESETS = {"A": 0xA800_0000, "B": 0x0000_0280}
_SPEED_RESETS = {"A": 0x0C00_0000, "B": 0x0000_00C0}
_PULL_RESETS = {"A": 0x6400_0000, "B": 0x0000_0100}
_OUTPUT = 1
_ALTERNATE = 2
_PULL_UP = 1


class GpioPort(Peripheral):
    """One port of 16 pins.

    Attributes:
        on_route: called when pins may have another function.
    """

    def __init__(self, port: str) -> None:
        self.on_route: Callable[[], None] = lambda: None
        self._mode = Storage(_MODE_RESETS.get(port, 0))
        self._type = Storage(writable=0xFFFF)
        self._speed = Storage(_SPEED_RESETS.get(port, 0))
        self._pull = Storage(_PULL_RESETS.get(port, 0))
        self._output = Storage(writable=0xFFFF)
        self._rest = [Storage(writable=0x1_FFFF), Storage(), Storage()]
        lock, low, high = self._rest
        super().__init__(
            f"GPIO{port}",
            0x4002_0000 + 0x400 * _PORTS.index(port),
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
        value = 0
        for pin in range(16):
            if self._mode.value >> 2 * pin & 3 == _OUTPUT:
                value |= self._output.value & 1 << pin
            elif self._pull.value >> 2 * pin & 3 == _PULL_UP:
                value |= 1 << pin
        return value

    def _set_and_reset(self, value: int) -> None:
        self._output.value = (self._output.value & ~(value >> 16) | value) & 0xFFFF


def all_ports() -> Mapping[str, GpioPort]:
    """Return ports A to K, by letter."""
    return {port: GpioPort(port) for port in _PORTS}
