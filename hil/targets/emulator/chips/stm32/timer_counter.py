"""How a timer counts: by its clock, by edges of pins or by another timer's updates.

Dead time and break have no effect.
Source: RM0090 sections 17 to 20, RM0432 section 38.4 (TIM2 to TIM5).
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from hil.targets.emulator.chips.stm32.timer_channels import Channel
from hil.targets.emulator.chips.stm32.timer_inputs import ETR, Inputs
from hil.targets.emulator.chips.stm32.timer_round import Round
from hil.targets.emulator.core.registers import Peripheral, Register, Storage
from hil.targets.emulator.core.source import Trigger

_CEN, _UDIS, URS, _OPM, _DIR = (1 << bit for bit in (0, 1, 2, 3, 4))  # CR1
UPDATES, TRIGGERED, EVERY_FLAG = 1 << 0, 1 << 6, 0x5F  # SR, DIER, EGR
REQUEST_SHIFT = 8
"""From a flag to its request's enable in DIER."""
_OVERCAPTURE_SHIFT = 8
_MOE = 1 << 15
_MOST_EDGES = 16  # of an internal clock that are looked at behind a long time
_LAST_ENCODER = 3
_CHANNELS_BOTH_WAYS = 4  # of the timers that count down too
_RESET_MODE, _GATED_MODE, _TRIGGER_MODE, _CLOCK_MODE = 4, 5, 6, 7  # SMCR.SMS
_FIRST_EDGE_DETECTOR, _FIRST_FILTERED, _EXTERNAL = 4, 5, 7  # SMCR.TS: TI1F_ED, TI1FP1, ETRF
TRGO_RESET, TRGO_ENABLE, _TRGO_UPDATE, _TRGO_MATCH, _TRGO_OUTPUTS = range(5)  # CR2.MMS


