"""Timers: time base, channels, requests of DMA, and one timer as the clock of another.

They count up, down or both ways, by their clock, by edges of pins or by another timer's updates.
Dead time and break have no effect.
Source: RM0090 sections 17 to 20, RM0432 section 38.4 (TIM2 to TIM5).
"""

from collections.abc import Callable, Sequence

from hil.targets.emulator.chips.stm32.timer_channels import (
    Channel,
    enable,
    enables,
    modes,
    set_modes,
)
from hil.targets.emulator.chips.stm32.timer_inputs import ETR, CompareLine, Inputs
from hil.targets.emulator.chips.stm32.timer_round import Round
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only
from hil.targets.emulator.core.source import Request

_CEN, _UDIS, _URS, _OPM, _DIR, _ARPE = (1 << bit for bit in (0, 1, 2, 3, 4, 7))
_UIF = _UIE = _UG = 1 << 0
_TIF = _TG = 1 << 6
EVERY_FLAG, UPDATES = 0x5F, 1 << 0
_FIRST_COMPARE = 0x34
_REQUEST_SHIFT = 8  # from a flag to its request's enable in DIER
_OVERCAPTURE_SHIFT = 8
_MOE = 1 << 15
_MOST_EDGES = 16  # of an internal clock that are looked at behind a long time
_LAST_ENCODER = 3
_RESET_MODE, _GATED_MODE, _TRIGGER_MODE, _CLOCK_MODE = 4, 5, 6, 7  # SMCR.SMS
_FIRST_EDGE_DETECTOR, _FIRST_FILTERED, _EXTERNAL = 4, 5, 7  # SMCR.TS: TI1F_ED, TI1FP1, ETRF
_TRGO_RESET, _TRGO_ENABLE, _TRGO_UPDATE = 0, 1, 2  # CR2.MMS


