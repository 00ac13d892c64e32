"""A GRU along a map's columns or rows, half a ReNet layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hil.compiler.integers.exact import Int64, Whole
from hil.compiler.integers.ranges import Affine
from hil.compiler.macs import Macs
from hil.compiler.operators.gru import GRU, STATE_SCALE, TABLE_BITS, quantise_gru
from hil.compiler.operators.kind import (
    ITS_STATES,
    Calibration,
    Given,
    Kept,
    Kind,
    Node,
    Place,
    bound,
)
from hil.compiler.program import Int8, Int16, Operator, Quantised, Shape
from hil.models import renet


@dataclass(frozen=True, eq=False)
class GRUSweep(Operator):
    """A GRU along every column (or row) of a map of patches, forwards and backwards.

    A patch of `patch` x `patch` pixels, which do not overlap, is one input vector x in the order
    row, column, channel, its zero point taken off. Along a column the GRU `forward` reads the
    patches from the top, `backward` from the bottom; along a row from the left and from the right.
    The state h is int16, real = 2**-15 * h, and starts at 0. For unit i at every step, g being r, z
    and n, all in int32 without overflow for any input whatever (the quantiser proves it from row
    sums):

        p[g]  = clamp(smmulr(bias[g, i] + sum_k w[g, i, k] * x[k], multiplier[g, i]), -2**15,
                2**15 - 1)
        a[g]  = (p[g] << product_shift) + sum_k u[g, i, k] * h[k]          for r and z
        m     = bias_n[i] + sum_k u[n, i, k] * h[k]
        a[n]  = (p[n] << product_shift) + ((m * s(a[r])) >> 16)
        n     = 2 * s(a[n]) - 2**15
        h'[i] = n + ((s(a[z]) * (h[i] - n) + 2**14) >> 15)

    where s(a) = table[2**(index_bits-1) + clamp(a >> index_shift, -2**(index_bits-1),
    2**(index_bits-1) - 1)] is the sigmoid in units of 2**-15. The candidate's rows are twice those
    of the float cell, since tanh(v) = 2 sigmoid(2 v) - 1, and `u` and `bias_n` of it twice that.
    h' lies between h and n, so the state stays in int16.
    Output channels: the states of `forward`, then those of `backward` after the pixel's step, y =
    clamp((h' + 128) >> 8, -128, 127), so that y.scale = 2**-7 and y.zero_point = 0.

    Attributes:
        along: "columns" or "rows".
        table: int16, (2**index_bits,), 0 .. 2**15 - 1.
    """

    patch: int
    along: Literal["columns", "rows"]
    forward: GRU
    backward: GRU
    product_shift: int
    index_shift: int
    index_bits: int
    table: Int16


@dataclass(frozen=True, eq=False)
class GRUSweepNode(Node):
    """A GRU sweep with float weights."""

    layer: renet.GRUSweep


class GRUSweepKind(Kind[GRUSweepNode, GRUSweep, renet.GRUSweep]):
    """GRU sweeps from layer to integers."""

    node = GRUSweepNode
    operator = GRUSweep
    layers = (renet.GRUSweep,)

    def trace(self, layer: renet.GRUSweep, place: Place) -> GRUSweepNode:
        """Take the layer as it is."""
        macs = self.macs(layer, place.sources[0].shape, place.shape).plain
        return GRUSweepNode(*place.common(macs), layer)

    def quantise(self, node: GRUSweepNode, by: Calibration) -> GRUSweep:
        """Choose both directions' constants."""
        (x,) = by.inputs(node)
        made = quantise_gru(node.layer, by.seen(node), x_scale=x.scale, x_most=x.reach)
        return GRUSweep(
            node.name,
            (x,),
            bound(node, Affine(256.0 * STATE_SCALE, 0)),
            node.macs,
            patch=node.layer.patch,
            along=node.layer.along,
            forward=made.forward,
            backward=made.backward,
            product_shift=made.product_shift,
            index_shift=made.index_shift,
            index_bits=TABLE_BITS,
            table=made.table,
        )

    def compute(
        self, operator: GRUSweep, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a sweep of a whole map; its states are kept whole."""
        del kept
        return sweep(operator, maps[operator.inputs[0].name])

    def given(self, of: GRUSweepNode | GRUSweep) -> Given | None:
        """The states bound it."""
        del of
        return ITS_STATES

    def least_side(self, node: GRUSweepNode) -> int:
        """A patch."""
        return node.layer.patch

    def macs(self, layer: renet.GRUSweep, x: Shape, y: Shape) -> Macs:
        """Count both directions."""
        del y
        return Macs.alike(layer.macs(x[0], x[1]))

    def constant_bytes(self, layer: renet.GRUSweep) -> int:
        """Count weights, biases, multipliers and the table."""
        gru = layer.gru
        arrays = sum((2 if p.dim() > 1 else 4) * p.numel() for p in gru.parameters())
        return arrays + 2 * 4 * gru.hidden_size + (2 << TABLE_BITS)

    def weights(self, operator: GRUSweep) -> str:
        """Bits of weights and of states, entries of the table."""
        return f"16, h 16, 2^{operator.index_bits}"


def sweep(op: GRUSweep, x: Quantised) -> Int8:
    """Compute a sweep of a whole map.

    Args:
        op: the operator.
        x: the map, (rows, columns, channels).

    Returns:
        its output, (rows, columns, 2 * units).
    """
    rows, columns, _ = op.output.shape
    pixels = x[: rows * op.patch, : columns * op.patch].astype(np.float64)
    cells = (pixels - op.inputs[0].zero_point).reshape(
        rows, op.patch, columns, op.patch, x.shape[2]
    )
    vectors = cells.transpose(0, 2, 1, 3, 4).reshape(rows, columns, -1)
    # Steps first: rows are the steps along columns.
    lines = vectors if op.along == "columns" else vectors.transpose(1, 0, 2)
    forward = states(op, op.forward, lines)
    backward = states(op, op.backward, lines[::-1])[::-1]
    h = np.concatenate([forward, backward], axis=2).astype(np.int64)
    y = np.clip((h + 128) >> 8, -128, 127).astype(np.int8)
    return y if op.along == "columns" else np.ascontiguousarray(y.transpose(1, 0, 2))


def states(op: GRUSweep, gru: GRU, lines: Whole) -> Whole:
    """Every state of one direction, (steps, sequences, units), from inputs in the same order.

    Args:
        op: the operator, which has the table.
        gru: one direction's integers.
        lines: inputs, (steps, sequences, inputs).
    """
    h = np.zeros((lines.shape[1], gru.units))
    after = np.empty((*lines.shape[:2], gru.units))
    for t, x in enumerate(lines):
        after[t] = h = step(op, gru, products(gru, x), h)
    return after


def products(gru: GRU, x: Whole) -> Int64:
    """p, (3, ..., units), of input vectors (..., inputs).

    Args:
        gru: one direction's integers.
        x: int16 range, (..., inputs).
    """
    acc = np.stack([x @ w.T for w in gru.w.astype(np.float64)]).astype(np.int64)
    shape = (3, *[1] * (x.ndim - 1), gru.units)
    acc += gru.bias.reshape(shape)
    scaled = (acc * gru.multiplier.astype(np.int64).reshape(shape) + 2**31) >> 32
    p: Int64 = np.clip(scaled, -(2**15), 2**15 - 1)
    return p


def step(op: GRUSweep, gru: GRU, p: Int64, h: Whole) -> Whole:
    """One step: products (3, ..., units) and states (..., units) to states.

    Args:
        op: the operator, which has the table.
        gru: one direction's integers.
        p: sums of W x, (3, ..., units).
        h: states, (..., units).

    Returns:
        the next states, (..., units).
    """
    of_r, of_z, m = (h @ u.T for u in gru.u.astype(np.float64))
    r = _sigmoid(op, (p[0] << op.product_shift) + of_r.astype(np.int64))
    z = _sigmoid(op, (p[1] << op.product_shift) + of_z.astype(np.int64))
    scaled = ((m.astype(np.int64) + gru.bias_n) * r) >> 16
    n = 2 * _sigmoid(op, (p[2] << op.product_shift) + scaled) - 2**15
    after = n + ((z * (h.astype(np.int64) - n) + 2**14) >> 15)
    return after.astype(np.float64)


def _sigmoid(op: GRUSweep, a: Int64) -> Int64:
    half = 1 << (op.index_bits - 1)
    index = np.clip(a >> op.index_shift, -half, half - 1) + half
    values: Int64 = op.table[index].astype(np.int64)
    return values
