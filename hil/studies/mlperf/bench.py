"""MLPerf Tiny's four networks on the emulated board, beside the best certified on the same chip.

Ours are counted by the timing model, the certified ones are silicon's: the pedigree stands with
each figure, and nothing is called faster without it.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import MismatchError

if TYPE_CHECKING:
    from rich.table import Table

BOARD = "nucleo_l4r5zi"
TASKS = ("vww", "ic", "kws", "ad")
CERTIFIED = Path(__file__).with_name("certified.csv")
"""The most inferences a second of any submission on this board, versions 0.5 to 1.3."""

_TIMEOUT_S = 600.0
_NAMES = {
    "vww": "visual wake words",
    "ic": "image classification",
    "kws": "keyword spotting",
    "ad": "anomaly detection",
}
_COLUMNS = (
    "task", "network", "board", "clock_hz", "rules", "cycles", "inferences_per_second",
    "ram_bytes", "flash_bytes", "certified_cycles", "certified_inferences_per_second",
    "certified_by", "source",
)  # fmt: skip
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Certified:
    """A certified figure of a task: on silicon, by whom, and where it is published."""

    task: str
    inferences_per_second: float
    cycles: int
    by: str
    source: str


@dataclass(frozen=True)
class Result:
    """A network's run on the emulated board; its outputs equal the reference's.

    Attributes:
        network: the scenario's name, or the file's.
        rules: of the timing model.
        ram_bytes: stack and static data included.
    """

    task: str
    network: str
    board: str
    clock_hz: int
    rules: str
    cycles: int
    ram_bytes: int
    flash_bytes: int

    @property
    def inferences_per_second(self) -> float:
        """At the board's clock."""
        return self.clock_hz / self.cycles


def certified(path: Path = CERTIFIED) -> dict[str, Certified]:
    """Read the certified figures, by task."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            Certified(
                row["task"],
                float(row["inferences_per_second"]),
                int(row["cycles"]),
                row["by"],
                row["source"],
            )
            for row in csv.DictReader(file)
        ]
    return {row.task: row for row in rows}


def scenarios(task: str) -> str:
    """Name the scenario of a task's network."""
    return f"mlperf_{task}"


def run(networks: Mapping[str, str], board: str, progress: Progress) -> Iterator[Result]:
    """Build each network's firmware and run it once.

    Args:
        networks: of scenarios' names or files, by task.
        board: kind of board.
        progress: told before each.

    Raises:
        MismatchError: its outputs are not the reference's.
        UsageError, MeasurementError: as the suite does.
    """
    for number, (task, name) in enumerate(networks.items(), start=1):
        progress(f"[{number}/{len(networks)}] {name} on {board}")
        yield _result(task, name, board)


def _result(task: str, name: str, board: str) -> Result:
    from hil.link.client import Device
    from hil.studies.bench.link import flashed
    from hil.targets.emulator.timing.rules import TIMING_VERSION

    with flashed(name, board) as (prepared, target):
        target.reset()
        device = Device(target.serial(), timeout_s=_TIMEOUT_S)
        device.expect(prepared.image)
        device.load_input(prepared.input.tobytes())
        cycles = device.run().cycles
        if device.outputs() != prepared.expected.tobytes():
            raise MismatchError(f"{name}: the outputs are not those of the reference")
        stack = device.memory().stack_high_water_bytes
        footprint, clock_hz = prepared.image.footprint, prepared.board.clock_hz
    return Result(
        task,
        Path(name).stem,
        board,
        clock_hz,
        f"modelled-{TIMING_VERSION}",
        cycles,
        footprint.arena_bytes + footprint.static_bytes + stack,
        footprint.flash_total_bytes,
    )


def heads() -> tuple[str, ...]:
    """Name the columns."""
    return (
        "network", "cycles", "inferences/s", "RAM, B", "flash, B", "certified cycles",
        "certified /s", "cycles, ours/certified", "certified by",
    )  # fmt: skip


def cells(result: Result, beside: Certified) -> tuple[str, ...]:
    """Write a network's line.

    Args:
        result: what was measured here.
        beside: the certified figures.
    """
    return (
        f"{result.network} ({_NAMES[result.task]})",
        f"{result.cycles:,}",
        f"{result.inferences_per_second:.3f}",
        f"{result.ram_bytes:,}",
        f"{result.flash_bytes:,}",
        f"{beside.cycles:,}",
        f"{beside.inferences_per_second:g}",
        f"{result.cycles / beside.cycles:.2f}",
        beside.by,
    )


def pedigree(results: Sequence[Result]) -> str:
    """Say what kind of figures stand side by side."""
    first = results[0]
    return (
        f"ours: {first.board} at {first.clock_hz / 1e6:g} MHz, emulated, cycles {first.rules}, "
        "every output equal to the integer reference; certified: silicon, NUCLEO-L4R5ZI at "
        "120 MHz, MLPerf Tiny's own logs"
    )


def table(results: Sequence[Result]) -> "Table":
    """Return the results for a person."""
    from rich.table import Table

    known = certified()
    made = Table(title="MLPerf Tiny", caption=pedigree(results))
    for head in heads():
        made.add_column(head, justify="left" if head in {"network", "certified by"} else "right")
    for result in results:
        made.add_row(*cells(result, known[result.task]))
    return made


def markdown(results: Sequence[Result]) -> str:
    """Return the results for a document."""
    known = certified()
    lines = [
        f"| {' | '.join(heads())} |",
        f"|---|{'--:|' * (len(heads()) - 2)}---|",
        *(f"| {' | '.join(cells(one, known[one.task]))} |" for one in results),
    ]
    return "\n".join([*lines, "", f"{pedigree(results)[0].upper()}{pedigree(results)[1:]}."])


def write_csv(results: Sequence[Result], path: Path) -> None:
    """Write the results with the certified figures and their sources.

    Args:
        results: what was measured here.
        path: of the file.
    """
    known = certified()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for one in results:
            beside = known[one.task]
            writer.writerow([
                one.task, one.network, one.board, one.clock_hz, one.rules, one.cycles,
                f"{one.inferences_per_second:.3f}", one.ram_bytes, one.flash_bytes, beside.cycles,
                beside.inferences_per_second, beside.by, beside.source,
            ])  # fmt: skip
