"""What the kernels cost on the emulated board: by operator, and RNNPool-Face-M4 by layer.

Each is a small network that goes the whole way: quantised, planned, built, flashed and run.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil import files
from hil.config.board import Board
from hil.errors import MismatchError
from hil.run.measurement import Progress, silent
from hil.run.mismatch import compare
from hil.studies.profile.layers import LayerProfile, Profile, of_image
from hil.targets.spent import CAUSES

if TYPE_CHECKING:
    from rich.table import Table
    from torch import nn

    from hil.build.toolchain import Toolchain
    from hil.compiler.plan import Plan
    from hil.compiler.program import Program
    from hil.models import LoadedModel

_SEED = 0
_WEIGHTS = 0.3  # deviation of a lone layer's weights
_SMALL = 0.05  # and of those that make a sparse matrix dense
_CALIBRATION_IMAGES = 2
_KEPT = 0.3  # of a sparse cell's weights are not zero


@dataclass(frozen=True)
class Row:
    """One operator, block or layer as one compiler built it."""

    toolchain: str
    cost: LayerProfile


def kernels(
    board: Board, toolchains: Sequence["Toolchain"], progress: Progress = silent
) -> list[Row]:
    """Measure every kind of operator of RNNPool-Face-M4, in its shapes.

    Args:
        board: which kind is emulated.
        toolchains: the compilers; every layer is measured with each.
        progress: told each layer.

    Raises:
        MeasurementError: as the suite does.
    """
    rows = []
    for name, shape, layer in cases():
        program = quantise(name, shape, layer)
        for toolchain in toolchains:
            whole = _measure(name, program, board, toolchain, progress).whole
            rows.append(Row(str(toolchain), replace(whole, name=name)))
    return rows


def face_m4(
    board: Board, toolchains: Sequence["Toolchain"], progress: Progress = silent
) -> list[Row]:
    """Measure RNNPool-Face-M4 by layer, with the paper's sparse RNN weights and with dense ones.

    Args:
        board: which kind is emulated.
        toolchains: the compilers; the network is measured with each.
        progress: told each network.

    Raises:
        MeasurementError: as the suite does.
    """
    rows = []
    for title, dense in (("sparse", False), ("dense", True)):
        program = _face_m4(dense=dense)
        for toolchain in toolchains:
            profile = _measure(f"face_m4 {title}", program, board, toolchain, progress)
            costs = (*profile.layers, profile.whole)
            rows += [Row(str(toolchain), replace(c, name=f"{title} {c.name}")) for c in costs]
    return rows


def table(rows: Sequence[Row]) -> "Table":
    """Lay the rows out for a person; the causes as shares of the row's cycles."""
    from rich import box
    from rich.table import Table

    out = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        caption="MACs and cycles in millions; then the shares of the cycles that went to "
        "instructions, waiting for data, pipeline refills, and flash waits for code and data",
        caption_justify="left",
    )
    out.add_column("", no_wrap=True)
    out.add_column("by", no_wrap=True)
    for heading in ("MACs", "cycles", "/MAC", "instr", "load", "refill", "code", "data"):
        out.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cost, spent = row.cost, row.cost.spent
        per_mac = f"{cost.cycles / cost.macs:.3f}" if cost.macs else ""
        causes = (spent.issue, spent.load_store, spent.branch, spent.flash_code, spent.flash_data)
        out.add_row(
            cost.name,
            row.toolchain.partition(" ")[0],
            f"{cost.macs / 1e6:.2f}",
            f"{cost.cycles / 1e6:.2f}",
            per_mac,
            *(f"{cycles / cost.cycles:.0%}" for cycles in causes),
        )
    return out


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one row each: name, toolchain, MACs, cycles, cycles by cause.

    Args:
        rows: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "toolchain", "macs", "cycles", *CAUSES))
        for row in rows:
            cost = row.cost
            causes = asdict(cost.spent).values()
            writer.writerow((cost.name, row.toolchain, cost.macs, cost.cycles, *causes))


