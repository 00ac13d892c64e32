"""Where a model's cycles go on the emulated board: by layer, and within a layer by cause.

The firmware reads the cycle counter before and after every layer; at each of these reads the
emulated board's timing model says what it has spent on what so far. The firmware is not changed.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.config import scenario
from hil.config.board import Board
from hil.errors import UsageError
from hil.run import laps, measurement
from hil.run.measurement import Progress, Stopwatch, silent
from hil.studies.profile.flame import Chain, spent_between
from hil.targets.spent import CAUSES, NOTHING, Spent

if TYPE_CHECKING:
    from rich.table import Table

    from hil.build.image import Image
    from hil.compiler.plan import Plan
    from hil.targets.emulator.board import EmulatedBoard

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class LayerProfile:
    """One step of the schedule."""

    name: str
    macs: int
    cycles: int
    spent: Spent


@dataclass(frozen=True, eq=False)
class Profile:
    """A model's run on the emulated board, by layer.

    Attributes:
        outputs: as the firmware sent them.
        stacks: cycles of each chain of calls in all layers together.
        elf: whose functions these are.
    """

    title: str
    clock_hz: int
    layers: tuple[LayerProfile, ...]
    outputs: bytes
    stacks: Mapping[Chain, int]
    elf: Path

    @property
    def whole(self) -> LayerProfile:
        """All layers together."""
        return LayerProfile(
            "whole",
            sum(layer.macs for layer in self.layers),
            sum(layer.cycles for layer in self.layers),
            sum((layer.spent for layer in self.layers), NOTHING),
        )


def run(
    name: str,
    board: str,
    toolchain: str,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Profile:
    """Build a scenario's firmware, run it on the emulated board, and say where its cycles went.

    Args:
        name: of the scenario.
        board: which kind is emulated.
        toolchain: the compiler's name.
        checkpoint: trained weights instead of the scenario's.
        progress: told each stage.

    Raises:
        UsageError, MeasurementError: as the suite does.
    """
    from hil.build import firmware

    chosen = scenario.load(name).override(checkpoint=checkpoint)
    chip, compiler = boards.load(board), firmware.find_toolchain(toolchain)
    prepared = measurement.prepare(chosen, chip, compiler, Stopwatch(), progress)
    progress("running")
    title = f"{chosen.name}, {compiler}"
    data = prepared.input.tobytes()
    return of_image(title, prepared.image, prepared.compiled.plan, chip, data)


def of_image(title: str, image: "Image", plan: "Plan", board: Board, data: bytes) -> Profile:
    """Run an image once on the emulated board.

    Args:
        title: what to call the profile.
        image: the firmware.
        plan: that it was built by.
        board: what it was built for.
        data: the input, as many bytes as the model takes.

    Raises:
        MeasurementError: as the suite does.
    """
    from hil.link.client import Device
    from hil.targets.emulator.target import EmulatedTarget

    with EmulatedTarget(board) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=_TIMEOUT_S)
        device.expect(image)
        device.load_input(data)
        with _snapshots(target.emulated) as moments:
            result = device.run(per_layer=True)
        outputs = device.outputs()
    pairs = laps.by_layer([*laps.owners(plan)], moments)
    spent = [sum((b.spent - a.spent for a, b in layer), NOTHING) for layer in pairs]
    stacks: Counter[Chain] = Counter()
    for before, after in chain.from_iterable(pairs):
        stacks.update(spent_between(before.stacks, after.stacks))
    layers = tuple(
        LayerProfile(layer.name, layer.macs, layer.cycles, cost)
        for layer, cost in zip(result.layers, spent, strict=True)
    )
    return Profile(title, board.clock_hz, layers, outputs, stacks, image.elf)


@dataclass(frozen=True)
class _Moment:
    """What was spent up to a read of the cycle counter."""

    spent: Spent
    stacks: Mapping[Chain, int]


@contextmanager
def _snapshots(emulated: "EmulatedBoard") -> Iterator[list[_Moment]]:
    """Note what was spent so far at every read of the cycle counter."""
    from hil.targets.emulator.timing.core import TimingCore

    chip, clock = emulated.chip, emulated.chip.clock
    if not isinstance(clock, TimingCore):
        raise UsageError(
            "this emulated board counts instructions, which have no stalls",
            hint="profile on one with the timing model",
        )
    moments: list[_Moment] = []

    def note() -> None:
        moments.append(_Moment(emulated.spent(), clock.call_stacks()))

    chip.dwt.on_read = note
    try:
        yield moments
    finally:
        chip.dwt.on_read = None


def table(profile: Profile) -> "Table":
    """Lay the profile out for a person; shares are of the whole inference, causes of the layer."""
    from rich import box
    from rich.table import Table

    whole = profile.whole
    seconds = f"{whole.cycles / profile.clock_hz:.4f} s at {profile.clock_hz / 1e6:.0f} MHz"
    out = Table(
        title=f"{profile.title}: {whole.cycles:,} cycles, {seconds}",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        caption="MACs and cycles in millions; then the shares of the layer's cycles that went to "
        "instructions, waiting for data, pipeline refills, and flash waits for code and data",
        caption_justify="left",
    )
    out.add_column("layer", no_wrap=True)
    for heading in ("MACs", "cycles", "/MAC", "share", "instr", "load", "refill", "code", "data"):
        out.add_column(heading, justify="right", no_wrap=True)
    for layer in profile.layers:
        out.add_row(*_cells(layer, whole.cycles))
    out.add_section()
    out.add_row(*_cells(whole, whole.cycles))
    return out


def _cells(layer: LayerProfile, total: int) -> tuple[str, ...]:
    spent, of_layer = layer.spent, max(1, layer.cycles)
    shown = (spent.issue, spent.load_store, spent.branch, spent.flash_code, spent.flash_data)
    return (
        layer.name,
        f"{layer.macs / 1e6:.2f}" if layer.macs else "",
        f"{layer.cycles / 1e6:.2f}",
        f"{layer.cycles / layer.macs:.2f}" if layer.macs else "",
        f"{layer.cycles / total:.1%}",
        *(f"{cycles / of_layer:.0%}" for cycles in shown),
    )


def write_csv(profile: Profile, path: Path) -> None:
    """Write one row per layer: name, MACs, cycles, cycles by cause.

    Args:
        profile: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("layer", "macs", "cycles", *CAUSES))
        for layer in profile.layers:
            writer.writerow((layer.name, layer.macs, layer.cycles, *asdict(layer.spent).values()))
