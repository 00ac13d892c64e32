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

    def __init__(self, now: Callable[[], int], on_change: Callable[[], None]) -> None:
        self._now = now
        self._on_change = on_change
        self._control = 0
        self._reload = 0
        self._zero_at = 0  # cycle at which the counter reaches zero next
        self._counted = False
        self._owes_interrupt = False
        super().__init__(
            "STK",
            ADDRESS,
            {
                0x0: Register(self._read_control, self._write_control),
                0x4: Register(lambda: self._reload, self._write_reload),
                0x8: Register(self._read_current, self._clear_current),
                0xC: constant(0x4000_0000),  # no calibrated value
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        self._control = self._reload = 0
        self._counted = self._owes_interrupt = False

    def deadline(self) -> int | None:
        """Return the cycle of the next tick, None while the counter is off."""
        return self._zero_at if self._is_counting else None

    def tick(self) -> bool:
        """Catch up with the cycle count; returns whether the tick interrupt is to be pended."""
        self._catch_up()
        owed, self._owes_interrupt = self._owes_interrupt, False
        return owed

    def _catch_up(self) -> None:
        now = self._now()
        if not self._is_counting or now < self._zero_at:
            return
        self._zero_at += ((now - self._zero_at) // self._period + 1) * self._period
        self._counted = True
        self._owes_interrupt |= bool(self._control & _TICKINT)

    @property
    def _is_counting(self) -> bool:
        return bool(self._control & _ENABLE) and self._reload != 0

    @property
    def _period(self) -> int:
        # The external reference is HCLK/8 (RM0090 section 6.2).
        return (self._reload + 1) * (1 if self._control & _CLKSOURCE else 8)

    def _restart(self) -> None:
        self._zero_at = self._now() + self._period
        self._on_change()

    def _read_control(self) -> int:
        self._catch_up()
        value = self._control | (_COUNTFLAG if self._counted else 0)
        self._counted = False
        return value

    def _write_control(self, value: int) -> None:
        was_counting = self._is_counting
        self._control = value & 7
        if self._is_counting and not was_counting:
            self._restart()
        self._on_change()

    def _write_reload(self, value: int) -> None:
        self._reload = value & _MASK
        if self._is_counting and self._zero_at <= self._now():
            self._restart()

    def _read_current(self) -> int:
        if not self._is_counting:
            return 0
        left = self._zero_at - self._now()
        period = self._period
        return (left % period) // (period // (self._reload + 1)) & _MASK

    def _clear_current(self, value: int) -> None:
        del value
        self._counted = False
        if self._is_counting:
            self._restart()
