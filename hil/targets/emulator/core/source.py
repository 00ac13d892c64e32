"""What a peripheral's interrupt line is to the core, and its request line to a DMA controller."""

from collections.abc import Callable
from dataclasses import dataclass
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
    """

    due: Callable[[], int | None]
    taken: Callable[[int], None] = _nothing
