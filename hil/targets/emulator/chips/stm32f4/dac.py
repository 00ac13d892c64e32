"""DAC: two channels of 12 bits, their triggers, waves and requests of DMA.

A value is on its pin at once, where silicon takes one to three cycles of APB1 and settles.
Source: RM0090 section 14.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32.analog import REFERENCE_V, Output
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only
from hil.targets.emulator.core.source import Request, Trigger

PINS = (("A", 4), ("A", 5))
_IRQ = 54
_MOST = 0xFFF
_EN, _TEN, _DMAEN, _DMAUDRIE = 1 << 0, 1 << 2, 1 << 12, 1 << 13  # CR, of the first channel
_DMAUDR = 1 << 13
_SECOND_SHIFT = 16
_TRIGGERS = (
    "TIM6_TRGO", "TIM8_TRGO", "TIM7_TRGO", "TIM5_TRGO", "TIM2_TRGO", "TIM4_TRGO", "EXTI9",
)  # fmt: skip
_SOFTWARE = 7  # TSEL
_NOISE = 1  # WAVE; 2 and 3 are a triangle
_SEED = 0xAAA
_TAPS = (0, 1, 4, 6)


@dataclass
class Channel:
    """One channel of the DAC: its value, what triggers it, and its wave.

    Attributes:
        setting: its half of CR.
        held: DHR.
        value: DOR.
        asked: items that it wants of DMA.
        underrun: whether a trigger came before DMA had served the one before.
    """

    setting: int = 0
    held: int = 0
    value: int = 0
    asked: int = 0
    underrun: bool = False
    _shift: int = _SEED
    _height: int = 0
    _sinks: bool = False

    @property
    def wave(self) -> int:
        """WAVEx."""
        return self.setting >> 6 & 3

    @property
    def period(self) -> int:
        """Steps after which its wave repeats."""
        if self.wave == _NOISE:
            return _MOST  # of a shift register of 12 bits
        return 2 * self._amplitude if self.wave else 1

    @property
    def _amplitude(self) -> int:
        return (1 << min((self.setting >> 8 & 0xF) + 1, 12)) - 1

    @property
    def trigger(self) -> int | None:
        """TSELx, None where it takes no trigger."""
        return self.setting >> 3 & 7 if self.setting & _TEN and self.setting & _EN else None

    @property
    def asks(self) -> bool:
        """Whether its triggers ask for items."""
        return bool(self.setting & _DMAEN) and not self.underrun

    def configure(self, setting: int) -> None:
        """Take its half of CR."""
        self.setting = setting
        if not self.wave:
            self._shift, self._height, self._sinks = _SEED, 0, False
        if not setting & _DMAEN:
            self.asked = 0
        self.hold(self.held)

    def hold(self, value: int) -> None:
        """Take a value into DHR, and on into DOR where no trigger is waited for."""
        self.held = value
        if not self.setting & _TEN:
            self.value = value

    def step(self) -> None:
        """Take DHR into DOR at a trigger, with what the wave adds."""
        most, added = self._amplitude, 0
        if self.wave == _NOISE:
            added = self._shift & most
            bit = sum(self._shift >> tap for tap in _TAPS) & 1
            self._shift = self._shift >> 1 | bit << 11 or 1
        elif self.wave:
            added = self._height
            self._sinks = added >= most or (self._sinks and added > 0)
            self._height += -1 if self._sinks else 1
        self.value = min(self.held + added, _MOST)


class DigitalToAnalog(Peripheral):
    """The digital-to-analogue converter: two channels that drive PA4 and PA5.

    Args:
        triggers: of timers and of EXTI, by name.
        now: the core's cycle count.
        on_change: called when a deadline or the interrupt line may have changed.

    Attributes:
        irq: its interrupt number, which is TIM6's too.
        outputs: by pin.
    """

    models = "both channels to PA4, PA5; triggers, DMA and its underrun, noise, triangle"

    def __init__(
        self,
        triggers: Mapping[str, Trigger],
        *,
        now: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        self.irq = _IRQ
        self.sources = (self,)
        self._now = now
        self._on_change = on_change
        self._channels = (Channel(), Channel())
        self._triggers = [triggers[name] for name in _TRIGGERS]
        for number, trigger in enumerate(self._triggers):
            trigger.takers.append(self._taker(number))
        first, second = self._channels
        self.requests = {"DAC1": self._request(first), "DAC2": self._request(second)}
        self.outputs = {
            pin: Output(self._volts(one), self._due(one))
            for pin, one in zip(PINS, self._channels, strict=True)
        }
        super().__init__("DAC", 0x4000_7400, self._registers())

    def _registers(self) -> dict[int, Register]:
        first, second = self._channels
        return {
            0x00: Register(self._read_control, self._write_control),
            0x04: write_only(self._trigger_by_software),
            **{
                0x08 + 0x0C * number + at: self._data((one,), bits, shift)
                for number, one in enumerate(self._channels)
                for at, bits, shift in ((0, 12, 0), (4, 12, 4), (8, 8, -4))
            },
            0x20: self._data((first, second), 12, 0),
            0x24: self._data((first, second), 12, 4),
            0x28: self._data((first, second), 8, -4),
            0x2C: Register(lambda: self._settled(first).value, Storage(writable=0).write),
            0x30: Register(lambda: self._settled(second).value, Storage(writable=0).write),
            0x34: Register(self._read_status, self._clear_status, merges=False),
        }

    def reset(self) -> None:
        """Return to the state after reset: off."""
        for channel in self._channels:
            channel.configure(0)
            channel.held = channel.value = channel.asked = 0
            channel.underrun = False

    # lines

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        self._advance()
        return any(one.underrun and one.setting & _DMAUDRIE for one in self._channels)

    def deadline(self) -> int | None:
        """Return the cycle at which the line may rise, None where it does not."""
        watched = [one for one in self._channels if one.setting & _DMAUDRIE and one.asks]
        dues = (self._due(one)() for one in watched)
        return min((due for due in dues if due is not None), default=None)

    def _request(self, channel: Channel) -> Request:
        next_trigger = self._due(channel)

        def due() -> int | None:
            if not channel.asks or not self.clocked:
                return None
            self._advance()
            return self._now() if channel.asked else next_trigger()

        def taken(_cycle: int) -> None:
            channel.asked = max(channel.asked - 1, 0)

        return Request(due, taken)

    def _due(self, channel: Channel) -> Callable[[], int | None]:
        """Return what tells when a channel's trigger comes next."""

        def due() -> int | None:
            choice = channel.trigger
            outside = choice is not None and choice != _SOFTWARE and self.clocked
            return self._triggers[choice].due() if outside and choice is not None else None

        return due

    def _volts(self, channel: Channel) -> Callable[[], float | None]:
        def volts() -> float | None:
            if not channel.setting & _EN:
                return None
            return REFERENCE_V * self._settled(channel).value / _MOST

        return volts

    # triggers

    def _advance(self) -> None:
        for channel in self._channels:
            choice = channel.trigger
            if choice is not None and choice != _SOFTWARE:
                self._triggers[choice].advance()

    def _settled(self, channel: Channel) -> Channel:
        self._advance()
        return channel

    def _taker(self, number: int) -> Callable[[int, int], None]:
        def take(rises: int, _falls: int) -> None:
            for channel in self._channels:
                if channel.trigger == number and self.clocked:
                    self._take(channel, rises)

        return take

    def _take(self, channel: Channel, times: int) -> None:
        for _ in range(min(times, channel.period + times % channel.period)):
            channel.step()
        if channel.asks and channel.asked:
            channel.underrun, channel.asked = True, 0
            self._on_change()
        elif channel.asks:
            channel.asked = times

    def _trigger_by_software(self, value: int) -> None:
        for number, channel in enumerate(self._channels):
            if value >> number & 1 and channel.trigger == _SOFTWARE:
                channel.step()

    # registers

    def _read_control(self) -> int:
        first, second = self._channels
        return first.setting | second.setting << _SECOND_SHIFT

    def _write_control(self, value: int) -> None:
        self._advance()
        for number, channel in enumerate(self._channels):
            channel.configure(value >> _SECOND_SHIFT * number & 0x3FFF)
        self._on_change()

    def _data(self, channels: tuple[Channel, ...], bits: int, shift: int) -> Register:
        """Return a register of data: one channel's or both, right or left, 12 or 8 bits."""
        width = 8 if bits == 8 else _SECOND_SHIFT

        def read() -> int:
            shifted = (one.held << shift if shift > 0 else one.held >> -shift for one in channels)
            return sum(value << width * at for at, value in enumerate(shifted))

        def write(value: int) -> None:
            self._advance()
            for at, one in enumerate(channels):
                part = value >> width * at & ((1 << width) - 1)
                one.hold((part >> shift if shift > 0 else part << -shift) & _MOST)

        return Register(read, write)

    def _read_status(self) -> int:
        self._advance()
        return sum(
            _DMAUDR << _SECOND_SHIFT * number
            for number, one in enumerate(self._channels)
            if one.underrun
        )

    def _clear_status(self, value: int) -> None:
        for number, channel in enumerate(self._channels):
            if value >> _SECOND_SHIFT * number & _DMAUDR:
                channel.underrun = False
        self._on_change()
