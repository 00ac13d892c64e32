"""The integer reference of a GRU sweep, exactly as `program.GRUSweep` states it."""

import numpy as np
import numpy.typing as npt

from hil.compiler.program import GRU, GRUSweep, Int8

Int64 = npt.NDArray[np.int64]
Whole = npt.NDArray[np.float64]  # integers, held in float64


def sweep(op: GRUSweep, x: Int8) -> Int8:
    """Compute a sweep of a whole map."""
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
    """Every state of one direction, (steps, sequences, units), from inputs in the same order."""
    h = np.zeros((lines.shape[1], gru.units))
    after = np.empty((*lines.shape[:2], gru.units))
    for t, x in enumerate(lines):
        after[t] = h = step(op, gru, products(gru, x), h)
    return after


def products(gru: GRU, x: Whole) -> Int64:
    """p, (3, ..., units), of input vectors (..., inputs)."""
    acc = np.stack([x @ w.T for w in gru.w.astype(np.float64)]).astype(np.int64)
    shape = (3, *[1] * (x.ndim - 1), gru.units)
    acc += gru.bias.reshape(shape)
    scaled = (acc * gru.multiplier.astype(np.int64).reshape(shape) + 2**31) >> 32
    p: Int64 = np.clip(scaled, -(2**15), 2**15 - 1)
    return p


def step(op: GRUSweep, gru: GRU, p: Int64, h: Whole) -> Whole:
    """One step: products (3, ..., units) and states (..., units) to states."""
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
