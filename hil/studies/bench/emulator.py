"""How fast the emulated board is: `hil bench emulator`."""

import gc
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from hil.build import firmware
from hil.config import board as boards
from hil.config import scenario
from hil.run import measurement
from hil.run.measurement import Stopwatch

if TYPE_CHECKING:
    from hil.link.client import Device
    from hil.targets.emulator.chips.stm32.chip import Chip

_TIMEOUT_S = 120.0
_RUNS = 10


@dataclass(frozen=True)
class Speed:
    """Emulated instructions, and the time they took: of the host's clock, and of its processors."""

    instructions: int
    host_s: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        """Instructions per second of host time."""
        return self.instructions / self.host_s

    @property
    def per_cpu_second(self) -> float:
        """Instructions per second of processor time, which other load on the host moves less."""
        return self.instructions / self.cpu_s

    def __str__(self) -> str:
        return (
            f"{self.per_second / 1e6:.1f} M instructions/s, "
            f"{self.per_cpu_second / 1e6:.1f} M per CPU second"
        )


def emulator(scenario_name: str = "face_m4", board: str = "stm32f439") -> int:
    """Run a scenario's firmware on the emulated board and print how fast it goes.

    The fastest of a few runs counts: other load on the host can only slow one down. In the first
    run after a reset, which a suite's every run is, blocks are translated too, and costed where no
    earlier run has.

    Args:
        scenario_name: what runs.
        board: which kind is emulated.

    Returns:
        the exit status, 0.

    Raises:
        UsageError, MeasurementError: as `pytest hil/` does.
    """
    with _prepared(scenario_name, board, anew=True) as bench:
        unknown = bench.run()
    with ProcessPoolExecutor(1, get_context("spawn")) as another:
        held = another.submit(_held_by_one_more, scenario_name, board).result()
    with _prepared(scenario_name, board) as bench:
        first, second = bench.run(), bench.run()
        without = bench.fastest(flash_data=False)
        whole = bench.fastest(flash_data=True)
    print(how_it_adds())
    print(first_and_second(unknown, first, second))
    print(one_more_takes(held))
    print(
        f"{scenario_name}: {whole.instructions / 1e6:.1f} M instructions a run; "
        f"loads from flash not timed: {without}"
    )
    print(whole)
    return 0


def _held_by_one_more(scenario_name: str, board: str) -> int | None:
    """Return the memory that a second board takes; None where the system does not say.

    For a new process, where nothing was closed and nothing built: what that leaves behind, a board
    would take over.

    Args:
        scenario_name: what runs, built before.
        board: which kind is emulated.
    """
    with _prepared(scenario_name, board) as first:
        first.run()
        with _prepared(scenario_name, board) as second:
            second.run()
            return second.held_bytes()


def how_it_adds() -> str:
    """Say how the additions of SMLAD and its like are translated."""
    from hil.targets.emulator.core import translation

    reason = translation.slow_because()
    if reason is None:
        return "SMLAD and its like: host instructions"
    return f"SMLAD and its like: a function of Unicorn's, half as fast; {reason}"


def one_more_takes(held: int | None) -> str:
    """Say what memory a board takes.

    Args:
        held: bytes that the process gained by a second board; None where nobody knows.
    """
    amount = "unknown" if held is None else f"{held / 2**20:.0f} MiB"
    return f"memory of one more board: {amount}"


def first_and_second(unknown: Speed, first: Speed, second: Speed) -> str:
    """Say what the first run after a reset costs beside the second, of processor time.

    Args:
        unknown: speed of an image's very first run, with no block known.
        first: speed of the first run behind the reset, its blocks known from an earlier one.
        second: speed of the second.
    """
    known, anew = (one.cpu_s / second.cpu_s for one in (first, unknown))
    return (
        f"second run behind a reset: {second.cpu_s:.2f} CPU seconds\n"
        f"first run: {first.cpu_s:.2f}, {known:.2f} times as much: "
        "its blocks are translated, and their costs are known from an earlier board\n"
        f"first run of an image that has never run: {unknown.cpu_s:.2f}, {anew:.2f} times as much: "
        "its blocks are costed, too"
    )


def _resident_bytes() -> int | None:
    """Return the memory that this process holds; None where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


@dataclass(frozen=True)
class _Bench:
    """A board that runs a scenario's firmware.

    Attributes:
        before: bytes that the process held without it; None where the system does not say.
    """

    chip: "Chip"
    device: "Device"
    input: bytes
    before: int | None

    def held_bytes(self) -> int | None:
        """Memory that the process has more than without the board."""
        now = _resident_bytes()
        return None if now is None or self.before is None else now - self.before

    def fastest(self, *, flash_data: bool) -> Speed:
        from hil.targets.emulator.timing import TimingCore

        with self.chip.paused():
            if isinstance(self.chip.clock, TimingCore):
                self.chip.clock.watch_flash_data(on=flash_data)
        runs = [self.run() for _ in range(_RUNS)]
        return Speed(
            runs[0].instructions, min(run.host_s for run in runs), min(run.cpu_s for run in runs)
        )

    def run(self) -> Speed:
        """Run once, on the input sent anew, which is not counted."""
        self.device.load_input(self.input)
        gc.collect()
        gc.freeze()  # as in the suite, no garbage is sought in what is there already
        before = self.chip.core.instructions()
        begin_s, cpu_begin_s = time.perf_counter(), time.process_time()
        self.device.run(per_layer=False)
        return Speed(
            self.chip.core.instructions() - before,
            time.perf_counter() - begin_s,
            time.process_time() - cpu_begin_s,
        )


@contextmanager
def _prepared(name: str, board: str, *, anew: bool = False) -> Iterator[_Bench]:
    from hil.link.client import Device
    from hil.targets.emulator.target import EmulatedTarget

    chosen = replace(scenario.load(name), iterations=1)
    prepared = measurement.prepare(
        chosen, boards.load(board), firmware.find_toolchain("zig"), Stopwatch()
    )
    before = _resident_bytes()
    target = EmulatedTarget(prepared.board)
    target.anew = anew
    with target:
        target.flash(prepared.image)
        target.reset()
        device = Device(target.serial(), timeout_s=_TIMEOUT_S)
        device.expect(prepared.image)
        yield _Bench(target.emulated.chip, device, prepared.input.tobytes(), before)
