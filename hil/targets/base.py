"""Where an image runs: the one interface that a probe, Renode and the emulated board implement."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from serial import SerialBase

from hil.build.image import Image
from hil.config.board import Board
from hil.errors import MeasurementError, ProbeError
from hil.targets.recovery import Rung
from hil.targets.spent import Moment

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger


def _untold(stage: str) -> None:
    del stage


class Target(ABC):
    """A board that can be flashed, reset and talked to; leaving its context releases it.

    Attributes:
        name: as `--hil-target` and the results spell it.
        timing: the pedigree of its cycle counts: "silicon", "modelled" or "instructions".
        progress: told what it waits for.
        anew: whether what earlier runs have kept of the image is left alone.
        known_uid: the unique id of the chip that is taken, as an inventory says; empty where none.
        rung: by which it is taken after a set-up that failed; None for the first time.
        greeting_rungs: what it can do for firmware that does not answer.
        wired: whether its serial port is a line that may damage bytes.
    """

    name: ClassVar[str]
    timing: ClassVar[str]
    greeting_rungs: ClassVar[tuple[Rung, ...]] = ()
    wired: ClassVar[bool] = False

    def __init__(self, board: Board) -> None:
        self.board = board
        self.progress: Callable[[str], None] = _untold
        self.rung: Rung | None = None
        self.anew = False
        self.known_uid = ""

    @classmethod
    def timing_version(cls) -> str:
        """Name the pedigree of its counts, and for a model the version of its rules."""
        return cls.timing

    @classmethod
    def last_rungs(cls, board: Board) -> tuple[Rung, ...]:
        """Return what may be tried where taking and flashing a board again has not helped."""
        del board
        return ()

    @classmethod
    def require(cls, board: Board) -> None:
        """Look for what stands for the board, before anything is built for it.

        Raises:
            UsageError: what was named leads nowhere. ProbeError: it is not there.
        """
        del board

    @classmethod  # noqa: B027 - most have nothing to import
    def load(cls) -> None:
        """Import what `open` would import: who calls this first chooses when that is."""

    def recover(self, rung: Rung) -> None:
        """Do what one of `greeting_rungs` says.

        Raises:
            ProbeError: the board is lost, or cannot do it.
        """
        raise ProbeError(f"{self.name} has no way of {rung.means}")

    @abstractmethod
    def open(self) -> None:
        """Take the board. Raises ProbeError or LockError."""

    @abstractmethod
    def flash(self, image: Image) -> None:
        """Erase, program and verify, and leave the core halted. Raises FlashError, ProbeError."""

    @abstractmethod
    def reset(self) -> None:
        """Reset the chip and let the firmware run."""

    @abstractmethod
    def serial(self) -> SerialBase:
        """Return the open serial port of the firmware's link."""

    def clock(self) -> Callable[[], float]:
        """Return the seconds, which only grow, by which its silence is judged."""
        return time.monotonic

    @property
    def debugger(self) -> "Debugger | None":
        """What halts the core and reads its memory; None where the target has none."""
        return None

    def unique_id(self) -> str:
        """Return the chip's unique id in hexadecimal, empty where it cannot be read.

        Raises:
            ProbeError: the board is lost.
        """
        found = self.debugger.identity() if self.debugger is not None else None
        return found.uid if found is not None else ""

    @contextmanager
    def spending(self, *, causes: bool) -> Iterator[list[Moment] | None]:
        """Note, while the block runs, the board's own count at each read of the cycle counter.

        It is None where the target cannot say.

        Args:
            causes: note what the cycles went to as well, which takes longer.
        """
        del causes
        yield None

    @abstractmethod
    def close(self) -> None:
        """Release the board; harmless when it is not open."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except MeasurementError as also:  # what went wrong first is what is told
            error.add_note(f"then: {also.what}")
