"""GRU and LSTM cells of an RNNPool layer in integers."""

from dataclasses import dataclass

import numpy as np
import torch

from hil.compiler.integers.exact import INT16_MOST, Int64, Whole
from hil.compiler.integers.ranges import Reals
from hil.compiler.operators.gru import STATE_SCALE, TABLE_BITS, input_products
from hil.compiler.operators.kind import Kept
from hil.compiler.program import Int16, Int32
from hil.errors import BuildError
from hil.models import gated

_ONE = 2**15
_TABLE_REACH_BITS = 3  # the table goes from -8 to 8
_HALF_RANGE = 2**30  # of a sum, for products with inputs and for the recurrence each
_MEMORY_MARGIN = 1.5  # beyond what an LSTM's memory held in calibration
_MOST_MEMORY_SHIFT = 4  # at which it goes from -16 to 16


@dataclass(frozen=True, eq=False)
class GatedCell:
    """A GRU or LSTM cell in integers; states are int16, real = 2**-15 * h, and start at 0.

    For unit i at every step, all in int32 without overflow for any input whatever (the quantiser
    proves it from row sums), g being a gate:

        p[g] = clamp(smmulr(bias[g, i] + sum_k w[g, i, k] * x[k], multiplier[g, i]), -2**15,
               2**15 - 1)
        a[g] = (p[g] << product_shift) + sum_k u[g, i, k] * v[k]

    where v is h; for the GRU's candidate v[k] = (s(a[r]) of unit k * h[k]) >> 15. s(a) =
    table[2**(index_bits-1) + clamp(a >> index_shift, -2**(index_bits-1), 2**(index_bits-1) - 1)] is
    the sigmoid in units of 2**-15; t(a) = 2 * s(a) - 2**15 is the tanh of half of a, so that the
    candidate's rows are twice those of the float cell. Gates of a GRU are r, z, n:

        h'[i] = t(a[n]) + ((s(a[z]) * (h[i] - t(a[n])) + 2**14) >> 15)

    and of an LSTM i, f, g, o, with a memory c, int16, real = 2**(memory_shift - 15) * c:

        c'[i] = clamp((s(a[f]) * c[i] + ((s(a[i]) * t(a[g])) >> memory_shift) + 2**14) >> 15,
                -2**15, 2**15 - 1)
        h'[i] = (s(a[o]) * t'(c'[i]) + 2**14) >> 15

    with t'(c) = 2 * table[2**(index_bits-1) + clamp(c >> (18 - index_bits - memory_shift), ...)] -
    2**15 and the same clamp.

    Attributes:
        w: int16, (gates, units, inputs). u: int16, (gates, units, units).
        bias, multiplier: int32, (gates, units).
        memory_shift: of an LSTM; -1 for a GRU.
    """

    w: Int16
    bias: Int32
    multiplier: Int32
    u: Int16
    product_shift: int
    index_shift: int
    index_bits: int
    memory_shift: int

    @property
    def gates(self) -> int:
        """3 of a GRU, 4 of an LSTM."""
        return int(self.u.shape[0])

    @property
    def units(self) -> int:
        """Hidden units."""
        return int(self.u.shape[1])

    @property
    def is_lstm(self) -> bool:
        """Whether it has a memory beside its state."""
        return self.memory_shift >= 0


@dataclass(frozen=True)
class Met:
    """What a cell met in calibration.

    Attributes:
        products: x W + bias of all gates, greatest magnitude.
        memory: greatest magnitude.
    """

    products: float
    memory: float


def quantise_gated(
    cell: gated.GatedCell,
    met: Met,
    *,
    x_scale: float | Reals,
    x_most: int,
    index_bits: int = TABLE_BITS,
) -> GatedCell:
    """Quantise a cell.

    A unit of a pre-activation is 2**-k: as fine as 32 bits allow. The products with inputs are
    int16 that reach as far as they did in calibration, or as the table does.

    Args:
        cell: the float cell.
        met: in calibration.
        x_scale: real value of one unit of the integer input, of all or by input.
        x_most: greatest magnitude of the integer input, its zero point taken off.
        index_bits: of the sigmoid's table.

    Raises:
        BuildError: no scale keeps the sums in 32 bits.
    """
    doubled = np.where(np.arange(cell.gates) == cell.candidate, 2.0, 1.0)
    w = _by_gate(cell.weights("W")) * doubled[:, None, None]
    u = _by_gate(cell.weights("U")) * doubled[:, None, None]
    bias = np.stack([b.detach().double().numpy() for b in cell.offsets()]) * doubled[:, None]
    reach_bits = max(_TABLE_REACH_BITS, int(np.ceil(np.log2(max(2.0 * met.products, 1.0)))))
    fraction_bits = _fraction_bits(u, reach_bits, index_bits)
    whole_u = np.rint(u * 2.0**fraction_bits * STATE_SCALE)
    products = input_products(w * x_scale, bias, 2.0 ** (reach_bits - 15), x_most)
    memory_shift = -1
    if isinstance(cell, gated.LSTM):
        reach = max(_MEMORY_MARGIN * met.memory, 1.0)
        memory_shift = min(int(np.ceil(np.log2(reach))), _MOST_MEMORY_SHIFT)
    return GatedCell(
        w=products.w,
        bias=products.bias,
        multiplier=products.multiplier,
        u=whole_u.astype(np.int16),
        product_shift=fraction_bits + reach_bits - 15,
        index_shift=fraction_bits + _TABLE_REACH_BITS + 1 - index_bits,
        index_bits=index_bits,
        memory_shift=memory_shift,
    )


