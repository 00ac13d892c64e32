"""Tries a failed set-up again, rung by rung; reports, counts and keeps what was tried."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.errors import (
    BootError,
    LinkError,
    MeasurementError,
    PortError,
    ProtocolError,
    SilenceError,
)
from hil.targets.recovery import GREETING, Rung

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.link.client import Device
    from hil.targets.base import Target

AGAIN_S = 5.0
"""How long firmware may take to answer a rung: it has started long before."""


class Ladder:
    """The rungs of one scenario's set-up.

    Args:
        kind: of target.
        board: that is taken.
        retries: how often it may be taken and flashed again; 0 for no rung at all.
        tell: told each rung.

    Attributes:
        tried: rungs so far, in order.
    """

    def __init__(
        self, kind: "type[Target]", board: "Board", retries: int, tell: Callable[[str], None]
    ) -> None:
        self._left = [Rung.REFLASH] * retries
        if retries:
            self._left += kind.last_rungs(board)
        self._greeting = kind.greeting_rungs if retries else ()
        self._tell = tell
        self.tried: list[Rung] = []

    @property
    def retries(self) -> int:
        """How often the board was taken and flashed again."""
        return sum(rung not in GREETING for rung in self.tried)

    @property
    def counts(self) -> dict[str, int]:
        """How often each rung was tried."""
        return {str(rung): count for rung, count in Counter(self.tried).items()}

    def told(self, why: str) -> str:
        """Return why a set-up was given up, with what was tried."""
        return f"{why}; tried: {', '.join(self.tried)}" if self.tried else why

    def next(self, error: MeasurementError) -> Rung | None:
        """Return the rung for taking the board again, None where none is left or would help."""
        if not self._left or not error.is_worth_retry:
            return None
        return self._climb(self._left.pop(0), error)

    def greet(self, target: "Target", greet: Callable[[float | None], "Device"]) -> "Device":
        """Greet firmware that was just flashed; where it does not answer, rung by rung.

        Args:
            target: open, its firmware started.
            greet: greets within so many seconds, None for the run's own; raises MeasurementError.

        Raises:
            MeasurementError: the first greeting's, where no rung has helped.
        """
        try:
            return greet(None)
        except MeasurementError as error:
            if not _is_of_line(error):
                raise
            for rung in self._greeting:
                self._climb(rung, error)
                try:
                    target.recover(rung)
                    return greet(AGAIN_S)
                except MeasurementError:
                    continue
            raise

    def _climb(self, rung: Rung, error: MeasurementError) -> Rung:
        self.tried.append(rung)
        self._tell(f"{error.what}; {rung.means}")
        return rung


def _is_of_line(error: MeasurementError) -> bool:
    """Whether the board may answer yet: the firmware is well, as far as is known."""
    of_line = isinstance(error, BootError | LinkError | SilenceError)
    return of_line and not isinstance(error, PortError | ProtocolError)
