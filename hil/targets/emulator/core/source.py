"""Lines between peripherals: interrupts, requests to a DMA controller, triggers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Source(Protocol):
    """A peripheral, or a part of one, with an interrupt line.

    Attributes:
        irq: its interrupt number.
    """

    irq: int

    @property
    def clocked(self) -> bool:
        """Whether it works; a source that does not is never asked."""

    @property
    def interrupt(self) -> bool:
        """Whether the line is high."""

    def deadline(self) -> int | None:
        """Return the cycle at which the line may change by itself, None if it does not."""


def _nothing(cycle: int) -> None:
    del cycle


@dataclass(frozen=True)
class Request:
    """A line that asks a DMA controller to move items.

    Attributes:
        due: returns the cycle from which the next item is wanted; 0: it always is; None: not
            before something else happens.
        taken: called with the cycle at which an item has been moved.
        ended: called when the controller has moved the last item of a transfer.
    """

    due: Callable[[], int | None]
    taken: Callable[[int], None] = _nothing
    ended: Callable[[], None] = lambda: None


def _unknown() -> None:
    return None


@dataclass
class Trigger:
    """A signal whose edges start something in other peripherals.

    Attributes:
        due: returns the cycle of the next edge, or one before it; None where none comes by itself.
        advance: brings the signal up to now.
        takers: called with how often it has risen, and how often it has fallen.
    """

    due: Callable[[], int | None] = _unknown
    advance: Callable[[], None] = _unknown
    takers: list[Callable[[int, int], None]] = field(default_factory=list)

    def pulse(self, rises: int, falls: int) -> None:
        """Tell of edges.

        Args:
            rises: how often it has risen.
            falls: how often it has fallen.
        """
        if rises or falls:
            for take in self.takers:
                take(rises, falls)
