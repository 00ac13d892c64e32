"""A timer's channels: what they compare with, what they put out, what they capture.

Source: RM0090 sections 18.3.5 to 18.3.11 and 18.4.7 to 18.4.9.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FROZEN, _ACTIVE, _INACTIVE, _TOGGLE, _FORCED_LOW, _FORCED_HIGH, _PWM_1, _PWM_2 = range(8)
_RISING, _FALLING, _BOTH = 0, 1, 3


@dataclass
class Channel:
    """One channel of a timer: it compares the counter, or captures it.

    Attributes:
        number: from 0.
        value: what it compares with, or has captured.
        wanted: what it compares with from the next update on, where its preload is on.
        high: OCxREF, in the modes that keep it.
        setting: its byte of CCMR1 or CCMR2.
        enables: its four bits of CCER: CCxE, CCxP, CCxNE, CCxNP.
    """

    number: int
    value: int = 0
    wanted: int = 0
    high: bool = False
    setting: int = 0
    enables: int = 0
    _edges: int = 0  # since the last capture

    def reset(self) -> None:
        """Return to the state after reset."""
        self.value = self.wanted = self.setting = self.enables = self._edges = 0
        self.high = False

    @property
    def flag(self) -> int:
        """Its bit of SR, DIER and EGR."""
        return 2 << self.number

    @property
    def input(self) -> int:
        """What it captures: 0 nothing, 1 its own pin, 2 its neighbour's, 3 the trigger."""
        return self.setting & 3

    @property
    def preloads(self) -> bool:
        """OCxPE: a value written to it waits for the next update."""
        return bool(self.setting & 8)

    @property
    def mode(self) -> int:
        """OCxM."""
        return self.setting >> 4 & 7

    # output

    def write(self, value: int) -> None:
        """Take the compare register; a capture register is read only."""
        if self.input:
            return
        self.wanted = value
        if not self.preloads:
            self.value = value

    def configure(self, setting: int) -> None:
        """Take its part of CCMR."""
        self.setting = setting
        if self.input:
            return
        if self.mode in {_FORCED_LOW, _FORCED_HIGH}:
            self.high = self.mode == _FORCED_HIGH
        if not self.preloads:
            self.value = self.wanted

    def match(self, times: int) -> None:
        """Note that the counter has met the value so often."""
        if self.mode == _ACTIVE:
            self.high = True
        elif self.mode == _INACTIVE:
            self.high = False
        elif self.mode == _TOGGLE:
            self.high ^= bool(times % 2)

    def edges(self, matches: int, turns: int) -> tuple[int, int]:
        """Return how often OCxREF rises, and how often it falls.

        Args:
            matches: how often the counter meets the value.
            turns: how often a round ends meanwhile.
        """
        if self.mode in {_PWM_1, _PWM_2}:
            return (turns, matches) if self.mode == _PWM_1 else (matches, turns)
        if self.mode == _TOGGLE:
            first, second = (matches + 1) // 2, matches // 2
            return (second, first) if self.high else (first, second)
        if self.mode not in {_ACTIVE, _INACTIVE} or self.high == (self.mode == _ACTIVE):
            return 0, 0
        edge = min(matches, 1)
        return (edge, 0) if self.mode == _ACTIVE else (0, edge)

    def level(self, count: int, *, down: bool) -> bool | None:
        """Return the level that it puts out, None where its output is off.

        Args:
            count: of the timer.
            down: whether it counts down.
        """
        if self.input or not self.enables & 1:
            return None
        high = self.high
        if self.mode in {_PWM_1, _PWM_2}:
            high = (count <= self.value if down else count < self.value) == (self.mode == _PWM_1)
        return high != bool(self.enables & 2)

    # input

    def takes(self, *, level: bool) -> bool:
        """Whether an edge to a level is one of its polarity."""
        polarity = self.enables >> 1 & 1 | self.enables >> 2 & 2
        if polarity == _BOTH:
            return True
        return level == (polarity == _RISING)

    def captures(self, *, level: bool) -> bool:
        """Whether an edge is captured: ICxPSC takes every one, or each second, fourth or eighth."""
        if not self.enables & 1 or not self.takes(level=level):
            return False
        self._edges = (self._edges + 1) % (1 << (self.setting >> 2 & 3))
        return not self._edges


def modes(pair: Sequence[Channel]) -> int:
    """Return CCMR1 or CCMR2, of the channels that it is for."""
    return sum(channel.setting << 8 * at for at, channel in enumerate(pair))


def set_modes(pair: Sequence[Channel], value: int) -> None:
    """Take CCMR1 or CCMR2."""
    for at, channel in enumerate(pair):
        channel.configure(value >> 8 * at & 0xFF)


def enables(channels: Sequence[Channel]) -> int:
    """Return CCER."""
    return sum(channel.enables << 4 * channel.number for channel in channels)


def enable(channels: Sequence[Channel], value: int) -> None:
    """Take CCER."""
    for channel in channels:
        channel.enables = value >> 4 * channel.number & 0xF
