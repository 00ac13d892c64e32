"""The cost model's cycles from measurements: least squares over the layers of small networks."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil.compiler.kernels.cycles import Work, cycles_of
from hil.compiler.kernels.registry import COSTS, CYCLES
from hil.config.board import Board
from hil.run.measurement import Progress, silent
from hil.studies.bench.fit_cases import Case
from hil.studies.bench.kernels import measure, quantise

if TYPE_CHECKING:
    from rich.table import Table

    from hil.build.toolchain import Toolchain

_DIGITS = 3  # that a fitted number keeps


@dataclass(frozen=True)
class Layer:
    """A measured layer: its work, and the cycles it took."""

    name: str
    kernel: str
    work: Work
    cycles: int


def layers(
    cases: Iterable[Case], board: Board, toolchain: "Toolchain", progress: Progress = silent
) -> list[Layer]:
    """Measure every layer of some cases on the emulated board.

    Args:
        cases: networks in the shapes to be measured.
        board: which kind is emulated.
        toolchain: the compiler.
        progress: told each case.

    Raises:
        MismatchError: a layer computes wrong results.
        MeasurementError: as the suite does.
    """
    from hil.compiler.plan import Budget, place

    found = []
    for case in cases:
        progress(case.name)
        program = quantise(case.name, case.shape, case.network(), sparse=case.sparse)
        plan = place(program, Budget.of(board), case.choices)
        profile = measure(case.name, program, plan, board, toolchain)
        for step, layer in zip(plan.steps, profile.layers, strict=True):
            work = dict(step.kernel.work(plan.site(step)))
            found.append(Layer(f"{case.name}: {step.name}", step.kernel.name, work, layer.cycles))
    return found


def write_csv(measured: Iterable[Layer], path: Path) -> None:
    """Write measured layers, so that a fit can be made again without a board.

    Args:
        measured: layers, a row each.
        path: of the file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("layer", "kernel", "cycles", "work"))
        for layer in measured:
            work = " ".join(f"{name}={float(count)!r}" for name, count in layer.work.items())
            writer.writerow((layer.name, layer.kernel, layer.cycles, work))


def read_csv(path: Path) -> list[Layer]:
    """Read what `write_csv` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Layer(row["layer"], row["kernel"], _work(row["work"]), int(row["cycles"]))
            for row in csv.DictReader(file)
        ]


def _work(text: str) -> Work:
    pairs = (one.partition("=") for one in text.split())
    return {name: float(count) for name, _, count in pairs}


def fit(measured: Sequence[Layer], kept: Collection[str] = ()) -> dict[str, float]:
    """Find the cycles with which the layers' estimates have the least relative squared error.

    Args:
        measured: the layers.
        kept: kinds of work whose cycles stay as they are.

    Returns:
        Cycles by name, of all other kinds of work that the layers hold; none is below zero.
    """
    held = {name for layer in measured for name in layer.work}
    names = [name for name in CYCLES if name in held and name not in kept]
    rest = np.array([1 - _share(layer, kept) for layer in measured])
    while True:
        rows = [[layer.work.get(name, 0.0) / layer.cycles for name in names] for layer in measured]
        found = np.linalg.lstsq(np.array(rows), rest, rcond=None)[0]
        if not (found < 0).any():
            return {n: float(f"{v:.{_DIGITS}g}") for n, v in zip(names, found, strict=True)}
        del names[int(found.argmin())]


def _share(layer: Layer, kept: Collection[str]) -> float:
    """Return the share of a layer's cycles that work of some kinds takes."""
    work = {name: count for name, count in layer.work.items() if name in kept}
    return cycles_of(work, CYCLES) / layer.cycles


def errors(measured: Sequence[Layer], cycles: Mapping[str, float] = CYCLES) -> dict[str, float]:
    """Return each kernel's greatest relative error among the measured layers.

    Args:
        measured: layers.
        cycles: what each kind of work is taken to cost.

    Returns:
        by kernel, the greatest |modelled / measured - 1|.
    """
    worst: dict[str, float] = {}
    for layer in measured:
        error = cycles_of(layer.work, cycles) / layer.cycles - 1
        worst[layer.kernel] = max(worst.get(layer.kernel, 0.0), error, key=abs)
    return worst


def table(measured: Sequence[Layer], fitted: Mapping[str, float]) -> "Table":
    """Lay out each kind of work: the layers that hold it, its cycles, and what the fit gives.

    Work whose cycles stay although a fit gives others has its reason.

    Args:
        measured: layers.
        fitted: by kind of work, the cycles of the fit.
    """
    from rich import box
    from rich.table import Table

    out = Table("work", box=box.SIMPLE_HEAD, padding=0)
    for heading in ("layers", "old", "new"):
        out.add_column(heading, justify="right")
    out.add_column("of", overflow="fold")
    for name, cost in COSTS.items():
        holding = sum(name in layer.work for layer in measured)
        new = f"{fitted[name]:g}" if name in fitted else ""
        kept = f"; kept: {cost.kept}" if cost.kept else ""
        out.add_row(name, str(holding), f"{cost.cycles:g}", new, f"{cost.of}{kept}")
    return out


def error_table(measured: Sequence[Layer], fitted: Mapping[str, float]) -> "Table":
    """Lay out each kernel's greatest error, with old and with new cycles.

    Args:
        measured: layers.
        fitted: by kind of work, the cycles of the fit.
    """
    from rich import box
    from rich.table import Table

    out = Table("kernel", box=box.SIMPLE_HEAD, padding=0)
    for heading in ("layers", "old", "new"):
        out.add_column(heading, justify="right")
    old, new = errors(measured), errors(measured, {**CYCLES, **fitted})
    for kernel, error in old.items():
        count = sum(layer.kernel == kernel for layer in measured)
        out.add_row(kernel, str(count), f"{error:+.0%}", f"{new[kernel]:+.0%}")
    return out
