"""SysTick: a 24-bit down-counter on the core clock. Source: ARM DDI 0403E B3.3."""

from collections.abc import Callable

from hil.targets.emulator.core.registers import Peripheral, Register, constant

ADDRESS = 0xE000_E010
_ENABLE = 1
_TICKINT = 2
_CLKSOURCE = 4
_COUNTFLAG = 1 << 16
_MASK = 0xFF_FFFF


class SysTick(Peripheral):
    """Counts from the cycle count instead of every cycle.

    Args:
        now: the core's cycle count.
        on_change: called when the next deadline may have moved.
    """

    models = "counts on the core's clock or an eighth of it, exact to the cycle"

    def __init__(self, now: Callable[[], int], on_change: Callable[[], None]) -> None:
        self._now = now
        self._on_change = on_change
        self._control = 0
        self._reload = 0
        self._held = 0  # the counter while it stands
        self._zero_at: int | None = None  # cycle at which the counter reaches zero next
        self._most = 0  # what it counts down from: above, the reload is one cycle away
        self._counted = False
        self._owes_interrupt = False
        super().__init__(
            "STK",
            ADDRESS,
            {
                0x0: Register(self._read_control, self._write_control, changes=self.deadline),
                0x4: Register(lambda: self._reload, self._write_reload),
                0x8: Register(self._read_current, self._clear_current),
                0xC: constant(0x4000_0000),  # no calibrated value
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        self._control = self._reload = self._held = 0
        self._zero_at = None
        self._counted = self._owes_interrupt = False

    def go_on(self, cycles: int) -> None:
        """Go on as if so many cycles had not been."""
        if self._zero_at is not None:
            self._zero_at += cycles

    def deadline(self) -> int | None:
        """Return the cycle of the next tick, None while the counter stands."""
        return self._zero_at

    def tick(self) -> bool:
        """Catch up with the cycle count; returns whether the tick interrupt is to be pended."""
        self._catch_up()
        owed, self._owes_interrupt = self._owes_interrupt, False
        return owed

    def _catch_up(self) -> int:
        """Reload as often as it was due; returns the cycle count."""
        zero_at, now = self._zero_at, self._now()
        if zero_at is None or now < zero_at:
            return now
        self._counted = True
        self._owes_interrupt |= bool(self._control & _TICKINT)
        if self._reload:
            period = (self._reload + 1) * self._step
            self._zero_at = zero_at + ((now - zero_at) // period + 1) * period
            self._most = self._reload
        else:
            self._zero_at = None  # a reload of zero stops the counter at zero
        return now

    @property
    def _step(self) -> int:
        """The core's cycles per count: the external reference is HCLK/8 (RM0090 section 6.2)."""
        return 1 if self._control & _CLKSOURCE else 8

    def _value_at(self, now: int) -> int:
        if not self._control & _ENABLE:
            return self._held
        if self._zero_at is None:
            return 0
        left = -((now - self._zero_at) // self._step)
        return left if left <= self._most else 0

    def _count_from(self, value: int) -> None:
        """Count down from a value; from zero, the reload value is taken first."""
        counts = value or (self._reload + 1 if self._reload else 0)
        self._most = value or self._reload
        self._zero_at = self._now() + counts * self._step if counts else None

    def _read_control(self) -> int:
        self._catch_up()
        value = self._control | (_COUNTFLAG if self._counted else 0)
        self._counted = False
        return value

    def _write_control(self, value: int) -> None:
        changed, current = self._control ^ value, self._value_at(self._catch_up())
        self._control = value & 7
        if not value & _ENABLE:
            self._held, self._zero_at = current, None
        elif changed & (_ENABLE | _CLKSOURCE):
            self._count_from(current)
        self._on_change()

    def _write_reload(self, value: int) -> None:
        """Take what the counter starts from the next time: it counts on meanwhile."""
        self._catch_up()
        self._reload = value & _MASK
        if self._control & _ENABLE and self._zero_at is None:
            self._count_from(0)
        self._on_change()

    def _read_current(self) -> int:
        return self._value_at(self._catch_up())

    def _clear_current(self, value: int) -> None:
        del value
        self._catch_up()
        self._counted = False
        self._held = 0
        if self._control & _ENABLE:
            self._count_from(0)
        self._on_change()
