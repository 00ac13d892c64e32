"""The integer reference: a `Program` computed in numpy, exactly as `program.py` states it.

Sums of products are taken in float64, which holds every integer up to 2**53 and so every 32-bit
accumulator exactly.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.compiler import reference_gru
from hil.compiler.program import (
    Cell,
    Concat,
    Conv2D,
    GRUSweep,
    Int8,
    L2Norm,
    MaxOut,
    Operator,
    Pool2D,
    Program,
    RNNPool,
)
from hil.errors import UsageError

Int64: TypeAlias = npt.NDArray[np.int64]
Whole: TypeAlias = npt.NDArray[np.float64]  # integers, held in float64
Kept: TypeAlias = Callable[[Whole], Whole]


def run(program: Program, x: Int8) -> Int8:
    """Compute a program's result.

    Args:
        program: the quantised network.
        x: int8, of the program's input shape.

    Returns:
        int8, (count,).

    Raises:
        UsageError: the input's shape or type is another.
    """
    maps = trace(program, x)
    return np.concatenate([maps[t.name].reshape(-1) for t in program.output.tensors])


def trace(program: Program, x: Int8, kept: Kept | None = None) -> dict[str, Int8]:
    """Compute every tensor of a program, by name.

    Args:
        program: the quantised network.
        x: int8, of the program's input shape.
        kept: what is kept of every state of a cell, to see what a coarser one would do; None
            for all of it, as the program says.

    Raises:
        UsageError: the input's shape or type is another.
    """
    if x.shape != program.input.shape or x.dtype != np.int8:
        raise UsageError(
            f"{program.name} takes int8 {program.input.shape}, not {x.dtype} {x.shape}"
        )
    maps = {program.input.name: x}
    for operator in program.operators:
        maps[operator.output.name] = compute(operator, maps, kept)
    return maps


def compute(operator: Operator, maps: dict[str, Int8], kept: Kept | None = None) -> Int8:
    """Compute one operator from the maps it reads, by name; `kept` as for `trace`."""
    match operator:
        case Conv2D():
            return _conv2d(operator, maps)
        case RNNPool():
            return _rnnpool(operator, maps[operator.inputs[0].name], kept)
        case GRUSweep():
            return reference_gru.sweep(operator, maps[operator.inputs[0].name])
        case L2Norm():
            return _l2norm(operator, maps[operator.inputs[0].name])
        case MaxOut():
            return _maxout(operator, maps[operator.inputs[0].name])
        case Pool2D():
            return _pool2d(operator, maps[operator.inputs[0].name])
        case Concat():
            return _concat(operator, maps)
        case _:
            raise UsageError(f"the reference has no {type(operator).__name__} ({operator.name})")


def smmulr(a: Int64, b: Int64) -> Int64:
    """Multiply 32-bit integers and keep the upper half of the product, rounded."""
    return (a * b + 2**31) >> 32


def _conv2d(op: Conv2D, maps: dict[str, Int8]) -> Int8:
    source = op.inputs[0]
    padded = _pad(op, maps[source.name].astype(np.float64) - source.zero_point, 0.0)
    acc = (_depthwise(op, padded) if op.depthwise else _dense(op, padded)).astype(np.int64)
    acc += op.bias
    y = op.output.zero_point + smmulr(acc << op.shift, op.multiplier.astype(np.int64))
    if op.residual is not None:
        term = maps[op.residual.source.name].astype(np.int64) - op.residual.source.zero_point
        y += (term * op.residual.multiplier + (1 << op.residual.shift >> 1)) >> op.residual.shift
    return np.clip(y, op.low, op.high).astype(np.int8)


def _concat(op: Concat, maps: dict[str, Int8]) -> Int8:
    parts = []
    for source, rescale in zip(op.inputs, op.rescales, strict=True):
        x = maps[source.name]
        if rescale is not None:
            centred = x.astype(np.int64) - source.zero_point
            scaled = smmulr(centred << rescale.shift, np.array(rescale.multiplier, np.int64))
            x = np.clip(op.output.zero_point + scaled, -128, 127).astype(np.int8)
        parts.append(x)
    return np.concatenate(parts, axis=-1)


def _window(op: Conv2D | Pool2D) -> tuple[int, int]:
    """Rows and columns that one output is computed from."""
    return op.window if isinstance(op, Pool2D) else (op.weight.shape[1], op.weight.shape[2])


def _pad(op: Conv2D | Pool2D, x: Whole, value: float) -> Whole:
    """A value around the map, to the far edge of the last window."""
    rows, columns, _ = op.output.shape
    window_rows, window_columns = _window(op)
    bottom = (rows - 1) * op.stride + window_rows - op.padding.top - x.shape[0]
    right = (columns - 1) * op.stride + window_columns - op.padding.left - x.shape[1]
    edges = ((op.padding.top, max(0, bottom)), (op.padding.left, max(0, right)), (0, 0))
    return np.pad(x, edges, constant_values=value)


def _dense(op: Conv2D, padded: Whole) -> Whole:
    acc = np.zeros(op.output.shape)
    for i, j, window in _windows(op, padded):
        acc += window @ op.weight[:, i, j, :].astype(np.float64).T
    return acc


def _depthwise(op: Conv2D, padded: Whole) -> Whole:
    acc = np.zeros(op.output.shape)
    for i, j, window in _windows(op, padded):
        acc += window * op.weight[:, i, j, 0].astype(np.float64)
    return acc


def _windows(op: Conv2D | Pool2D, padded: Whole) -> list[tuple[int, int, Whole]]:
    """For each place in a window, the pixels of the whole map that it meets."""
    rows, columns, _ = op.output.shape
    window_rows, window_columns = _window(op)
    down, across = (rows - 1) * op.stride + 1, (columns - 1) * op.stride + 1
    return [
        (i, j, padded[i : i + down : op.stride, j : j + across : op.stride])
        for i in range(window_rows)
        for j in range(window_columns)
    ]


def _rnnpool(op: RNNPool, x: Int8, kept: Kept | None) -> Int8:
    """Sweep rows and columns once for all patches that share them.

    A sweep depends on nothing but the pixels under it, so sharing changes no bit.
    """
    pixels = x.astype(np.float64) - op.inputs[0].zero_point
    across = _unfold(pixels, 1, op.patch, op.stride)  # rows, px, channels, steps
    down = _unfold(pixels, 0, op.patch, op.stride)  # py, columns, channels, steps
    # py, px, units, steps
    of_rows = _unfold(sweep(op.row, across, kept), 0, op.patch, op.stride)
    of_columns = _unfold(sweep(op.row, down, kept), 1, op.patch, op.stride)
    states = [
        sweep(op.summary, sequence[..., ::direction], kept)
        for sequence in (of_rows, of_columns)
        for direction in (1, -1)
    ]
    h = np.concatenate(states, axis=-1).astype(np.int64)
    y = np.clip((h + 128) >> 8, -128, 127).astype(np.int8)
    rows, columns, _ = op.output.shape
    return np.pad(y, ((0, rows - y.shape[0]), (0, columns - y.shape[1]), (0, 0)), mode="edge")


def _unfold(x: Whole, axis: int, length: int, stride: int) -> Whole:
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=axis)
    picked: Whole = windows[::stride] if axis == 0 else windows[:, ::stride]
    return picked


def sweep(cell: Cell, sequence: Whole, kept: Kept | None = None) -> Whole:
    """Run a cell over sequences from a zero state.

    Args:
        cell: the cell.
        sequence: integers, (..., inputs, steps), the zero point taken off.
        kept: as for `trace`.

    Returns:
        The last states, (..., units), integers.
    """
    steps = np.moveaxis(sequence, -1, 0)
    h = np.zeros((*steps.shape[1:-1], cell.units))
    for x in steps:
        h = step(cell, x, h)
        if kept is not None:
            h = kept(h)
    return h


def step(cell: Cell, x: Whole, h: Whole) -> Whole:
    """One step of a cell: inputs (..., inputs) and states (..., units) to states."""
    of_x = (x @ cell.w.astype(np.float64).T).astype(np.int64) << cell.w_shift
    acc = cell.bias + of_x + (h @ cell.u.astype(np.float64).T).astype(np.int64)
    j = np.clip(acc >> cell.index_shift, 0, (1 << cell.index_bits) - 1)
    unit = np.arange(cell.units)
    gate = cell.gate[unit, j].astype(np.int64)
    update = cell.update[unit, j].astype(np.int64)
    after: Int64 = (gate * h.astype(np.int64) + 65536 * update + gate) >> 15
    return after.astype(np.float64)


def _l2norm(op: L2Norm, x: Int8) -> Int8:
    centred = x.astype(np.int64) - op.inputs[0].zero_point
    squares = np.square(centred).sum(axis=-1, keepdims=True).astype(np.float32)
    with np.errstate(divide="ignore"):
        inverse = np.where(squares > 0, np.float32(2**30) / np.sqrt(squares), np.float32(0))
    scaled = centred * inverse.astype(np.int64)
    y = op.output.zero_point + smmulr(scaled, op.multiplier.astype(np.int64))
    return np.clip(y, -128, 127).astype(np.int8)


def _maxout(op: MaxOut, x: Int8) -> Int8:
    best = x[..., : op.groups].max(axis=-1, keepdims=True)
    return np.concatenate([best, x[..., op.groups :]], axis=-1)


def _pool2d(op: Pool2D, x: Int8) -> Int8:
    pixels = x.astype(np.float64) - op.inputs[0].zero_point
    if op.kind == "max":
        windows = _windows(op, _pad(op, pixels, -np.inf))
        best = np.maximum.reduce([window for _, _, window in windows])
        greatest: Int8 = (best + op.inputs[0].zero_point).astype(np.int8)
        return greatest
    windows = _windows(op, _pad(op, pixels, 0.0))
    acc = np.add.reduce([window for _, _, window in windows]).astype(np.int64)
    y = op.output.zero_point + smmulr(acc << op.shift, np.array(op.multiplier, np.int64))
    return np.clip(y, -128, 127).astype(np.int8)
