"""The emulated board and Renode, side by side: two implementations of a chip check each other.

Both run the same image on the same input. Their outputs must be equal to the bit; instructions,
which the architecture counts for both alike, to one in a thousand by layer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil.config import board as boards
from hil.config import scenario
from hil.run import laps, measurement
from hil.run.measurement import Prepared, Progress, Stopwatch, silent

if TYPE_CHECKING:
    from rich.table import Table

    from hil.compiler.program import Quantised
    from hil.targets.base import Target
    from hil.targets.emulator.board import EmulatedBoard

TOLERANCE = 1e-3
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Trace:
    """What one target did with the image.

    Attributes:
        layers: their names, in order. instructions: of each.
        outputs: (count,).
        seconds: host seconds by stage: start, flash, load, run.
    """

    target: str
    layers: tuple[str, ...]
    instructions: tuple[int, ...]
    outputs: "Quantised"
    seconds: dict[str, float]


@dataclass(frozen=True)
class Crosscheck:
    """Two traces of one image."""

    scenario: str
    emulator: Trace
    renode: Trace
    expected: "Quantised"

    def disagreements(self) -> list[str]:
        """Say where the two part, from each other or from the integer reference."""
        return [
            *_output_disagreements("the integer reference", self.expected, self.emulator),
            *_output_disagreements("the integer reference", self.expected, self.renode),
            *_output_disagreements("the emulator", self.emulator.outputs, self.renode),
            *_layer_disagreements(self.emulator, self.renode),
        ]


def run(
    name: str,
    board: str,
    toolchain: str,
    *,
    checkpoint: Path | None = None,
    renode: str | None = None,
    progress: Progress = silent,
) -> Crosscheck:
    """Build a scenario's firmware once and run it on both; `renode` is None to look for one.

    Args:
        name: of the scenario.
        board: its kind.
        toolchain: the compiler's name.
        checkpoint: trained weights instead of the scenario's.
        renode: where Renode is; None to look for one.
        progress: told each stage.

    Raises:
        UsageError, MeasurementError: as the suite does.
    """
    from hil.build import firmware

    chosen = scenario.load(name).override(checkpoint=checkpoint, iterations=1)
    chip = boards.load(board).on_desk(probe_id=None, port=None, renode=renode)
    prepared = measurement.prepare(
        chosen, chip, firmware.find_toolchain(toolchain), Stopwatch(), progress
    )
    return Crosscheck(
        chosen.name,
        on_emulator(prepared, progress),
        on_renode(prepared, progress),
        prepared.expected,
    )


def on_renode(prepared: Prepared, progress: Progress = silent) -> Trace:
    """Run a prepared scenario in Renode, whose cycle counter counts instructions.

    Args:
        prepared: the built scenario.
        progress: told each stage.
    """
    from hil.targets.renode.target import RenodeTarget

    return _trace(prepared, RenodeTarget(prepared.board), progress)


def on_emulator(prepared: Prepared, progress: Progress = silent) -> Trace:
    """Run a prepared scenario on the emulated board, and count instructions beside its cycles.

    Args:
        prepared: the built scenario.
        progress: told each stage.
    """
    from hil.targets.emulator.target import EmulatedTarget

    target = EmulatedTarget(prepared.board)
    counts: list[int] = []

    @contextmanager
    def counting() -> Iterator[None]:
        with _counts_at_reads(target.emulated, counts):
            yield

    trace = _trace(prepared, target, progress, counting)
    pairs = laps.by_layer(prepared.schedule.laps, counts)
    instructions = [sum(after - before for before, after in layer) for layer in pairs]
    return replace(trace, instructions=tuple(instructions))


def _trace(
    prepared: Prepared,
    target: "Target",
    progress: Progress,
    watching: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Trace:
    from hil.link.client import Device

    watch = Stopwatch()
    with ExitStack() as stack:
        progress(f"starting {target.name}")
        with watch.stage("start"):
            stack.enter_context(target)
        with watch.stage("flash"):
            target.flash(prepared.image)
            target.reset()
            device = Device(target.serial(), timeout_s=_TIMEOUT_S)
            device.expect(prepared.image)
        with watching():
            result = measurement.measure(
                prepared, device, watch, target=type(target), progress=progress
            )
    return Trace(
        target=target.name,
        layers=tuple(layer.name for layer in result.layers),
        instructions=tuple(layer.cycles for layer in result.layers),
        outputs=result.outputs,
        seconds=dict(watch.seconds),
    )


@contextmanager
def _counts_at_reads(emulated: "EmulatedBoard", counts: list[int]) -> Iterator[None]:
    """Note the instructions executed so far at every read of the cycle counter."""
    chip = emulated.chip
    chip.dwt.on_read = lambda: counts.append(chip.clock.run.instructions)
    try:
        yield
    finally:
        chip.dwt.on_read = None


def _output_disagreements(of_whom: str, wanted: "Quantised", trace: Trace) -> list[str]:
    if wanted.shape != trace.outputs.shape:
        return [f"{trace.target} gives {trace.outputs.size} outputs, {of_whom} {wanted.size}"]
    wrong = np.flatnonzero(wanted != trace.outputs)
    if wrong.size == 0:
        return []
    at = int(wrong[0])
    values = f"{trace.outputs[at]}, not {wanted[at]}"
    differ = f"{wrong.size} outputs of {trace.target} differ from those of {of_whom}"
    return [f"{differ}; the first is number {at}: {values}"]


def _layer_disagreements(one: Trace, other: Trace) -> list[str]:
    if one.layers != other.layers:
        return [f"{one.target} ran the layers {one.layers}, {other.target} {other.layers}"]
    counts = zip(one.layers, one.instructions, other.instructions, strict=True)
    return [
        f"{name}: {mine:,} instructions on {one.target}, {theirs:,} on {other.target}"
        for name, mine, theirs in counts
        if _apart(mine, theirs) > TOLERANCE
    ]


def _apart(a: int, b: int) -> float:
    return abs(a - b) / max(1, a, b)


def table(result: Crosscheck) -> "Table":
    """Lay both traces out for a person: instructions by layer, and the whole."""
    from rich import box
    from rich.table import Table

    emulator, renode = result.emulator, result.renode
    out = Table(
        title=f"{result.scenario}: instructions",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    out.add_column("layer", no_wrap=True)
    for heading in (emulator.target, renode.target, "difference"):
        out.add_column(heading, justify="right", no_wrap=True)
    counts = zip(emulator.layers, emulator.instructions, renode.instructions, strict=False)
    for name, mine, theirs in counts:
        out.add_row(*_cells(name, mine, theirs))
    out.add_section()
    out.add_row(*_cells("whole", sum(emulator.instructions), sum(renode.instructions)))
    return out


def _cells(name: str, mine: int, theirs: int) -> Sequence[str]:
    return name, f"{mine:,}", f"{theirs:,}", f"{theirs - mine:+,}" if theirs != mine else "none"


def timings(result: Crosscheck) -> str:
    """Say how long each target's stages took, in host seconds."""
    return "\n".join(
        f"{trace.target}: "
        + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in trace.seconds.items())
        for trace in (result.emulator, result.renode)
    )
