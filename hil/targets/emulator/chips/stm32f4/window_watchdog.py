"""WWDG: resets the chip unless it is fed within a window. Source: RM0090 section 22."""

from collections.abc import Callable

from hil.targets.emulator.chips.stm32.clocks import WINDOW_WATCHDOG_RESET
from hil.targets.emulator.chips.stm32.watchdog import Watchdog
from hil.targets.emulator.core.registers import Register, Storage

_ADDRESS, _IRQ = 0x4000_2C00, 0
_WDGA, _COUNTER, _T6 = 1 << 7, 0x7F, 1 << 6
_EWI, _WINDOW = 1 << 9, 0x7F
_PCLK_CYCLES = 4096


class WindowWatchdog(Watchdog):
    """WWDG: counts down from 7 bits, and resets the chip where bit 6 becomes zero.

    Args:
        now: the core's cycle count.
        clock_divider: the core's cycles per cycle of its bus.
        on_change: called when `deadline` or the interrupt line may have changed.

    Attributes:
        irq: its interrupt number.
    """

    cause = WINDOW_WATCHDOG_RESET
    models = "window, early warning; resets the chip and says so in RCC_CSR"

    def __init__(
        self,
        now: Callable[[], int],
        clock_divider: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.irq = _IRQ
        self.sources = (self,)
        self._now = now
        self._clock_divider = clock_divider
        self._on_change = on_change
        self._configuration = Storage(0x7F, writable=0x3FF)
        self._forget()
        super().__init__(
            "WWDG",
            _ADDRESS,
            {
                0x0: Register(self._read_control, self._feed),
                0x4: Register(self._configuration.read, self._configure),
                0x8: Register(self._read_status, self._clear_status, merges=False),
            },
        )

    def _forget(self) -> None:
        self._on = self._stands = False
        self._count = _COUNTER
        self._counted_at: float = self._now()
        self._divider: float = self._clock_divider()
        self._warned = self._bites = False

    def reset(self) -> None:
        """Return to the state after reset: it stands."""
        self._configuration.reset()
        self._forget()

    def before_clock(self, core_hz: int) -> None:
        """Count up to now, and go on at what its clock then is."""
        del core_hz
        self._advance()
        self._divider = self._clock_divider()

    def stop(self) -> None:
        """Stand: its clock stops."""
        self._stands = True

    def go_on(self, cycles: int) -> None:
        """Go on as if so many cycles had not been."""
        self._stands = False
        self._counted_at += cycles

    def deadline(self) -> int | None:
        """Return the cycle at which it warns or resets the chip, None while it stands."""
        if not self._on or self._stands:
            return None
        left = self._count - (_T6 if self._count > _T6 else _T6 - 1)
        return int(self._counted_at + left * self._period) + 1

    def is_due(self) -> bool:
        """Whether it has not been fed in its window."""
        self._advance()
        return self._bites

    @property
    def interrupt(self) -> bool:
        """Whether the early warning's line is high."""
        self._advance()
        return self._warned and bool(self._configuration.value & _EWI)

    @property
    def _period(self) -> float:
        """The core's cycles per count."""
        return _PCLK_CYCLES * self._divider * (1 << (self._configuration.value >> 7 & 3))

    def _advance(self) -> None:
        if not self._on or self._stands:
            return
        counts = int((self._now() - self._counted_at) / self._period)
        if counts <= 0:
            return
        self._counted_at += counts * self._period
        before, self._count = self._count, max(self._count - counts, 0)
        self._warned |= before > _T6 >= self._count
        self._bites |= self._count < _T6

    def _read_control(self) -> int:
        self._advance()
        return self._count | (_WDGA if self._on else 0)

    def _feed(self, value: int) -> None:
        self._advance()
        too_early = self._on and self._count > self._configuration.value & _WINDOW
        if not self._on:
            self._counted_at, self._divider = self._now(), self._clock_divider()
        self._on |= bool(value & _WDGA)
        self._count = value & _COUNTER
        self._bites |= self._on and (too_early or not value & _T6)
        self._on_change()

    def _configure(self, value: int) -> None:
        self._advance()
        self._configuration.write(value)
        self._on_change()

    def _read_status(self) -> int:
        self._advance()
        return int(self._warned)

    def _clear_status(self, value: int) -> None:
        self._advance()
        self._warned = self._warned and bool(value & 1)
        self._on_change()