class Counter(Peripheral):
    """A timer without what programs see of it.

    Args:
        now: the core's cycle count.
        clock_divider: the core's cycles per cycle of its clock.
        on_change: called when a flag, or when one is set next, may have changed.
        bits: of the counter.
        channels: how many there are.
        advanced: whether it has a repetition counter and an enable of all its outputs.

    Attributes:
        masters: the timers behind its internal triggers ITR0 to ITR3, as far as there are some.
        slaves: the timers that have it among their masters.
        internal_period: the core's cycles per period of what is behind its last channel where its
            option register remaps that (TIM5: the 32 kHz oscillator); None where there is nothing.
    """

    def __init__(
        self,
        name: str,
        address: int,
        *,
        now: Callable[[], int],
        clock_divider: Callable[[], float],
        on_change: Callable[[], None],
        bits: int,
        channels: int,
        advanced: bool,
    ) -> None:
        self._now = now
        self._clock_divider = clock_divider
        self._on_change = on_change
        self._most = most = (1 << bits) - 1
        self._is_advanced = advanced
        self._etr_is_first = name == "TIM2"  # TIM2_CH1_ETR is one pin
        self.masters: tuple[Counter | None, ...] = ()
        self.slaves: list[Counter] = []
        self.internal_period: Callable[[], float] | None = None
        self.channels = [Channel(number) for number in range(channels)]
        both_ways = channels == _CHANNELS_BOTH_WAYS
        self._control = Storage(writable=0x3FF if both_ways else 0x38F)  # no DIR, no CMS
        self._control_2 = Storage(writable=0xFFFF)
        self._slave_mode = Storage(writable=0xFFFF)
        self.inputs = Inputs(self.channels, self._slave_mode.read)
        self._gate: bool | None = None
        self._enables = Storage(writable=0x7FFF)
        self._wanted_reload = Storage(most, writable=most)
        self._wanted_prescaler = Storage(writable=0xFFFF)
        self._wanted_repetition = Storage(writable=0xFF if advanced else 0)
        self._output_enable = Storage(writable=0xFFFF)
        self._option = Storage(writable=0xFFFF)
        self._round = Round(most, most)
        self._forget()
        self._trgo = Trigger(self._next_trigger, self.advance)
        self._outputs = [Trigger(self._next_edge(one), self.advance) for one in self.channels]
        self.triggers = {
            f"{name}_TRGO": self._trgo,
            **{f"{name}_CC{at}": one for at, one in enumerate(self._outputs, 1)},
        }
        super().__init__(name, address, self._registers())

    @abstractmethod
    def _registers(self) -> dict[int, Register]:
        """Return what programs see of it, by offset."""

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

    def _next_event(self, flags: int) -> float | None:
        """Return the cycle at which one of some flags is set next by counting."""
        if not self._runs or self._clocks_by_edges or self._gate is False:
            return None
        left = [self._distance(place) for place in self._round.turns()] if flags & UPDATES else []
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

    # triggers

    def _put_out(self, event: int, times: int = 1) -> None:
        """Pulse TRGO where this event is what CR2 chooses."""
        if times and self._control_2.value >> 4 & 7 == event:
            for slave in self.slaves:
                slave.take_trigger(self, times)
            self._trgo.pulse(times, times)

    def _next_trigger(self) -> int | None:
        """Return the cycle at which TRGO may have its next edge by counting."""
        event = self._control_2.value >> 4 & 7
        if event == _TRGO_UPDATE:
            cycle = self.cycle_of_update(1)
            return None if cycle is None else int(cycle) + 1
        number = max(event - _TRGO_OUTPUTS, 0)
        return self.next_edge(number) if event >= _TRGO_MATCH else None

    def next_edge(self, number: int) -> int | None:
        """Return the cycle at which a channel's output may change next by counting.

        Args:
            number: of the channel, from 0.
        """
        self.advance()
        if number >= len(self.channels):
            return None
        cycle = self._next_event(self.channels[number].flag | UPDATES)
        return None if cycle is None else int(cycle) + 1

    def _next_edge(self, channel: Channel) -> Callable[[], int | None]:
        return lambda: self.next_edge(channel.number)

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
        control, before = self._control.value, self._round
        self._round = Round(
            self._reload, self._most, centred=bool(control >> 5 & 3), down=bool(control & _DIR)
        )
        if before.centred and self._round.centred:
            self._at = self._round.turned(before.count(self._at), down=before.goes_down(self._at))

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
            # An update that changes something ends this step: what follows counts otherwise.
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
        overflows = self._hits(self._round.turns(), counts)
        edges = []
        for channel, output in zip(self.channels, self._outputs, strict=True):
            if not channel.input:
                times = self._hits(self._round.meets(channel.value), counts)
                edges.append((output, channel.number, times, channel.edges(times, overflows)))
                if times:
                    channel.match(times)
                    self._set_flag(channel.flag)
        self._at = (self._at + counts) % self._round.length(self._at)
        if overflows:
            self._overflow(overflows)
        for output, number, times, (rises, falls) in edges:
            output.pulse(rises, falls)
            self._put_out(_TRGO_OUTPUTS + number, rises)
            self._put_out(_TRGO_MATCH, 0 if number else times)

    def _hits(self, places: Sequence[int], counts: int) -> int:
        """Return how often it comes to one of some places in so many counts."""
        return sum(self._round.hits(self._at, place, counts) for place in places)

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
            self._set_flag(UPDATES)
        self._put_out(_TRGO_UPDATE, times)

    def _set_flag(self, flag: int) -> None:
        self._status |= flag
        if self._enables.value & flag << REQUEST_SHIFT:
            self._asked |= flag

    # slaves and masters

    @property
    def _slave_choice(self) -> tuple[int, int]:
        """SMS and TS."""
        return self._slave_mode.value & 7, self._slave_mode.value >> 4 & 7

    @property
    def _clock_master(self) -> "Counter | None":
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

    def take_trigger(self, master: "Counter", times: int) -> None:
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
            self._set_flag(TRIGGERED)
        elif mode == _RESET_MODE:
            self._restart(flag=not self._control.value & URS)
            self._set_flag(TRIGGERED)
        elif mode == _TRIGGER_MODE:
            self._start()
            self._set_flag(TRIGGERED)
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
        self._put_out(_TRGO_MATCH, 0 if channel.number else 1)

    def level(self, number: int) -> bool | None:
        """Return the level that a channel puts on its pin, None where it does not."""
        if number == ETR:
            return None
        if self._is_advanced and not self._output_enable.value & _MOE:
            return None
        self.advance()
        return self.channels[number].level(self._count, down=self._round.goes_down(self._at))
