"""Regular and injected groups of an ADC: which channels in which order.

Source: RM0090 sections 13.3.3 to 13.3.11.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.targets.emulator.core.registers import Storage

_SCAN, _DISCEN, _JDISCEN = 1 << 8, 1 << 11, 1 << 12  # CR1
_ALIGN = 1 << 11  # CR2
_OF_A_REGISTER = 6
_INJECTED = 4
_ALIGNED_TO_A_BYTE = 6  # bits: the resolution that is


@dataclass(frozen=True)
class Order:
    """The channels of a group.

    Attributes:
        channels: in their order.
        part: how many of them a trigger converts.
    """

    channels: tuple[int, ...]
    part: int


def regular(control: int, sequence: Sequence[Storage]) -> Order:
    """Return the regular group.

    Args:
        control: CR1.
        sequence: SQR1 to SQR3.
    """
    last, middle, first = (one.value for one in sequence)
    places = [
        word >> 5 * at & 0x1F for word in (first, middle, last) for at in range(_OF_A_REGISTER)
    ]
    count = (last >> 20 & 0xF) + 1 if control & _SCAN else 1
    return Order(tuple(places[:count]), (control >> 13 & 7) + 1 if control & _DISCEN else count)


def injected(control: int, sequence: Storage) -> Order:
    """Return the injected group: fewer than four channels are the last ones of JSQR.

    Args:
        control: CR1.
        sequence: JSQR.
    """
    length = (sequence.value >> 20 & 3) + 1
    places = [sequence.value >> 5 * at & 0x1F for at in range(_INJECTED)][_INJECTED - length :]
    count = length if control & _SCAN else 1
    return Order(tuple(places[:count]), 1 if control & _JDISCEN else count)


def aligned(value: int, bits: int, control: int, *, injected: bool = False) -> int:
    """Return a data register's content.

    Args:
        value: of the conversion; less an offset it may be below 0.
        bits: of the conversion.
        control: CR2.
        injected: whether a sign stands before it.
    """
    whole = 8 if bits == _ALIGNED_TO_A_BYTE else 16
    shift = whole - bits - int(injected) if control & _ALIGN else 0
    return value << shift & 0xFFFF


@dataclass
class Group:
    """Where a group is.

    Attributes:
        order: returns its channels.
        index: of the channel that is converted next.
        waits: whether it goes on behind the other group.
    """

    order: Callable[[], Order]
    index: int = 0
    waits: bool = False
    _done: int = 0  # of the part

    def channels(self) -> tuple[int, ...]:
        """Return all its channels."""
        return self.order().channels

    def channel(self) -> int:
        """Return the channel that is converted next."""
        channels = self.channels()
        return channels[min(self.index, len(channels) - 1)]

    @property
    def is_at_end(self) -> bool:
        """Whether the next conversion is its last, or the last of its part."""
        order = self.order()
        return self.index + 1 >= len(order.channels) or self._done + 1 >= order.part

    def step(self) -> bool:
        """Go on to the next channel; returns whether it is converted without another trigger."""
        order = self.order()
        goes_on = not self.is_at_end
        self._done = self._done + 1 if goes_on else 0
        self.index = self.index + 1 if self.index + 1 < len(order.channels) else 0
        return goes_on
