"""ADC1, ADC2, ADC3: regular and injected conversions, triggers, watchdog, overrun, DMA.

A conversion takes its sampling time and a cycle for each bit. The three work each by itself: dual
and triple modes are told, and change nothing.
Source: RM0090 section 13.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.targets.emulator.chips.stm32.analog import REFERENCE_V
from hil.targets.emulator.chips.stm32f4.adc_channels import (
    INJECTED_TRIGGERS,
    REGULAR_TRIGGERS,
    SAMPLING_CYCLES,
    Inputs,
)
from hil.targets.emulator.chips.stm32f4.adc_groups import Group, aligned, injected, regular
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, read_only
from hil.targets.emulator.core.source import Request, Trigger

NUMBERS = (1, 2, 3)
_IRQ = 18
_AWD, _EOC, _JEOC, _JSTRT, _STRT, _OVR = (1 << bit for bit in range(6))  # SR
_EOCIE, _AWDIE, _JEOCIE, _OVRIE = 1 << 5, 1 << 6, 1 << 7, 1 << 26  # CR1
_INTERRUPTS = ((_EOCIE, _EOC), (_AWDIE, _AWD), (_JEOCIE, _JEOC), (_OVRIE, _OVR))
_AWDSGL, _JAUTO, _JAWDEN, _AWDEN = 1 << 9, 1 << 10, 1 << 22, 1 << 23
_ADON, _CONT, _DMA, _DDS, _EOCS = 1 << 0, 1 << 1, 1 << 8, 1 << 9, 1 << 10  # CR2
_JSWSTART, _SWSTART = 1 << 22, 1 << 30
_BITS = (12, 10, 8, 6)  # CR1.RES
_MOST_LATE_ROUNDS = 2


@dataclass
class Wiring:
    """What is around the converters.

    Attributes:
        volts: returns the voltage of a pin, by its name.
        now: the core's cycle count.
        bus_divider: the core's cycles per cycle of APB2.
        on_change: called when a deadline or an interrupt line may have changed.
        triggers: of timers and of EXTI, by name.
        serves: whether a stream of DMA waits for a request, by its name.
    """

    volts: Callable[[str], float]
    now: Callable[[], int]
    bus_divider: Callable[[], float]
    on_change: Callable[[], None]
    triggers: Mapping[str, Trigger]
    serves: Callable[[str], bool] = field(default=lambda _name: False)


class Converter(Peripheral):
    """One of the three.

    Args:
        number: 1, 2 or 3.
        wiring: what is around it.
        inputs: what is behind its channels.
        divider: returns the cycles of APB2 per cycle of its clock.
    """

    models = (
        "single, continuous, scan, discontinuous; injected; triggers of timers and EXTI; watchdog, "
        "overrun, DMA; no dual and triple modes"
    )
    bytes = 0x100

    def __init__(
        self, number: int, wiring: Wiring, inputs: Inputs, divider: Callable[[], int]
    ) -> None:
        self.irq = _IRQ
        self.sources = (self,)
        self._wiring = wiring
        self._inputs = inputs
        self._clock_divider = divider
        self._status = 0
        self._control, self._control_2 = (
            Storage(writable=0x07C0_FFFF),
            Storage(writable=0x7F7F_0F03),
        )
        self._sampling = Storage(writable=0x07FF_FFFF), Storage(writable=0x3FFF_FFFF)
        self._offsets = [Storage(writable=0xFFF) for _ in range(4)]
        self._high, self._low = Storage(0xFFF, writable=0xFFF), Storage(writable=0xFFF)
        self._sequence = [Storage(writable=0x3FFF_FFFF) for _ in range(3)]  # SQR1, SQR2, SQR3
        self._injected_sequence = Storage(writable=0x3F_FFFF)
        self._results = [0, 0, 0, 0]
        self._data = 0
        self._regular = Group(lambda: regular(self._control.value, self._sequence))
        self._injected = Group(lambda: injected(self._control.value, self._injected_sequence))
        self._current: Group | None = None
        self._ends: float = 0
        self._asked = self._dma_is_done = False
        for names, group in (
            (REGULAR_TRIGGERS, self._regular),
            (INJECTED_TRIGGERS, self._injected),
        ):
            for at, name in enumerate(names):
                wiring.triggers[name].takers.append(self._taker(group, at))
        self._request_name = f"ADC{number}"
        self.requests = {self._request_name: Request(self._due, self._taken, self._ended)}
        super().__init__(f"ADC{number}", 0x4001_2000 + 0x100 * (number - 1), self._registers())

    def _registers(self) -> dict[int, Register]:
        first, second = self._sampling
        stored = {0x0C: first, 0x10: second, 0x24: self._high, 0x28: self._low}
        stored |= {0x14 + 4 * at: one for at, one in enumerate(self._offsets)}
        stored |= {0x2C + 4 * at: one for at, one in enumerate(self._sequence)}
        stored[0x38] = self._injected_sequence
        return {
            **{at: Register(one.read, self._syncing(one.write)) for at, one in stored.items()},
            0x00: Register(self.read_status, self._clear, merges=False, changes=self.changes),
            0x04: Register(self._control.read, self._syncing(self._control.write)),
            0x08: Register(self._control_2.read, self._write_control_2),
            **{0x3C + 4 * at: read_only(self._result(at)) for at in range(4)},
            0x4C: read_only(self._read_data),
        }

    def reset(self) -> None:
        """Return to the state after reset: off."""
        for storage in (
            self._control, self._control_2, *self._sampling, *self._offsets, self._high, self._low,
            *self._sequence, self._injected_sequence,
        ):  # fmt: skip
            storage.reset()
        self._status = self._data = 0
        self._results = [0, 0, 0, 0]
        self._stop()

    def _stop(self) -> None:
        self._current = None
        self._regular.index = self._injected.index = 0
        self._regular.waits = self._injected.waits = False
        self._asked = self._dma_is_done = False

    # lines

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        self.advance()
        return any(
            self._control.value & enable and self._status & flag for enable, flag in _INTERRUPTS
        )

    def deadline(self) -> int | None:
        """Return the cycle at which the line may rise or a trigger comes, None where neither is."""
        enabled = any(self._control.value & enable for enable, _ in _INTERRUPTS)
        return self.changes() if enabled else self._next_trigger()

    def changes(self) -> int | None:
        """Return the cycle at which the next conversion ends or is triggered."""
        self.advance()
        if self._current is not None and not self._asked:
            return int(self._ends) + 1
        return self._next_trigger()

    def _next_trigger(self) -> int | None:
        chosen = (self._trigger_of(group) for group in (self._regular, self._injected))
        dues = (self._wiring.triggers[name].due() for name, _ in chosen if name)
        return min((due for due in dues if due is not None), default=None)

    def before_clock(self, core_hz: int) -> None:
        """Convert up to now: the clock is about to change."""
        del core_hz
        self.advance()

    # requests

    def _due(self) -> int | None:
        if not self._control_2.value & _DMA or not self.clocked:
            return None
        self.advance()
        return self._wiring.now() if self._asked else self.changes()

    def _taken(self, _cycle: int) -> None:
        self._asked = False

    def _ended(self) -> None:
        self._dma_is_done = not self._control_2.value & _DDS

    # triggers

    def _trigger_of(self, group: Group) -> tuple[str, int]:
        """Return the name of a group's trigger and EXTEN; none where it is off."""
        shift, names = (24, REGULAR_TRIGGERS) if group is self._regular else (16, INJECTED_TRIGGERS)
        control = self._control_2.value
        edges = control >> shift + 4 & 3
        on = edges and control & _ADON and self.clocked
        return (names[control >> shift & 0xF], edges) if on else ("", 0)

    def _taker(self, group: Group, at: int) -> Callable[[int, int], None]:
        names = REGULAR_TRIGGERS if group is self._regular else INJECTED_TRIGGERS

        def take(rises: int, falls: int) -> None:
            name, edges = self._trigger_of(group)
            if name == names[at] and ((rises and edges & 1) or (falls and edges & 2)):
                self._start(group, self._wiring.now())
                self._wiring.on_change()

        return take

    # conversions

    def advance(self) -> None:
        """Convert up to now."""
        for group in (self._regular, self._injected):
            name, _ = self._trigger_of(group)
            if name:
                self._wiring.triggers[name].advance()
        now = self._wiring.now()
        while self._current is not None and self._ends <= now:
            if self._asked and self._wiring.serves(self._request_name):
                return  # the stream takes them one after another
            self._skip(now)
            self._finish(self._current)

    def _skip(self, now: int) -> None:
        """Leave conversions out that nobody has seen: they repeat, and have set every flag."""
        control = self._control_2.value
        is_awaited = control & _EOCS or (control & _DMA and not self._dma_is_done)
        if not control & _CONT or is_awaited or not self._status & _EOC:
            return
        length = sum(self._cycles(channel) for channel in self._regular.channels())
        rounds = int((now - self._ends) / length) - _MOST_LATE_ROUNDS
        if rounds > 0:
            self._ends += rounds * length

    def _start(self, group: Group, at: float) -> None:
        if not self._control_2.value & _ADON or (group is self._regular and self._status & _OVR):
            return
        if self._current is group:
            return
        if group is self._regular:
            self._status |= _STRT
            group.waits = self._current is not None
        else:
            self._status |= _JSTRT
            self._regular.waits = self._current is not None
        if self._current is None or group is self._injected:
            self._begin(group, at)

    def _begin(self, group: Group, at: float) -> None:
        self._current = group
        self._ends = at + self._cycles(group.channel())

    def _cycles(self, channel: int) -> float:
        """Return the core's cycles of a conversion."""
        first, second = self._sampling
        storage, at = (first, channel - 10) if channel >= 10 else (second, channel)
        sampling = SAMPLING_CYCLES[storage.value >> 3 * at & 7]
        bits = _BITS[self._control.value >> 24 & 3]
        return (sampling + bits) * self._clock_divider() * self._wiring.bus_divider()

    def _finish(self, group: Group) -> None:
        channel, ended = group.channel(), self._ends
        bits = _BITS[self._control.value >> 24 & 3]
        share = self._inputs.volts(channel) / REFERENCE_V
        value = min(int(share * (1 << bits)), (1 << bits) - 1)
        self._watch(group, channel, value << 12 - bits)
        if group is self._injected:
            self._take_injected(value, bits)
        elif not self._take_regular(value, bits):
            return
        self._current = None
        goes_on = group.step()
        if goes_on:
            self._begin(group, ended)
        else:
            self._go_on(group, ended)

    def _go_on(self, group: Group, at: float) -> None:
        """Begin what comes behind a group's end, or the end of its part."""
        control, at_end = self._control_2.value, group.index == 0
        if group is self._injected:
            self._status |= _JEOC if at_end else 0
            if self._regular.waits:
                self._regular.waits = False
                self._begin(self._regular, at)
        elif at_end and self._control.value & _JAUTO:
            self._regular.waits = bool(control & _CONT)
            self._status |= _JSTRT
            self._begin(self._injected, at)
        elif at_end and control & _CONT:
            self._begin(group, at)

    def _take_injected(self, value: int, bits: int) -> None:
        index = self._injected.index
        shifted = value - self._offsets[index].value
        self._results[index] = aligned(shifted, bits, self._control_2.value, injected=True)

    def _take_regular(self, value: int, bits: int) -> bool:
        """Put a value into DR; returns whether conversions go on."""
        control = self._control_2.value
        with_dma = control & _DMA and not self._dma_is_done
        unread = self._asked if with_dma else self._status & _EOC
        if (with_dma or control & _EOCS) and unread:
            self._status |= _OVR
            self._current, self._asked = None, False
            return False
        self._data = aligned(value, bits, control)
        self._asked = bool(with_dma)
        if control & _EOCS or self._regular.is_at_end:
            self._status |= _EOC
        return True

    def _watch(self, group: Group, channel: int, value: int) -> None:
        control = self._control.value
        on = control & (_AWDEN if group is self._regular else _JAWDEN)
        is_one = not control & _AWDSGL or control & 0x1F == channel
        if on and is_one and not self._low.value <= value <= self._high.value:
            self._status |= _AWD

    # registers

    def _syncing(self, write: Callable[[int], None]) -> Callable[[int], None]:
        def synced(value: int) -> None:
            self.advance()
            write(value)
            self._wiring.on_change()

        return synced

    def _write_control_2(self, value: int) -> None:
        self.advance()
        was = self._control_2.value
        self._control_2.write(value & ~(_SWSTART | _JSWSTART))
        if not value & _DMA or not was & _DMA:
            self._dma_is_done = self._asked = False
        if not value & _ADON:
            self._stop()
        elif was & _ADON:
            now = self._wiring.now()
            for bit, group in ((_SWSTART, self._regular), (_JSWSTART, self._injected)):
                if value & bit:
                    self._start(group, now)
        self._wiring.on_change()

    def read_status(self) -> int:
        """Return SR."""
        self.advance()
        return self._status

    def _clear(self, value: int) -> None:
        self.advance()
        self._status &= value
        self._wiring.on_change()

    def _result(self, at: int) -> Callable[[], int]:
        def read() -> int:
            self.advance()
            return self._results[at]

        return read

    @property
    def data(self) -> int:
        """DR, without what reading it does."""
        return self._data

    def _read_data(self) -> int:
        self.advance()
        self._status &= ~_EOC
        return self._data