class Timer(Peripheral):
    """One timer.

    Args:
        now: the core's cycle count.
        clock_divider: the core's cycles per cycle of its clock.
        on_change: called when `deadline` or the interrupt line may have changed.
        bits: of the counter.
        channels: how many there are.
        compare_irq: of its compare channels, 0 where they share `irq`.

    Attributes:
        irq: its interrupt number.
        masters: the timers behind its internal triggers ITR0 to ITR3, as far as there are some.
        slaves: the timers that have it among their masters.
        internal_period: the core's cycles per period of what is behind its last channel where its
            option register remaps that (TIM5: the 32 kHz oscillator); None where there is nothing.
    """

    models = (
        "up, down, both ways; preload, repetition, one pulse; compare, PWM, capture on pins; DMA; "
        "reset, gated, trigger and clock mode by pins, ETR and other timers; encoders"
    )

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
        self._most = most = (1 << bits) - 1
        self._is_advanced = bool(compare_irq)
        self._etr_is_first = name == "TIM2"  # TIM2_CH1_ETR is one pin
        self._lines = UPDATES if compare_irq else EVERY_FLAG
        self.masters: tuple[Timer | None, ...] = ()
        self.slaves: list[Timer] = []
        self.internal_period: Callable[[], float] | None = None
        self.channels = [Channel(number) for number in range(channels)]
        self._control, self._control_2 = Storage(writable=0xFFFF), Storage(writable=0xFFFF)
        self._slave_mode = Storage(writable=0xFFFF)
        self.inputs = Inputs(self.channels, self._slave_mode.read)
        self._gate: bool | None = None
        self._enables = Storage(writable=0x7FFF)
        self._wanted_reload = Storage(most, writable=most)
        self._wanted_prescaler = Storage(writable=0xFFFF)
        self._wanted_repetition = Storage(writable=0xFF if compare_irq else 0)
        self._output_enable = Storage(writable=0xFFFF)
        self._option = Storage(writable=0xFFFF)
        self._forget()
        self.requests = {
            f"{name}_UP": self._request(UPDATES),
            f"{name}_TRIG": self._request(_TIF),
            **{f"{name}_CH{one.number + 1}": self._request(one.flag) for one in self.channels},
        }
        super().__init__(name, address, self._registers())

    def _modes(self, pair: Sequence[Channel]) -> Register:
        return Register(lambda: modes(pair), self._syncing(lambda value: set_modes(pair, value)))

    def _registers(self) -> dict[int, Register]:
        all_ = self.channels
        stored = {
            0x00: self._control, 0x08: self._slave_mode, 0x0C: self._enables,
            0x2C: self._wanted_reload, 0x30: self._wanted_repetition,
        }  # fmt: skip
        return {
            **{at: Register(one.read, self._syncing(one.write)) for at, one in stored.items()},
            0x04: self._control_2.register(),
            0x10: Register(
                self._read_status, self._clear_status, merges=False, changes=self.changes
            ),
            0x14: write_only(self._generate),
            0x18: self._modes(self.channels[:2]),
            0x1C: self._modes(self.channels[2:]),
            0x20: Register(lambda: enables(all_), self._syncing(lambda v: enable(all_, v))),
            0x24: Register(self._read_count, self._write_count, changes=self._next_count),
            0x28: self._wanted_prescaler.register(),
            0x44: self._output_enable.register(),
            0x50: self._option.register(),
            **{
                _FIRST_COMPARE + 4 * one.number: Register(
                    self._reading(one), self._syncing(one.write)
                )
                for one in self.channels
            },
        }

    def _forget(self) -> None:
        self._status = self._asked = 0
        self._at = 0  # the place in its round
        self._counted_at: float = 0  # the cycle at which it came there
        self._reload = self._most
        self._shape()
        self._prescaler = 0
        self._repeats = 1  # overflows until the next update
        self._divider: float = 1

    def reset(self) -> None:
        """Return to the state after reset: it stands at 0."""
        for storage in (
            self._control, self._control_2, self._slave_mode, self._enables, self._wanted_reload,
            self._wanted_prescaler, self._wanted_repetition, self._output_enable, self._option,
        ):  # fmt: skip
            storage.reset()
        for channel in self.channels:
            channel.reset()
        self._forget()
        self.sync()

    # interrupts, requests

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        return self.raises(self._lines)

    def raises(self, flags: int) -> bool:
        """Whether one of some flags is set that has its interrupt enabled."""
        wanted = self._enables.value & flags
        if not wanted:
            return False
        self.advance()
        return bool(self._status & wanted)

    def deadline(self) -> int | None:
        """Return the cycle at which the line rises, None if it does not."""
        wanted = self._enables.value & ~self._status & EVERY_FLAG
        cycle = self._next_event(wanted) if wanted else None
        return None if cycle is None else int(cycle) + 1

    def changes(self) -> int | None:
        """Return the cycle at which the next flag is set, None while the timer stands."""
        cycle = self._next_event(EVERY_FLAG)
        return None if cycle is None else int(cycle)

    def _request(self, flag: int) -> Request:
        def due() -> int | None:
            if not self._enables.value & flag << _REQUEST_SHIFT or not self.clocked:
                return None
            self.advance()
            if self._asked & flag:
                return self._now()
            cycle = self._next_event(flag)
            return None if cycle is None else int(cycle) + 1

        def taken(_cycle: int) -> None:
            self._asked &= ~flag

        return Request(due, taken)

    def _next_event(self, flags: int) -> float | None:
        """Return the cycle at which one of some flags is set next by counting."""
        if not self._runs or self._clocks_by_edges or self._gate is False:
            return None
        left = [self._distance(place) for place in self._round.turns()] if flags & _UIE else []
        for channel in self.channels:
            if flags & channel.flag and not channel.input:
                left += [self._distance(place) for place in self._round.meets(channel.value)]
        cycle = self._cycle_of(min(left)) if left else None
        edge = self._next_internal_edge() if flags & self._last_flag else None
        return min((at for at in (cycle, edge) if at is not None), default=None)

    @property
    def _last_flag(self) -> int:
        return self.channels[-1].flag if self.channels else 0

    def _cycle_of(self, counts: int) -> float | None:
        """Return the cycle at which it has counted so often."""
        master = self._clock_master
        if master is None:
            return self._counted_at + counts * self._period
        return master.cycle_of_update(counts)

    def cycle_of_update(self, updates: int) -> float | None:
        """Return the cycle of an update from now on, the first by 1; None where none comes."""
        self.advance()
        if not self._runs:
            return None
        turns = sorted(self._distance(place) for place in self._round.turns())
        overflows = self._repeats + (updates - 1) * (self._wanted_repetition.value + 1)
        rounds, index = divmod(overflows - 1, len(turns))
        return self._cycle_of(turns[index] + rounds * self._round.length(self._at))

    # counting

    @property
    def _runs(self) -> bool:
        return bool(self._control.value & _CEN) and self._reload > 0

    @property
    def _period(self) -> float:
        """The core's cycles per count."""
        return self._divider * (self._prescaler + 1)

    @property
    def _count(self) -> int:
        """CNT."""
        return self._round.count(self._at)

    def _shape(self) -> None:
        """Count from now on as reload value and control register say."""
        control = self._control.value
        self._round = Round(
            self._reload, self._most, centred=bool(control >> 5 & 3), down=bool(control & _DIR)
        )

    def _distance(self, place: int) -> int:
        """Return the counts until it comes to a place, at least one."""
        return self._round.distance(self._at, place)

    def before_clock(self, core_hz: int) -> None:
        """Count up to now, and go on at what its clock then is."""
        del core_hz
        self.sync()

    def go_on(self, cycles: int) -> None:
        """Go on as if so many cycles had not been."""
        self._counted_at += cycles

    def sync(self) -> None:
        """Count up to now, and go on at what its clock then is."""
        self.advance()
        self._open_gate()
        self._counted_at = self._counted_at if self._runs else self._now()
        self._divider = self._clock_divider()

    def advance(self) -> None:
        """Count up to now."""
        master = self._clock_master
        if master is not None:
            master.advance()
            return
        if self._clocks_by_edges or self._is_gated_off:
            self._counted_at = self._now()
            return
        if self._measures_internal:
            self._take_internal_edges()
        self._count_to(self._now())

    def _count_to(self, cycle: float) -> None:
        while self._runs:
            counts = int((cycle - self._counted_at) / self._period)
            if counts <= 0:
                return
            # Up to the first update alone where it changes something.
            ends = min(self._distance(place) for place in self._round.turns())
            counts = min(counts, ends) if self._update_matters else counts
            self._counted_at += counts * self._period
            self.count(counts)

    @property
    def _measures_internal(self) -> bool:
        remapped = self.internal_period is not None and self._option.value >> 6 & 3 == 1
        return remapped and self._runs and self.channels[-1].input == 1

    def _take_internal_edges(self) -> None:
        """Capture the internal clock's rising edges since the last count, at least the last."""
        period = self.internal_period() if self.internal_period else 0
        last = int(self._now() / period)
        first = max(int(self._counted_at / period) + 1, last - _MOST_EDGES)
        for edge in range(first, last + 1):
            self._count_to(edge * period)
            if self.channels[-1].captures(level=True):
                self._capture(self.channels[-1])

    def _next_internal_edge(self) -> float | None:
        if not self._measures_internal or self.internal_period is None:
            return None
        period = self.internal_period()
        return (int(self._now() / period) + 1) * period

    @property
    def _update_matters(self) -> bool:
        """Whether the next update changes how it counts."""
        return (
            bool(self._control.value & _OPM)
            or self._prescaler != self._wanted_prescaler.value
            or self._reload != self._wanted_reload.value
            or self._at > self._reload
            or any(one.value != one.wanted for one in self.channels if not one.input)
        )

    def count(self, counts: int) -> None:
        """Count on; flags, outputs and requests follow."""
        if counts <= 0 or not self._runs:
            return
        for channel in self.channels:
            if not channel.input:
                times = sum(
                    self._round.hits(self._at, place, counts)
                    for place in self._round.meets(channel.value)
                )
                if times:
                    channel.match(times)
                    self._set_flag(channel.flag)
        overflows = sum(self._round.hits(self._at, place, counts) for place in self._round.turns())
        self._at = (self._at + counts) % self._round.length(self._at)
        if overflows:
            self._overflow(overflows)

    def _overflow(self, times: int) -> None:
        if times < self._repeats:
            self._repeats -= times
            return
        every = self._wanted_repetition.value + 1
        updates, rest = divmod(times - self._repeats, every)
        self._repeats = every - rest
        if not self._control.value & _UDIS:
            self._update(1 + updates, flag=True)
        if self._control.value & _OPM:
            self._control.value &= ~_CEN
            self._at = 0

    def _update(self, times: int, *, flag: bool) -> None:
        """Take over what was preloaded."""
        self._prescaler = self._wanted_prescaler.value
        self._reload = self._wanted_reload.value
        self._shape()
        for channel in self.channels:
            if not channel.input:
                channel.value = channel.wanted
        if flag:
            self._set_flag(_UIF)
        if self._control_2.value >> 4 & 7 == _TRGO_UPDATE:
            self._trigger_slaves(times)

    def _set_flag(self, flag: int) -> None:
        self._status |= flag
        if self._enables.value & flag << _REQUEST_SHIFT:
            self._asked |= flag

    # slaves and masters

    @property
    def _slave_choice(self) -> tuple[int, int]:
        """SMS and TS."""
        return self._slave_mode.value & 7, self._slave_mode.value >> 4 & 7

    @property
    def _clock_master(self) -> "Timer | None":
        mode, trigger = self._slave_choice
        if mode != _CLOCK_MODE or trigger >= len(self.masters):
            return None
        return self.masters[trigger]

    @property
    def _clocks_by_edges(self) -> bool:
        mode, trigger = self._slave_choice
        by_pin = mode == _CLOCK_MODE and trigger >= _FIRST_EDGE_DETECTOR
        return by_pin or self.inputs.counts_edges

    def _open_gate(self) -> None:
        mode, trigger = self._slave_choice
        self._gate = self.inputs.gate(trigger) if mode == _GATED_MODE else None

    @property
    def _is_gated_off(self) -> bool:
        mode, trigger = self._slave_choice
        if mode != _GATED_MODE or trigger >= len(self.masters):
            return self._gate is False
        master = self.masters[trigger]
        return master is not None and not master.runs

    @property
    def runs(self) -> bool:
        """CR1.CEN."""
        return bool(self._control.value & _CEN)

    def _trigger_slaves(self, times: int = 1) -> None:
        for slave in self.slaves:
            slave.take_trigger(self, times)

    def take_trigger(self, master: "Timer", times: int) -> None:
        """Do what a trigger output of another timer is for.

        Args:
            master: the other timer.
            times: how often it triggered.
        """
        _, trigger = self._slave_choice
        if trigger < len(self.masters) and self.masters[trigger] is master:
            self._be_triggered(times)

    def _be_triggered(self, times: int) -> None:
        mode, _ = self._slave_choice
        if mode == _CLOCK_MODE:
            self.count(times)
            self._set_flag(_TIF)
        elif mode == _RESET_MODE:
            self._restart(flag=not self._control.value & _URS)
            self._set_flag(_TIF)
        elif mode == _TRIGGER_MODE:
            self._start()
            self._set_flag(_TIF)
        self._on_change()

    def _start(self) -> None:
        if not self.runs:
            self._counted_at = self._now()
            self._control.value |= _CEN

    def _restart(self, *, flag: bool) -> None:
        """Begin a new round, with an update."""
        self.sync()
        self._at, self._counted_at = 0, self._now()
        self._repeats = self._wanted_repetition.value + 1
        if not self._control.value & _UDIS:
            self._update(1, flag=flag)

    # pins

    def take_edge(self, number: int, *, level: bool) -> None:
        """Take an edge of the pin of a channel, or of ETR's.

        Args:
            number: of the channel, from 1.
            level: that the pin has now.
        """
        self.advance()
        self._open_gate()
        mode, trigger = self._slave_choice
        if number == ETR or (number == 0 and self._etr_is_first):
            self._take_external(trigger, level=level)
        step = self.inputs.step(number, level=level)
        if step:
            self._step(step)
        for channel in self.channels:
            is_input = channel.input == 1 and channel.number == number
            is_input |= channel.input == 2 and channel.number == number ^ 1
            if is_input and channel.captures(level=level):
                self._capture(channel)
        triggers = trigger == _FIRST_FILTERED + number and self.channels[number].takes(level=level)
        if mode > _LAST_ENCODER and (triggers or (trigger == _FIRST_EDGE_DETECTOR and number == 0)):
            self._be_triggered(1)
        self._on_change()

    def _take_external(self, trigger: int, *, level: bool) -> None:
        if not self.inputs.external_edge(level=level):
            return
        if self.inputs.counts_external:
            self.count(1)
        elif trigger == _EXTERNAL and self._slave_choice[0] != _GATED_MODE:
            self._be_triggered(1)

    def _step(self, direction: int) -> None:
        """Count an edge of an encoder, which says the direction too."""
        count = self._count
        self._control.value = self._control.value & ~_DIR | (_DIR if direction < 0 else 0)
        self._shape()
        self._at = self._round.place(count)
        self.count(1)

    def _capture(self, channel: Channel) -> None:
        if self._status & channel.flag:
            self._status |= channel.flag << _OVERCAPTURE_SHIFT
        channel.value = self._count
        self._set_flag(channel.flag)

    def level(self, number: int) -> bool | None:
        """Return the level that a channel puts on its pin, None where it does not."""
        if number == ETR:
            return None
        if self._is_advanced and not self._output_enable.value & _MOE:
            return None
        self.advance()
        return self.channels[number].level(self._count, down=self._round.goes_down(self._at))

    # registers

    def _syncing(self, write: Callable[[int], None]) -> Callable[[int], None]:
        def synced(value: int) -> None:
            self.sync()
            count, was_on, was_centred = self._count, self.runs, self._round.centred
            write(value)
            if not self._control.value & _ARPE:
                self._reload = self._wanted_reload.value
            self._shape()
            if not (was_centred and self._round.centred):
                self._at = self._round.place(count)
            if self.runs and not was_on and self._control_2.value >> 4 & 7 == _TRGO_ENABLE:
                self._trigger_slaves()
            self.sync()
            self._on_change()

        return synced

    def _generate(self, value: int) -> None:
        if value & _UG:
            self._restart(flag=not self._control.value & _URS)
            if self._control_2.value >> 4 & 7 == _TRGO_RESET:
                self._trigger_slaves()
        for channel in self.channels:
            if value & channel.flag and channel.input:
                self._capture(channel)
            elif value & channel.flag:
                self._set_flag(channel.flag)
        if value & _TG:
            self._set_flag(_TIF)
        self._on_change()

    def _read_status(self) -> int:
        self.advance()
        return self._status

    def _clear_status(self, value: int) -> None:
        self.advance()
        self._status &= value
        self._on_change()

    def _read_count(self) -> int:
        self.advance()
        return self._count

    def _next_count(self) -> int | None:
        """Return the cycle of the next count, None where another clock than its own makes it."""
        if not self._runs or self._slave_choice[0]:
            return None
        return int(self._counted_at + self._period)

    def _write_count(self, value: int) -> None:
        self.sync()
        self._at = self._round.place(value & self._most)
        self._counted_at = self._now()
        self._on_change()

    def _reading(self, channel: Channel) -> Callable[[], int]:
        def read() -> int:
            self.advance()
            if not channel.input:
                return channel.wanted
            self._status &= ~channel.flag  # reading a capture clears its flag
            return channel.value

        return read
