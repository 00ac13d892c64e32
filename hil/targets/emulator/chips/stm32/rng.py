"""RNG: a number every 40 periods of a clock of 48 MHz, which is taken to run.

The numbers are the same after each reset, so that a program's runs are. Source: RM0090 section 24.
"""

from collections.abc import Callable

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, read_only

_RNGEN, _IE = 1 << 2, 1 << 3
_DRDY = 1 << 0
_CLOCK_HZ = 48_000_000
_PERIODS = 40
_SEED = 0x2545_F491
_WORD = 0xFFFF_FFFF


class RandomNumbers(Peripheral):
    """The random number generator.

    Args:
        address: of its registers.
        irq: its interrupt number.
        now: the core's cycle count.
        core_hz: the core's clock.
        on_change: called when `deadline` or the interrupt line may have changed.

    Attributes:
        irq: its interrupt number.
    """

    models = "a number every 40 periods of 48 MHz, with its interrupt; the same after each reset"

    def __init__(
        self,
        address: int,
        irq: int,
        *,
        now: Callable[[], int],
        core_hz: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        self.irq = irq
        self.sources = (self,)
        self._now = now
        self._core_hz = core_hz
        self._on_change = on_change
        self._control = Storage(writable=_RNGEN | _IE)
        self._number = _SEED
        self._due = 0
        super().__init__(
            "RNG",
            address,
            {
                0x00: Register(self._control.read, self._write_control),
                0x04: read_only(lambda: _DRDY if self._is_ready else 0, lambda: self._due),
                0x08: read_only(self._read_number),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: off, before the first number."""
        self._control.reset()
        self._number = _SEED

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        return bool(self._control.value & _IE) and self.clocked and self._is_ready

    def deadline(self) -> int | None:
        """Return the cycle at which the line rises, None if it does not."""
        waits = self._control.value == _RNGEN | _IE and not self._is_ready
        return self._due if waits else None

    @property
    def _is_ready(self) -> bool:
        return bool(self._control.value & _RNGEN) and self._now() >= self._due

    def _write_control(self, value: int) -> None:
        was_on = self._control.value & _RNGEN
        self._control.write(value)
        if not was_on and self._control.value & _RNGEN:
            self._begin()
        self._on_change()

    def _read_number(self) -> int:
        """Return the next number, or 0 where none is ready."""
        if not self._is_ready:
            return 0
        number = self._number
        number ^= number << 13 & _WORD
        number ^= number >> 17
        number ^= number << 5 & _WORD
        self._number = number
        self._begin()
        self._on_change()
        return number

    def _begin(self) -> None:
        self._due = self._now() + -(-_PERIODS * self._core_hz() // _CLOCK_HZ)
