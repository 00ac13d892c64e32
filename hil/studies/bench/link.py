"""What damaged bytes on the line cost a measurement, and that they never make it wrong."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from rich.table import Table

from hil.build import firmware
from hil.config import board as boards
from hil.config import scenario
from hil.errors import FlashError, MeasurementError
from hil.link.client import Device
from hil.run import measurement
from hil.run.measurement import Prepared, Stopwatch
from hil.studies.bench.noise import NoisyPort

if TYPE_CHECKING:
    from serial import SerialBase

    from hil.targets.emulator.target import EmulatedTarget

RATES = (0.0, 1e-4, 1e-3, 1e-2)
_TIMEOUT_S = 60.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """One run of a scenario over a line with faults.

    Attributes:
        verdict: "right", "wrong", or the verdict of the error that ended it.
        seconds: of host time. resends: requests sent again.
    """

    verdict: str
    seconds: float
    resends: int


def measure(
    scenario_name: str, board: str, rates: Sequence[float], runs: int, progress: Progress
) -> dict[float, list[Outcome]]:
    """Run a scenario's firmware on the emulated board over lines that damage bytes.

    Args:
        scenario_name: whose model, input and reference.
        board: kind of board.
        rates: damaged bytes among all, both ways.
        runs: at each rate.
        progress: told before each rate.

    Returns:
        outcomes by rate: each run begins with a reset and a hello, and ends with the outputs.

    Raises:
        UsageError, MeasurementError: the firmware cannot be built, or not be flashed.
    """
    outcomes: dict[float, list[Outcome]] = {}
    with flashed(scenario_name, board) as (prepared, target):
        for rate in rates:
            progress(f"{runs} runs of {scenario_name} at {rate:g} damaged bytes in one")
            outcomes[rate] = [_run(prepared, target, rate, seed) for seed in range(runs)]
    return outcomes


def table(outcomes: dict[float, list[Outcome]]) -> Table:
    """Return the outcomes by rate, with the middle run's seconds and resends."""
    verdicts = sorted({run.verdict for runs in outcomes.values() for run in runs} | {"right"})
    result = Table(title="runs over a line that damages bytes")
    for column in ("damaged bytes", "runs", *verdicts, "seconds", "resends", "most seconds"):
        result.add_column(column, justify="right")
    for rate, runs in outcomes.items():
        seconds = sorted(run.seconds for run in runs)
        resends = sorted(run.resends for run in runs)
        counts = [str(sum(run.verdict == verdict for run in runs)) for verdict in verdicts]
        middle = (len(runs) - 1) // 2
        figures = (f"{seconds[middle]:.2f}", str(resends[middle]), f"{seconds[-1]:.2f}")
        result.add_row(f"{rate:g}", str(len(runs)), *counts, *figures)
    return result


@contextmanager
def flashed(name: str, board: str) -> Iterator[tuple[Prepared, "EmulatedTarget"]]:
    """Build a scenario's firmware and program an emulated board with it, for as long as the block.

    Args:
        name: of the scenario.
        board: which kind is emulated.

    Returns:
        the built scenario, and the board.

    Raises:
        UsageError, MeasurementError: as `pytest hil/` does.
    """
    from hil.targets.emulator.target import EmulatedTarget

    chosen = replace(scenario.load(name), iterations=1)
    prepared = measurement.prepare(
        chosen, boards.load(board), firmware.find_toolchain("zig"), Stopwatch()
    )
    with EmulatedTarget(prepared.board) as target:
        target.flash(prepared.image)
        yield prepared, target


def _run(prepared: Prepared, target: "EmulatedTarget", rate: float, seed: int) -> Outcome:
    target.reset()
    port = cast("SerialBase", NoisyPort(target.serial(), rate, seed))
    device = Device(port, timeout_s=_TIMEOUT_S)
    began = time.perf_counter()
    try:
        device.expect(prepared.image)
        device.load_input(prepared.input.tobytes())
        device.run()
        right = device.outputs() == prepared.expected.tobytes()
    except FlashError:
        raise
    except MeasurementError as error:
        return Outcome(str(error.verdict), time.perf_counter() - began, device.resends)
    verdict = "right" if right else "wrong"
    return Outcome(verdict, time.perf_counter() - began, device.resends)
