"""The RNNPool layer: patches summarised by two FastGRNN cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hil.compiler.integers.exact import Whole
from hil.compiler.integers.ranges import Affine
from hil.compiler.operators import fastgrnn
from hil.compiler.operators.fastgrnn import Cell, Seen, quantise_cell, sweep
from hil.compiler.operators.kind import (
    ITS_STATES,
    Calibration,
    Float64,
    Given,
    Kept,
    Kind,
    Macs,
    Node,
    Place,
    bound,
)
from hil.compiler.program import Int8, Int16, Operator, Shape
from hil.models import rnnpool
from hil.models.fastgrnn import FastGRNN

_WHOLE_SHIFT = 8  # at which a byte holds all states
_MOST_CENTRE = 2**15 - 1 - 2**_WHOLE_SHIFT  # so that the offset fits int16
_SAMPLES = 60_000  # steps of each cell that its ranges are chosen on


@dataclass(frozen=True, eq=False)
class RNNPool(Operator):
    """The RNNPool layer (paper algorithm 1): patches summarised by two FastGRNN cells.

    For the patch at (py, px) of `patch` x `patch` pixels from (py*stride, px*stride): `row` (RNN1)
    sweeps each row left to right and each column top to bottom; `summary` (RNN2) sweeps the row
    summaries down and up, then the column summaries right and left.
    Output channels: [rows down, rows up, columns right, columns left], `summary.units` each, y =
    clamp((h + offset[unit]) >> shift, -128, 127). So y.scale = 2**shift * summary.state_scale and
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
    row: Cell
    summary: Cell
    offset: Int16
    shift: int


@dataclass(frozen=True, eq=False)
class RNNPoolNode(Node):
    """An RNNPool layer with float weights."""

    layer: rnnpool.RNNPool


class RNNPoolKind(Kind[RNNPoolNode, RNNPool, rnnpool.RNNPool]):
    """RNNPool layers from layer to integers."""

    node = RNNPoolNode
    operator = RNNPool
    layers = (rnnpool.RNNPool,)
    has_cells = True

    def trace(self, layer: rnnpool.RNNPool, place: Place) -> RNNPoolNode:
        """Take the layer as it is."""
        macs = self.macs(layer, place.sources[0].shape, place.shape).plain
        return RNNPoolNode(*place.common(macs), layer)

    def put_in_order(self, layer: rnnpool.RNNPool) -> Sequence[int] | None:
        """Let a layer of the old order give the summaries of rows first."""
        if layer.order == "rows_first":
            return None
        layer.order = "rows_first"
        half = layer.channels // 2
        return [*range(half, layer.channels), *range(half)]

    def quantise(self, node: RNNPoolNode, by: Calibration) -> RNNPool:
        """Run the float layer on what calibration met, and choose both cells' constants by it."""
        (x,) = by.inputs(node)
        bits = by.recipe.index_bits
        of_row, of_summary = _observe(node.layer, by.seen(node))
        whole = by.recipe.ranges != "least error"
        row = quantise_cell(
            node.layer.row,
            of_row,
            x_scale=x.scale,
            x_most=x.reach,
            index_bits=bits,
            whole=whole,
        )
        summary = quantise_cell(
            node.layer.summary,
            of_summary,
            x_scale=row.state_scale,
            x_most=2**15,
            index_bits=bits,
            whole=whole,
        )
        centre, shift = np.zeros(summary.units), _WHOLE_SHIFT
        if by.recipe.centres and node.name in by.centred:
            states = by.activations[node.name].reshape(-1, summary.units) / summary.state_scale
            centre, shift = _centres(states)
        output = bound(node, Affine(2.0**shift * summary.state_scale, 0))
        if centre.any():
            reals = tuple(float(c) * summary.state_scale for c in centre)
            output = replace(output, centre=4 * reals)
        return RNNPool(
            node.name,
            (x,),
            output,
            node.macs,
            patch=node.layer.patch,
            stride=node.layer.stride,
            row=row,
            summary=summary,
            offset=(2 ** (shift - 1) - centre).astype(np.int16),
            shift=shift,
        )

    def compute(self, operator: RNNPool, maps: Mapping[str, Int8], kept: Kept | None) -> Int8:
        """Sweep rows and columns once for all patches that share them.

        A sweep depends on nothing but the pixels under it, so sharing changes no bit.
        """
        op, source = operator, operator.inputs[0]
        pixels = maps[source.name].astype(np.float64) - source.zero_point
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
        y = np.clip((h + np.tile(op.offset, 4)) >> op.shift, -128, 127).astype(np.int8)
        rows, columns, _ = op.output.shape
        return np.pad(y, ((0, rows - y.shape[0]), (0, columns - y.shape[1]), (0, 0)), mode="edge")

    def given(self, of: RNNPoolNode | RNNPool) -> Given | None:
        """The states bound it."""
        del of
        return ITS_STATES

    def least_side(self, node: RNNPoolNode) -> int:
        """A patch."""
        return node.layer.patch

    def macs(self, layer: rnnpool.RNNPool, x: Shape, y: Shape) -> Macs:
        """Count the cells' products."""
        del y
        return pool_macs(layer, x[0], x[1])

    def constant_bytes(self, layer: rnnpool.RNNPool) -> int:
        """Count both cells' weights and tables, and the offsets."""
        cells = sum(fastgrnn.constant_bytes(cell) for cell in (layer.row, layer.summary))
        return cells + 2 * layer.summary.units

    def weights(self, operator: RNNPool) -> str:
        """Bits of weights and of states, entries of the tables."""
        return f"16, h 16, 2^{operator.row.index_bits}"


