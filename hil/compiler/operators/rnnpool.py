"""The RNNPool layer with FastGRNN cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hil.compiler.integers.ranges import Affine
from hil.compiler.macs import Macs
from hil.compiler.operators import fastgrnn
from hil.compiler.operators.fastgrnn import Cell, Seen, quantise_cell, sweep
from hil.compiler.operators.kind import (
    ITS_STATES,
    Calibration,
    Float64,
    Given,
    Kept,
    Kind,
    Node,
    Place,
    bound,
)
from hil.compiler.operators.patch_pool import (
    WHOLE_SHIFT,
    PatchPool,
    centres,
    offsets,
    pool_macs,
    pooled,
)
from hil.compiler.program import Quantised, Shape
from hil.models import rnnpool
from hil.models.fastgrnn import FastGRNN

_SAMPLES = 60_000  # steps of each cell that its ranges are chosen on


@dataclass(frozen=True, eq=False)
class RNNPool(PatchPool):
    """The RNNPool layer with FastGRNN cells, as the paper has it."""

    row: Cell
    summary: Cell


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
        return rows_first(layer)

    def quantise(self, node: RNNPoolNode, by: Calibration) -> RNNPool:
        """Run the float layer on what calibration met, and choose both cells' constants by it."""
        (x,) = by.inputs(node)
        bits = by.recipe.index_bits
        of_row, of_summary = _observe(node.layer, by.seen(node))
        whole = by.recipe.ranges != "least error"
        row = quantise_cell(
            node.layer.row,
            of_row,
            x_scale=x.scale * np.array(x.factor or 1.0),
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
        centre, shift = np.zeros(summary.units), WHOLE_SHIFT
        if by.recipe.centres and node.name in by.centred:
            states = by.activations[node.name].reshape(-1, summary.units) / summary.state_scale
            centre, shift = centres(states)
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
            offset=offsets(centre, shift),
            shift=shift,
        )

    def compute(
        self, operator: RNNPool, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a pooling of a whole map."""
        op = operator
        return pooled(
            op, maps, lambda x: sweep(op.row, x, kept), lambda x: sweep(op.summary, x, kept)
        )

    def takes_factors(self, node: RNNPoolNode, source: str) -> float:
        """Free: the first cell's weights have 16 bits."""
        del node, source
        return 1.0

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


def rows_first(layer: rnnpool.RNNPool) -> Sequence[int] | None:
    """Let a layer give the summaries of rows first, in place; None where it does."""
    if layer.order == "rows_first":
        return None
    layer.order = "rows_first"
    half = layer.channels // 2
    return [*range(half, layer.channels), *range(half)]


def _observe(layer: rnnpool.RNNPool, activations: Float64) -> tuple[Seen, Seen]:
    """Run the float layer and sample what its cells meet."""
    with torch.inference_mode():
        of_pixels = layer.of_pixels(torch.from_numpy(activations).permute(0, 3, 1, 2))
        of_summaries = layer.of_summaries(*(layer.row.sweep(all_of) for all_of in of_pixels))
        return _seen(layer.row, of_pixels), _seen(layer.summary, of_summaries)


def _seen(cell: FastGRNN, batches: Sequence[torch.Tensor]) -> Seen:
    """Sweep some sequences of each batch, (..., units, steps), and note every step."""
    steps = sum(math.prod(batch.shape[:-2]) * batch.shape[-1] for batch in batches)
    # An odd stride, so that no position within the patches is left out.
    stride = max(1, steps // _SAMPLES) | 1
    met: list[tuple[torch.Tensor, torch.Tensor]] = []
    for batch in batches:
        shape = batch.shape[:-2]
        chosen = np.unravel_index(np.arange(0, math.prod(shape), stride), shape)
        cell.sweep(batch[chosen], lambda a, h: met.append((a, h)))
    pre_activations, states = (torch.cat(one).numpy() for one in zip(*met, strict=True))
    return Seen(pre_activations, states)
