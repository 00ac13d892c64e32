"""What RNNPool layers of all cells have in common: patches, shared sweeps, bytes around centres."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hil.compiler.integers.exact import Whole
from hil.compiler.macs import Macs
from hil.compiler.operators.kind import Float64
from hil.compiler.program import Int8, Int16, Operator, Quantised
from hil.models import rnnpool
from hil.models.fastgrnn import FastGRNN
from hil.models.gated import GatedCell

WHOLE_SHIFT = 8  # at which a byte holds all states
_MOST_CENTRE = 2**15 - 1 - 2**WHOLE_SHIFT  # so that the offset fits int16

Sweep: TypeAlias = Callable[[Whole], Whole]
"""Runs a cell over sequences, (..., inputs, steps), to its last states, (..., units)."""


@dataclass(frozen=True, eq=False)
class PatchPool(Operator):
    """The RNNPool layer (paper algorithm 1): patches summarised by two recurrent cells.

    For the patch at (py, px) of `patch` x `patch` pixels from (py*stride, px*stride): `row` (RNN1)
    sweeps each row left to right and each column top to bottom; `summary` (RNN2) sweeps the row
    summaries down and up, then the column summaries right and left.
    Output channels: [rows down, rows up, columns right, columns left], `summary.units` each, y =
    clamp((h + offset[unit]) >> shift, -128, 127). So y.scale = 2**shift * the state's scale and
    y.zero_point = 0; the offset, less 2**(shift - 1) to round, is the channel's centre, taken off.
    RNN2 reads RNN1's int16 state as it is.
    Patches: floor((n - patch) / stride) + 1 each way; the last row and column are then repeated up
    to the output's shape.

    Attributes:
        offset: int16, (summary.units,).
        shift: 1 to 8.
    """

    patch: int
    stride: int
    offset: Int16
    shift: int


def pooled(op: PatchPool, maps: Mapping[str, Quantised], row: Sweep, summary: Sweep) -> Int8:
    """Sweep rows and columns once for all patches that share them.

    A sweep depends on nothing but the pixels under it, so sharing changes no bit.

    Args:
        op: the operator.
        maps: that it reads, by name, int8 (rows, columns, channels).
        row: sweeps RNN1 along the rows or columns of the map.
        summary: sweeps RNN2 along the states of a patch.

    Returns:
        int8, (patches down, patches across, outputs).
    """
    source = op.inputs[0]
    pixels = maps[source.name].astype(np.float64) - source.zero_point
    across = _unfold(pixels, 1, op.patch, op.stride)  # rows, px, channels, steps
    down = _unfold(pixels, 0, op.patch, op.stride)  # py, columns, channels, steps
    # py, px, units, steps
    of_rows = _unfold(row(across), 0, op.patch, op.stride)
    of_columns = _unfold(row(down), 1, op.patch, op.stride)
    states = [
        summary(sequence[..., ::direction])
        for sequence in (of_rows, of_columns)
        for direction in (1, -1)
    ]
    h = np.concatenate(states, axis=-1).astype(np.int64)
    y = np.clip((h + np.tile(op.offset, 4)) >> op.shift, -128, 127).astype(np.int8)
    rows, columns, _ = op.output.shape
    return np.pad(y, ((0, rows - y.shape[0]), (0, columns - y.shape[1]), (0, 0)), mode="edge")


def offsets(centre: Float64, shift: int) -> Int16:
    """Write what is added before the shift: a half to round, less the centres.

    Args:
        centre: of each output, in levels.
        shift: bits that the kernel shifts by.
    """
    added: Int16 = (2 ** (shift - 1) - centre).astype(np.int16)
    return added


def centres(states: Float64) -> tuple[Float64, int]:
    """Choose each unit's centre, and the shift that all have, of the least squared error.

    A unit's states are often far from 0 and near each other; what they have in common is the next
    layer's bias, and eight bits hold the rest more finely.

    Args:
        states: of the map in calibration, (samples, units), in units of the state.

    Returns:
        Whole numbers, (units,), and the shift.
    """
    low, high = states.min(axis=0), states.max(axis=0)
    centre = np.clip(np.rint((low + high) / 2), -_MOST_CENTRE, _MOST_CENTRE)
    apart = states - centre

    def error(shift: int) -> float:
        kept = np.clip(np.rint(apart / 2.0**shift), -128, 127) * 2.0**shift
        return float(np.square(kept - apart).sum())

    return centre, min(range(WHOLE_SHIFT, 0, -1), key=error)


def pool_macs(pool: rnnpool.RNNPool, rows: int, columns: int) -> Macs:
    """Count an RNNPool layer on a map of this size.

    Source: the paper's algorithm 1; per patch of r x c pixels, plain: 2 r c (k h1 + h1^2) +
        2 (r + c) (h1 h2 + h2^2).

    Args:
        pool: the layer.
        rows: of the map.
        columns: of the map.
    """
    down, across = pool.grid(rows, columns)
    patches, length = down * across, pool.patch
    (w1, u1), (w2, u2) = _sizes(pool.row), _sizes(pool.summary)
    read_rows, read_columns = _read(down, pool), _read(across, pool)
    sweeps = read_rows * across + read_columns * down
    return Macs(
        plain=pool.macs(rows, columns),
        shared=read_rows * read_columns * w1
        + patches * (2 * length**2 * u1 + 2 * length * w2 + 4 * length * u2),
        across_patches=read_rows * read_columns * w1
        + sweeps * ((length - 1) * u1 + w2)
        + patches * 4 * (length - 1) * u2,
        sparse=patches * (2 * length**2 * _kept(pool.row) + 4 * length * _kept(pool.summary)),
    )


def _read(patches: int, pool: rnnpool.RNNPool) -> int:
    """Rows or columns of the map that so many patches in a line read."""
    return (patches - 1) * min(pool.stride, pool.patch) + pool.patch


def _sizes(cell: FastGRNN | GatedCell) -> tuple[int, int]:
    """Weights of all of a cell's W and U, zeros included."""
    return cell.gates * cell.inputs * cell.units, cell.gates * cell.units**2


def _kept(cell: FastGRNN | GatedCell) -> int:
    """Weights that are not zero at the cell's density."""
    each = [size // cell.gates for size in _sizes(cell)]
    return sum(
        cell.gates * round(size * share) for size, share in zip(each, cell.density, strict=True)
    )


def _unfold(x: Whole, axis: int, length: int, stride: int) -> Whole:
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=axis)
    picked: Whole = windows[::stride] if axis == 0 else windows[:, ::stride]
    return picked