def _centres(states: Float64) -> tuple[Float64, int]:
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

    return centre, min(range(_WHOLE_SHIFT, 0, -1), key=error)


def pool_macs(pool: rnnpool.RNNPool, rows: int, columns: int) -> Macs:
    """Count an RNNPool layer on a map of this size.

    Source: the paper's algorithm 1; per patch of r x c pixels, plain: 2 r c (k h1 + h1^2) +
        2 (r + c) (h1 h2 + h2^2).
    """
    down, across = pool.grid(rows, columns)
    patches, length = down * across, pool.patch
    w1, u1 = (weight.numel() for weight in (pool.row.W, pool.row.U))
    w2, u2 = (weight.numel() for weight in (pool.summary.W, pool.summary.U))
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


def _kept(cell: FastGRNN) -> int:
    """Weights that are not zero at the cell's density."""
    sizes = (cell.W.numel(), cell.U.numel())
    return sum(round(size * share) for size, share in zip(sizes, cell.density, strict=True))


def _unfold(x: Whole, axis: int, length: int, stride: int) -> Whole:
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=axis)
    picked: Whole = windows[::stride] if axis == 0 else windows[:, ::stride]
    return picked


def _observe(layer: rnnpool.RNNPool, activations: Float64) -> tuple[Seen, Seen]:
    """Run the float layer and sample what its cells meet."""
    steps: tuple[list[tuple[torch.Tensor, torch.Tensor]], ...] = ([], [])
    with torch.inference_mode():
        layer.pool(
            torch.from_numpy(activations).permute(0, 3, 1, 2),
            lambda a, h: steps[0].append((a.flatten(0, -2), h.flatten(0, -2))),
            lambda a, h: steps[1].append((a.flatten(0, -2), h.flatten(0, -2))),
        )
    row, summary = (_sampled(s) for s in steps)
    return row, summary


def _sampled(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> Seen:
    # An odd stride, so that no position within the patches is left out.
    stride = max(1, sum(len(a) for a, _ in steps) // _SAMPLES) | 1
    pre_activations = torch.cat([a[::stride] for a, _ in steps]).numpy()
    states = torch.cat([h[::stride] for _, h in steps]).numpy()
    return Seen(pre_activations, states)