def cases() -> Iterator[tuple[str, tuple[int, int, int], "nn.Module"]]:
    """Name, input shape (rows, columns, channels) and network of each measurement."""
    from torch import nn

    from hil.models.blocks import ConvBNReLU6, MBConv, Separable
    from hil.models.densenet import DenseLayer
    from hil.models.renet import ReNet

    for rows, inputs, outputs in ((30, 32, 64), (30, 64, 32), (20, 64, 128), (20, 128, 32)):
        yield (
            f"1x1 {rows}x40 {inputs}->{outputs}",
            (rows, 40, inputs),
            ConvBNReLU6(inputs, outputs, kernel=1),
        )
    for rows, columns, inputs, outputs, stride in (
        (30, 40, 64, 32, 1),
        (30, 40, 32, 32, 1),
        (30, 40, 32, 64, 2),
        (15, 20, 64, 64, 1),
    ):
        yield (
            f"block {rows}x{columns} {inputs}-{2 * inputs}-{outputs} s{stride}",
            (rows, columns, inputs),
            MBConv(inputs, outputs, expansion=2, stride=stride),
        )
    for rows, columns, inputs in ((30, 40, 32), (15, 20, 64)):
        yield (
            f"head 3x3 {rows}x{columns} {inputs}->6",
            (rows, columns, inputs),
            nn.Conv2d(inputs, 6, 3, padding=1),
        )
    yield "separable 28x28 64->64", (28, 28, 64), Separable(64, 64)
    yield "dense layer 14x14 128+32", (14, 14, 128), DenseLayer(128, 32)
    yield "ReNet 4x4 112x112 8->32", (112, 112, 8), ReNet(8, 16, patch=4)
    yield "3x3 s2 112x112 3->8", (112, 112, 3), ConvBNReLU6(3, 8, kernel=3, stride=2)


def _alone(layer: "nn.Module") -> "nn.Module":
    from torch import nn

    from hil.models.blocks import Branches, FlattenMaps

    return layer if isinstance(layer, Branches) else nn.Sequential(layer, FlattenMaps())


def quantise(
    name: str, shape: tuple[int, int, int], layer: "nn.Module", *, sparse: bool = False
) -> "Program":
    """Give a layer seeded weights and quantise it on noise; `sparse`: its RNNs' are mostly zero.

    Args:
        name: of the program.
        shape: of the input: rows, columns, channels.
        layer: in evaluation mode; its weights are replaced.
        sparse: whether most weights of its RNNs are zero.
    """
    import torch

    from hil.models import LoadedModel
    from hil.models.fastgrnn import FastGRNN
    from hil.vision.photographs import InputSpec

    generator = torch.Generator().manual_seed(_SEED)
    cells = [cell for cell in layer.modules() if isinstance(cell, FastGRNN) and sparse]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * _WEIGHTS)
        for matrix in (matrix for cell in cells for matrix in (cell.W, cell.U)):
            matrix.mul_(torch.rand(matrix.shape, generator=generator) < _KEPT)
    rows, columns, channels = shape
    spec = InputSpec(rows=rows, columns=columns, channels=channels)
    return _compile(LoadedModel(name, _alone(layer).eval(), spec, "seeded"))


def _compile(loaded: "LoadedModel") -> "Program":
    from hil.compiler import compile_model

    low, high = loaded.spec.range
    noise = np.random.default_rng(_SEED)
    images = [
        noise.uniform(low, high, loaded.spec.shape).astype(np.float32)
        for _ in range(_CALIBRATION_IMAGES)
    ]
    return compile_model(loaded, images).program


def _face_m4(*, dense: bool) -> "Program":
    """RNNPool-Face-M4 on seeded weights; `dense` fills the zeros of its RNNs with small ones."""
    import torch

    from hil import models
    from hil.models.fastgrnn import FastGRNN

    loaded = models.load("face_m4", seed=_SEED)
    generator = torch.Generator().manual_seed(_SEED)
    cells = [cell for cell in loaded.module.modules() if isinstance(cell, FastGRNN)]
    with torch.no_grad():
        for matrix in (matrix for cell in cells for matrix in (cell.W, cell.U) if dense):
            small = torch.randn(matrix.shape, generator=generator) * _SMALL
            matrix.copy_(torch.where(matrix == 0, small, matrix))
    return _compile(loaded)


def _measure(
    title: str, program: "Program", board: Board, toolchain: "Toolchain", progress: Progress
) -> Profile:
    from hil.compiler import plan

    progress(f"{title}, {toolchain}")
    planned = plan.make_plan(program, plan.Budget.of(board))
    return measure(title, program, planned, board, toolchain)


def measure(
    title: str, program: "Program", planned: "Plan", board: Board, toolchain: "Toolchain"
) -> Profile:
    """Build a planned program, run it, and refuse figures of wrong results.

    Args:
        title: of the row.
        program: the quantised network.
        planned: its steps, and where their memory is.
        board: which kind is emulated.
        toolchain: the compiler.

    Raises:
        MismatchError: the results are not the integer reference's.
        MeasurementError: as the suite does.
    """
    from hil.build import firmware
    from hil.compiler import emit, reference

    x = np.random.default_rng(_SEED).integers(-128, 128, program.input.shape).astype(np.int8)
    with files.scratch() as scratch:
        emit.write(program, planned, scratch)
        image = firmware.build(scratch, board, toolchain)
    profile = of_image(title, image, planned, board, x.tobytes())
    mismatch = compare(program.decode_output(profile.outputs), reference.run(program, x))
    if mismatch:
        raise MismatchError(f"{title}: {mismatch}", stage="bench")
    return profile