def _by_gate(weights: list[torch.nn.Parameter]) -> Reals:
    """(gates, units, inputs) of every gate's (inputs, units)."""
    return np.stack([weight.detach().double().numpy().T for weight in weights])


def _fraction_bits(u: Reals, reach_bits: int, index_bits: int) -> int:
    """Bits of a pre-activation below one: as many as fit beside its reach, and U's own sums."""
    least = max(15 - reach_bits, index_bits - _TABLE_REACH_BITS - 1)
    for bits in range(30 - reach_bits, least - 1, -1):
        whole = np.rint(u * 2.0**bits * STATE_SCALE)
        sums = np.abs(whole).sum(axis=2).max() * _ONE
        if np.abs(whole).max() <= INT16_MOST and sums < _HALF_RANGE:
            return bits
    raise BuildError(
        "a cell's sums do not fit 32 bits at any scale",
        hint="are its weights finite?",
        stage="quantise",
    )


def constant_bytes(cell: gated.GatedCell) -> int:
    """Bytes of the arrays that a cell will have, but for the table that both share."""
    weights = cell.gates * cell.units * (cell.inputs + cell.units)
    return 2 * weights + 2 * 4 * cell.gates * cell.units


def table_bytes() -> int:
    """Bytes of the sigmoid's table."""
    return 2 << TABLE_BITS


def sweep(cell: GatedCell, table: Int16, sequence: Whole, kept: Kept | None = None) -> Whole:
    """Run a cell over sequences from a zero state.

    Args:
        cell: the cell.
        table: int16, (2**index_bits,), of the sigmoid.
        sequence: integers, (..., inputs, steps), the zero point taken off.
        kept: of every state; None for all.

    Returns:
        The last states, (..., units), integers.
    """
    steps = np.moveaxis(sequence, -1, 0)
    h = np.zeros((*steps.shape[1:-1], cell.units))
    memory = h.astype(np.int64)
    for x in steps:
        h, memory = step(cell, table, products(cell, x), h, memory)
        if kept is not None:
            h = kept(h)
    return h


def products(cell: GatedCell, x: Whole) -> Int64:
    """p, (gates, ..., units), of input vectors (..., inputs).

    Args:
        cell: its integers.
        x: int16 range, (..., inputs).
    """
    acc = np.stack([x @ w.T for w in cell.w.astype(np.float64)]).astype(np.int64)
    shape = (cell.gates, *[1] * (x.ndim - 1), cell.units)
    acc += cell.bias.astype(np.int64).reshape(shape)
    scaled = (acc * cell.multiplier.astype(np.int64).reshape(shape) + 2**31) >> 32
    p: Int64 = np.clip(scaled, -_ONE, _ONE - 1)
    return p


def step(cell: GatedCell, table: Int16, p: Int64, h: Whole, memory: Int64) -> tuple[Whole, Int64]:
    """One step: products (gates, ..., units), states and memories (..., units) to the next.

    Args:
        cell: its integers.
        table: the sigmoid's.
        p: sums of W x, (gates, ..., units).
        h: states, (..., units).
        memory: of an LSTM, (..., units).

    Returns:
        states and memories.
    """
    u = cell.u.astype(np.float64)

    def gate(g: int, read: Whole) -> Int64:
        a: Int64 = (p[g] << cell.product_shift) + (read @ u[g].T).astype(np.int64)
        return a

    def sigmoid(index: Int64) -> Int64:
        half = 1 << (cell.index_bits - 1)
        found: Int64 = table[half + np.clip(index, -half, half - 1)].astype(np.int64)
        return found

    def tanh(index: Int64) -> Int64:
        found: Int64 = 2 * sigmoid(index) - _ONE
        return found

    whole = h.astype(np.int64)
    if cell.is_lstm:
        i, f, o = (sigmoid(gate(g, h) >> cell.index_shift) for g in (0, 1, 3))
        candidate = tanh(gate(2, h) >> cell.index_shift)
        fresh = (i * candidate) >> cell.memory_shift
        memory = np.clip((f * memory + fresh + 2**14) >> 15, -_ONE, _ONE - 1)
        told = tanh(memory >> (18 - cell.index_bits - cell.memory_shift))
        return ((o * told + 2**14) >> 15).astype(np.float64), memory
    r, z = (sigmoid(gate(g, h) >> cell.index_shift) for g in (0, 1))
    reset = ((r * whole) >> 15).astype(np.float64)
    candidate = tanh(gate(2, reset) >> cell.index_shift)
    after = candidate + ((z * (whole - candidate) + 2**14) >> 15)
    return after.astype(np.float64), memory
