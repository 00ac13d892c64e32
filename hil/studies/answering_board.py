"""A flashed board that answers one photograph after another: `hil detect` and `hil evaluate`."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.config import inventory
from hil.config.scenario import Scenario
from hil.errors import MeasurementError
from hil.results.rows import RunIdentity
from hil.run import measurement
from hil.run.measurement import Measurement, Prepared, Progress, Stopwatch, silent
from hil.run.session import Session
from hil.targets import choice

if TYPE_CHECKING:
    from hil.link.client import Device
    from hil.vision.photographs import Rgb8

_TIMEOUT_S = 120.0
_RETRIES = 1
_MOST_FAILURES = 3


@dataclass(frozen=True)
class BoardOptions:
    """What runs the photographs beside the float model."""

    board: str
    target: str
    toolchain: str
    probe_id: str | None = None
    port: str | None = None


class AnsweringBoard:
    """A network's firmware, and a board that is flashed with it at the first photograph.

    Attributes:
        prepared: the firmware; its input is the scenario's.
    """

    def __init__(
        self, scenario: Scenario, options: BoardOptions, progress: Progress = silent
    ) -> None:
        """Compile the network and build its firmware.

        Args:
            scenario: each photograph runs once, whatever its iterations.
            options: the board.
            progress: told stages.

        Raises:
            MeasurementError: the network does not fit the board, or does not compile.
        """
        self._session = _session(scenario, options, progress)
        self._progress = progress
        self._held = ExitStack()
        self._device: Device | None = None
        self._failures = 0
        self.prepared: Prepared = self._session.prepare(
            replace(scenario, iterations=1, dataset=None)
        )

    @property
    def is_given_up(self) -> bool:
        """Whether the board failed at several photographs, one after the other."""
        return self._failures >= _MOST_FAILURES

    def answer(self, photograph: "Rgb8") -> Measurement:
        """Run the network on a photograph, uint8, (rows, columns, 3).

        Raises:
            MeasurementError: the board failed; the next photograph meets one flashed anew.
        """
        image = measurement.with_photograph(self.prepared, photograph)
        try:
            if self._device is None:
                self._device = self._held.enter_context(self._session.flashed(self.prepared))
            found = measurement.measure(
                image,
                self._device,
                Stopwatch(),
                target=self._session.target,
                progress=self._progress,
            )
        except MeasurementError:
            self._failures += 1
            self.close()
            raise
        self._failures = 0
        return found

    def close(self) -> None:
        """Let the board go."""
        self._device = None
        self._held.close()


def _session(scenario: Scenario, options: BoardOptions, progress: Progress) -> Session:
    from hil.build import firmware

    board = boards.load(options.board).on_desk(
        probe_id=options.probe_id, port=options.port, units=inventory.load()
    )
    return Session(
        board=board,
        scenarios=[scenario],
        target=choice.choose(options.target, board).kind,
        toolchain=firmware.find_toolchain(options.toolchain),
        identity=RunIdentity.now(Path.cwd()),
        store=None,
        timeout_s=_TIMEOUT_S,
        retries=_RETRIES,
        progress=progress,
    )
