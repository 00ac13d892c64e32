"""Timers as counters: prescaler, reload, one pulse, update and compare flags and interrupts.

No capture, no output on a pin, no slave mode; they count up. Source: RM0090 sections 17 to 20,
RM0432 section 38.4 (TIM2 to TIM5).
"""

from collections.abc import Callable, Iterator

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only

_CEN = 1 << 0
_URS, _OPM = 1 << 2, 1 << 3
_UIF = _UIE = _UG = 1 << 0
EVERY_FLAG, UPDATES = 0x1F, 1 << 0
_COMPARES = 0x1E
_FIRST_COMPARE = 0x34


class Timer(Peripheral):
    """One timer that counts up.

    Args:
        now: the core's cycle count.
        clock_divider: the core's cycles per cycle of its clock.
        on_change: called when `deadline` or the interrupt line may have changed.
        bits: of the counter.
        channels: that compare.
        compare_irq: of its compare channels, 0 where they share `irq`.

    Attributes:
        irq: its interrupt number.
    """

    def __init__(
        self,
        name: str,
        address: int,
        irq: int,
        *,
        now: Callable[[], int],
        clock_divider: Callable[[], float],
        on_change: Callable[[], None],
        bits: int = 32,
        channels: int = 4,
        compare_irq: int = 0,
    ) -> None:
        self.irq = irq
        self.sources = (self, CompareLine(self, compare_irq)) if compare_irq else (self,)
        self._now = now
        self._clock_divider = clock_divider
        self._on_change = on_change
        most = (1 << bits) - 1
        self._control, self._enables = Storage(writable=0xFFFF), Storage(writable=0xFFFF)
        self._reload = Storage(most, writable=most)
        self._wanted_prescaler = Storage(writable=0xFFFF)
        self._most = most
        self._compares = [Storage(writable=most) for _ in range(channels)]
        self._modes = [Storage(writable=0xFFFF) for _ in range(3)]  # CCMR1, CCMR2, CCER
        self._lines = UPDATES if compare_irq else EVERY_FLAG
        self._status = 0
        self._count = 0
        self._counted_at: float = 0  # the cycle at which it came to that count
        self._prescaler = 0
        self._divider: float = 1
        super().__init__(
            name,
            address,
            {
                0x00: Register(self._control.read, self._syncing(self._control)),
                0x04: Storage().register(),
                0x08: Storage().register(),
                0x0C: Register(self._enables.read, self._syncing(self._enables)),
                0x10: Register(
                    self._read_status, self._clear_status, merges=False, changes=self.changes
                ),
                0x14: write_only(self._generate),
                0x24: Register(self._read_count, self._write_count),
                0x28: self._wanted_prescaler.register(),
                0x2C: Register(self._reload.read, self._syncing(self._reload)),
                **{0x18 + 4 * at: mode.register() for at, mode in enumerate(self._modes)},
                **{
                    _FIRST_COMPARE + 4 * at: Register(compare.read, self._syncing(compare))
                    for at, compare in enumerate(self._compares)
                },
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: it stands at 0."""
        for storage in (self._control, self._enables, self._reload, self._wanted_prescaler):
            storage.reset()
        for storage in (*self._compares, *self._modes):
            storage.reset()
        self._status = self._count = self._prescaler = 0
        self.sync()

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        return self.raises(self._lines)

    def raises(self, flags: int) -> bool:
        """Whether one of some flags is set that has its interrupt enabled."""
        wanted = self._enables.value & flags
        if not wanted:
            return False
        self._advance()
        return bool(self._status & wanted)

    def deadline(self) -> int | None:
        """Return the cycle at which the line rises, None if it does not."""
        wanted = self._enables.value & ~self._status & EVERY_FLAG
        if not wanted or not self._runs:
            return None
        left = [self._reload.value + 1 - self._count] if wanted & _UIE else []
        left += [n for flag, n in self._matches() if wanted & flag]
        return int(self._counted_at + min(left) * self._period) + 1 if left else None

    def changes(self) -> int | None:
        """Return the cycle at which the next flag is set, None while the timer stands."""
        if not self._runs:
            return None
        left = min((n for _, n in self._matches()), default=self._most)
        left = min(left, self._reload.value + 1 - self._count)
        return int(self._counted_at + left * self._period)

    def _matches(self) -> Iterator[tuple[int, int]]:
        """Yield the flag of each channel that will match, and the counts until then."""
        period = self._reload.value + 1
        for channel, compare in enumerate(self._compares):
            if compare.value < period:
                yield 2 << channel, (compare.value - self._count - 1) % period + 1

    def before_clock(self, core_hz: int) -> None:
        """Count up to now, and go on at what its clock then is."""
        del core_hz
        self.sync()

    def sync(self) -> None:
        """Count up to now, and go on at what its clock then is."""
        self._advance()
        self._counted_at = self._counted_at if self._runs else self._now()
        self._divider = self._clock_divider()

    @property
    def _runs(self) -> bool:
        return bool(self._control.value & _CEN)

    @property
    def _period(self) -> float:
        """The core's cycles per count."""
        return self._divider * (self._prescaler + 1)

    def _advance(self) -> None:
        if not self._runs:
            return
        counts = int((self._now() - self._counted_at) / self._period)
        if counts <= 0:
            return
        self._counted_at += counts * self._period
        for flag, left in self._matches():
            self._status |= flag if left <= counts else 0
        if self._control.value & _OPM and self._count + counts > self._reload.value:
            self._control.value &= ~_CEN
            self._count = 0
            self._update()
            return
        whole, self._count = divmod(self._count + counts, self._reload.value + 1)
        if whole:
            self._update()

    def _update(self) -> None:
        self._status |= _UIF
        self._prescaler = self._wanted_prescaler.value

    def _syncing(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            self.sync()
            storage.write(value)
            self.sync()
            self._on_change()

        return write

    def _generate(self, value: int) -> None:
        if value & _UG:
            self.sync()
            self._count, self._counted_at = 0, self._now()
            self._prescaler = self._wanted_prescaler.value
            self._status |= 0 if self._control.value & _URS else _UIF
        self._status |= value & _COMPARES
        self._on_change()

    def _read_status(self) -> int:
        self._advance()
        return self._status

    def _clear_status(self, value: int) -> None:
        self._advance()
        self._status &= value
        self._on_change()

    def _read_count(self) -> int:
        self._advance()
        return self._count

    def _write_count(self, value: int) -> None:
        self.sync()
        self._count, self._counted_at = value & self._most, self._now()
        self._on_change()


class CompareLine:
    """The interrupt that an advanced timer has for its compare channels alone.

    Attributes:
        irq: its interrupt number.
    """

    def __init__(self, timer: Timer, irq: int) -> None:
        self.irq = irq
        self._timer = timer

    @property
    def clocked(self) -> bool:
        """Whether the timer has its clock."""
        return self._timer.clocked

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        return self._timer.raises(_COMPARES)

    def deadline(self) -> int | None:
        """Return None: the timer tells of its own."""
        return None
