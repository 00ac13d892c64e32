"""The RNNPool layer with GRU or LSTM cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hil.compiler.integers.ranges import Affine
from hil.compiler.macs import Macs
from hil.compiler.operators import gated
from hil.compiler.operators.gated import GatedCell, Met, quantise_gated, sweep
from hil.compiler.operators.gru import STATE_SCALE, TABLE_BITS, sigmoids
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
from hil.compiler.operators.rnnpool import rows_first
from hil.compiler.program import Int16, Quantised, Shape
from hil.models.fastgrnn import Observer
from hil.models.gated import GatedRNNPool


@dataclass(frozen=True, eq=False)
class GatedPool(PatchPool):
    """The RNNPool layer with GRU or LSTM cells, whose states' scale is 2**-15.

    Attributes:
        table: int16, (2**index_bits,), of the sigmoid: both cells'.
    """

    row: GatedCell
    summary: GatedCell
    table: Int16


@dataclass(frozen=True, eq=False)
class GatedPoolNode(Node):
    """A layer with float weights."""

    layer: GatedRNNPool


class GatedPoolKind(Kind[GatedPoolNode, GatedPool, GatedRNNPool]):
    """RNNPool layers of gated cells from layer to integers."""

    node = GatedPoolNode
    operator = GatedPool
    layers = (GatedRNNPool,)

    def trace(self, layer: GatedRNNPool, place: Place) -> GatedPoolNode:
        """Take the layer as it is."""
        macs = self.macs(layer, place.sources[0].shape, place.shape).plain
        return GatedPoolNode(*place.common(macs), layer)

    def put_in_order(self, layer: GatedRNNPool) -> Sequence[int] | None:
        """Let a layer of the old order give the summaries of rows first."""
        return rows_first(layer)

    def quantise(self, node: GatedPoolNode, by: Calibration) -> GatedPool:
        """Run the float layer on what calibration met, and choose both cells' constants by it."""
        (x,) = by.inputs(node)
        layer = node.layer
        of_row, of_summary = _observed(layer, by.seen(node))
        row = quantise_gated(
            layer.row,
            of_row,
            x_scale=x.scale * np.array(x.factor or 1.0),
            x_most=x.reach,
        )
        summary = quantise_gated(layer.summary, of_summary, x_scale=STATE_SCALE, x_most=2**15)
        centre, shift = np.zeros(summary.units), WHOLE_SHIFT
        if by.recipe.centres and node.name in by.centred:
            states = by.activations[node.name].reshape(-1, summary.units) / STATE_SCALE
            centre, shift = centres(states)
        output = bound(node, Affine(2.0**shift * STATE_SCALE, 0))
        if centre.any():
            output = replace(output, centre=4 * tuple(float(c) * STATE_SCALE for c in centre))
        return GatedPool(
            node.name,
            (x,),
            output,
            node.macs,
            patch=layer.patch,
            stride=layer.stride,
            row=row,
            summary=summary,
            table=sigmoids(TABLE_BITS),
            offset=offsets(centre, shift),
            shift=shift,
        )

    def compute(
        self, operator: GatedPool, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a pooling of a whole map."""
        op = operator
        return pooled(
            op,
            maps,
            lambda x: sweep(op.row, op.table, x, kept),
            lambda x: sweep(op.summary, op.table, x, kept),
        )

    def takes_factors(self, node: GatedPoolNode, source: str) -> float:
        """Free: the first cell's weights have 16 bits."""
        del node, source
        return 1.0

    def given(self, of: GatedPoolNode | GatedPool) -> Given | None:
        """The states bound it."""
        del of
        return ITS_STATES

    def least_side(self, node: GatedPoolNode) -> int:
        """A patch."""
        return node.layer.patch

    def macs(self, layer: GatedRNNPool, x: Shape, y: Shape) -> Macs:
        """Count the cells' products."""
        del y
        return pool_macs(layer, x[0], x[1])

    def constant_bytes(self, layer: GatedRNNPool) -> int:
        """Count both cells' arrays, the table and the offsets."""
        cells = sum(gated.constant_bytes(cell) for cell in (layer.row, layer.summary))
        return cells + gated.table_bytes() + 2 * layer.summary.units

    def weights(self, operator: GatedPool) -> str:
        """Bits of weights and of states, entries of the table."""
        return f"16, h 16, 2^{operator.row.index_bits}"


def _observed(layer: GatedRNNPool, activations: Float64) -> tuple[Met, Met]:
    """Run the float layer, and note how far products and memories of its cells reach."""
    most = {"row": [0.0, 0.0], "summary": [0.0, 0.0]}

    def note(name: str, biases: torch.Tensor) -> Observer:
        def observe(projected: torch.Tensor, memory: torch.Tensor) -> None:
            sums, reached = projected + biases, most[name]
            reached[0] = max(reached[0], float(sums.abs().max()))
            reached[1] = max(reached[1], float(memory.abs().max()))

        return observe

    with torch.inference_mode():
        layer.pool(
            torch.from_numpy(activations).permute(0, 3, 1, 2),
            note("row", torch.cat(layer.row.offsets())),
            note("summary", torch.cat(layer.summary.offsets())),
        )
    return Met(*most["row"]), Met(*most["summary"])
