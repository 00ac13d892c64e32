"""Many inferences in one process on one board: do cycles, outputs or memory drift?"""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.errors import MismatchError
from hil.link.client import Device
from hil.studies.bench.link import flashed

_TIMEOUT_S = 600.0  # of one inference: a soak may share its machine for hours
_PAGE_BYTES = 4096
_WARM = 20
"""Inferences before memory is looked at: code is decoded, caches fill."""

_TOLD = 20  # times in all
_WRITTEN = 100  # inferences to a row of the table

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Soak:
    """What many inferences did.

    Attributes:
        count: of inferences; each gave the reference's outputs.
        cycles: of each, the same for all.
        seconds: of host time.
        resident_bytes: of the harness's process, behind each.
        resends: requests sent again.

    Memory grows while the transcript of the link fills: some thousand inferences of a small network
    long. So the second half tells whether something is kept of each.
    """

    count: int
    cycles: int
    seconds: float
    resident_bytes: Sequence[int]
    resends: int

    @property
    def growth_bytes(self) -> float:
        """Return the bytes by which memory grows with an inference, over the second half."""
        half = self.resident_bytes[self.count // 2 :]
        return float(np.polyfit(range(len(half)), half, 1)[0]) if len(half) > 1 else 0.0

    def write(self, path: Path) -> None:
        """Write a row of each hundredth inference: its number, cycles and resident bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("inference", "cycles", "resident_bytes"))
            for at in range(_WRITTEN - 1, self.count, _WRITTEN):
                writer.writerow((at + 1, self.cycles, self.resident_bytes[at]))

    def __str__(self) -> str:
        sizes = self.resident_bytes
        points = (sizes[min(_WARM, self.count) - 1], sizes[self.count // 2], sizes[-1])
        warm, middle, last = (f"{size / 1e6:.1f}" for size in points)
        return (
            f"{self.count:,} inferences in {self.seconds:.0f} s: each {self.cycles:,} cycles, all "
            f"outputs right; {self.resends} requests sent again; resident memory {warm} MB after "
            f"the first {_WARM}, {middle} MB halfway, {last} MB at the end, "
            f"{self.growth_bytes:.0f} B more with each inference of the second half"
        )


def soak(scenario: str, board: str, runs: int, seconds: float, progress: Progress) -> Soak:
    """Run a scenario's firmware on the emulated board again and again.

    Args:
        scenario: whose model, input and reference.
        board: kind of board.
        runs: most inferences, more than 20.
        seconds: after which no more is begun.
        progress: told now and then how far it is.

    Raises:
        MismatchError: an inference gave other outputs, or took other cycles than the first.
        UsageError, MeasurementError: the firmware cannot be built, or the link fails.
    """
    with flashed(scenario, board) as (prepared, target):
        target.reset()
        device = Device(target.serial(), timeout_s=_TIMEOUT_S)
        device.expect(prepared.image)
        data, expected = prepared.input.tobytes(), prepared.expected.tobytes()
        cycles, sizes = 0, list[int]()
        began = time.monotonic()
        while len(sizes) < runs and time.monotonic() - began < seconds:
            device.load_input(data)
            took = device.run(per_layer=False).cycles
            cycles = cycles or took
            if device.outputs() != expected or took != cycles:
                raise MismatchError(
                    f"inference {len(sizes) + 1:,} took {took:,} cycles, the first {cycles:,}; its "
                    f"outputs {'equal' if device.outputs() == expected else 'are not'} the "
                    "reference's",
                    hint="what do its firmware or the emulator keep from one to the next?",
                    stage="soak",
                )
            sizes.append(_resident_bytes())
            if len(sizes) % max(1, runs // _TOLD) == 0:
                progress(f"{len(sizes):,} inferences, {sizes[-1] / 1e6:.1f} MB resident")
        lasted = time.monotonic() - began
    return Soak(len(sizes), cycles, lasted, sizes, device.resends)


def _resident_bytes() -> int:
    """Return this process's resident memory, as Linux counts it; 0 where it does not."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    except OSError:
        return 0
    return int(pages) * _PAGE_BYTES
