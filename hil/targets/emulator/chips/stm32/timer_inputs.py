"""What comes to a timer from outside: its pins' levels and edges, and its interrupt lines.

Source: RM0090 sections 18.3.3, 18.3.12 and 18.4.3.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from hil.targets.emulator.chips.stm32.timer_channels import Channel

ETR = 4
"""The number of the external trigger's pin, behind the channels'."""

ENCODER_MODES = (1, 2, 3)  # SMCR.SMS: edges of TI2 count, of TI1, of both
_COMPARES = 0x1E
_ECE, _ETP = 1 << 14, 1 << 15
_FIRST_FILTERED, _EXTERNAL = 5, 7  # SMCR.TS: TI1FP1, TI2FP2, ETRF


class Inputs:
    """The pins of a timer.

    Args:
        channels: of the timer.
        slave_mode: returns SMCR.

    Attributes:
        level: returns the level of a channel's pin, or of ETR's.
    """

    def __init__(self, channels: Sequence[Channel], slave_mode: Callable[[], int]) -> None:
        self._channels = channels
        self._slave_mode = slave_mode
        self.level: Callable[[int], bool] = lambda _number: False
        self._edges = 0

    @property
    def counts_edges(self) -> bool:
        """Whether edges of pins are what it counts: encoder modes, external clock mode 2."""
        setting = self._slave_mode()
        return setting & 7 in ENCODER_MODES or bool(setting & _ECE)

    def step(self, number: int, *, level: bool) -> int:
        """Return which way an edge of an encoder counts: 1 up, -1 down, 0 not at all (table 96)."""
        mode = self._slave_mode() & 7
        if mode not in ENCODER_MODES or number > 1 or not (mode & (2 if number == 0 else 1)):
            return 0
        level = self._polarised(number, level=level)
        other = self._polarised(number ^ 1, level=self.level(number ^ 1))
        return 1 if (level != other) == (number == 0) else -1

    def _polarised(self, number: int, *, level: bool) -> bool:
        return level != bool(self._channels[number].enables & 2)

    def external_edge(self, *, level: bool) -> bool:
        """Whether an edge of ETR is one that counts: its polarity, its prescaler."""
        setting = self._slave_mode()
        if level == bool(setting & _ETP):
            return False
        self._edges = (self._edges + 1) % (1 << (setting >> 12 & 3))
        return not self._edges

    @property
    def counts_external(self) -> bool:
        """SMCR.ECE: external clock mode 2."""
        return bool(self._slave_mode() & _ECE)

    def gate(self, trigger: int) -> bool | None:
        """Return the level of a pin that gates the timer; None where no pin does."""
        if trigger == _EXTERNAL:
            return self.level(ETR) != bool(self._slave_mode() & _ETP)
        if trigger < _FIRST_FILTERED:
            return None
        number = trigger - _FIRST_FILTERED
        return self._polarised(number, level=self.level(number))


class Flags(Protocol):
    """A timer, as an interrupt line of its sees it."""

    clocked: bool

    def raises(self, flags: int) -> bool:
        """Whether one of some flags is set that has its interrupt enabled."""


class CompareLine:
    """The interrupt that an advanced timer has for its compare channels alone.

    Attributes:
        irq: its interrupt number.
    """

    def __init__(self, timer: Flags, irq: int) -> None:
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
