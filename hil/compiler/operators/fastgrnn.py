"""A FastGRNN cell in integers: tables over each unit's own range, and weights to match."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hil.compiler.integers.exact import INT16_MOST, INT32_MOST, Int64, Whole
from hil.compiler.integers.ranges import Reals
from hil.compiler.integers.recipe import DEFAULT
from hil.compiler.operators.kind import Kept
from hil.compiler.program import Int16, Int32
from hil.errors import BuildError
from hil.models.fastgrnn import FastGRNN

INDEX_BITS = DEFAULT.index_bits

_GATE_ONE = 2**15
_SPAN_SAMPLES = 6_000  # steps that a table's span is chosen on
_CUTS = np.linspace(0.0, 0.48, 13)  # shares of the calibrated range, off either end
_WEIGHT_BEYOND = 3.0  # of an error beyond the span, which the next steps are likely to repeat
_LEAST_SHIFT = 12  # of the index: bits of the pre-activation below a table entry


@dataclass(frozen=True, eq=False)
class Cell:
    """A FastGRNN cell in integers (paper section 3; the arithmetic is this project's own).

    The state h is int16, real = state_scale * h, and starts at 0. For unit i at every step, all in
    int32 without overflow for any input whatever (the quantiser proves it from row sums):

        acc   = bias[i] + ((sum_k w[i, k] * x[k]) << w_shift) + sum_k u[i, k] * h[k]
        j     = clamp(acc >> index_shift, 0, 2**index_bits - 1)
        h'[i] = (gate[i, j] * h[i] + 65536 * update[i, j] + gate[i, j]) >> 15

    x[k] is the input less its zero point. `bias` places each unit's calibrated range of
    pre-activations on the table; the FastGRNN biases b_g and b_h and the scalars zeta and nu live
    in the tables: gate = z in units of 2**-15 (0 .. 32767), update = (sigmoid(zeta) (1 - z) +
    sigmoid(nu)) tanh in units of 2 * state_scale.

    Attributes:
        w: int16, (units, inputs). u: int16, (units, units). bias: int32, (units,).
        gate, update: int16, (units, 2**index_bits).
    """

    w: Int16
    u: Int16
    bias: Int32
    w_shift: int
    index_shift: int
    index_bits: int
    gate: Int16
    update: Int16
    state_scale: float

    @property
    def units(self) -> int:
        """Hidden units."""
        return int(self.u.shape[0])


@dataclass(frozen=True)
class Seen:
    """What a cell met in calibration.

    Attributes:
        pre_activations, states: (samples, units); the state is the one before the step.
    """

    pre_activations: Reals
    states: Reals


def quantise_cell(
    cell: FastGRNN,
    seen: Seen,
    *,
    x_scale: float | Reals,
    x_most: int,
    index_bits: int = INDEX_BITS,
    whole: bool = False,
) -> Cell:
    """Quantise a cell.

    Every unit has a scale of its own for its pre-activation, so that what its table spans is the
    range of least error; that costs nothing at run time, since rows of W and U take the scale in.
    The tables' values bound the state whatever the input, and the bound sets the state's scale.

    Args:
        cell: the float cell.
        seen: in calibration.
        x_scale: real value of one unit of the integer input, of all or by input.
        x_most: greatest magnitude of the integer input, its zero point taken off.
        index_bits: of the tables.
        whole: whether a table spans all of its unit's calibrated range.

    Raises:
        BuildError: no scale keeps the sums in 32 bits.
    """
    w = cell.W.detach().double().numpy().T * x_scale
    u = cell.U.detach().double().numpy().T
    most_state = max(1.0, 2.0 * float(np.abs(seen.states).max()))
    sums = np.abs(w).sum(axis=1) * x_most + np.abs(u).sum(axis=1) * most_state
    low, high = seen.pre_activations.min(axis=0), seen.pre_activations.max(axis=0)
    if not whole:
        low, high = _of_least_error(cell, seen, (low, high), index_bits)
    low, high = _wide_enough(low, high, sums, index_bits)
    gate, update = _curves(cell, _midpoints(low, high, index_bits))
    reach = float((np.abs(update) / np.maximum(1.0 - gate, 1.0 / _GATE_ONE)).max())
    state_scale = (min(reach, most_state) or 1.0) / _GATE_ONE  # a cell that never moves has any
    gate_q, update_q = _tables(gate, update, state_scale)
    weights = _weights(w, u * state_scale, (low, high), x_most, index_bits)
    return Cell(
        w=weights.w.astype(np.int16),
        u=weights.u.astype(np.int16),
        bias=weights.bias.astype(np.int32),
        w_shift=weights.w_shift,
        index_shift=weights.index_shift,
        index_bits=index_bits,
        gate=gate_q,
        update=update_q,
        state_scale=state_scale,
    )


@dataclass(frozen=True)
class _Weights:
    """Whole numbers, such that acc >> index_shift is the table's index."""

    w: Reals
    u: Reals
    bias: Reals
    w_shift: int
    index_shift: int

    def fit(self, x_most: int) -> bool:
        """Whether no partial sum can leave 32 bits, whatever the input and the state."""
        of_x = np.abs(self.w).sum(axis=1) * x_most * 2**self.w_shift
        of_h = np.abs(self.u).sum(axis=1) * _GATE_ONE
        worst = float((of_x + of_h + np.abs(self.bias)).max())
        return bool(np.abs(self.u).max() <= INT16_MOST) and worst <= INT32_MOST


def _weights(
    w: Reals, u: Reals, span: tuple[Reals, Reals], x_most: int, index_bits: int
) -> _Weights:
    """Scale real weights, (units, ...), per unit of x and of h, as finely as 32 bits allow."""
    low, high = span
    for index_shift in range(31 - index_bits, 0, -1):
        acc_scale = (high - low) / 2.0 ** (index_bits + index_shift)
        fine_w = w / acc_scale[:, None]
        w_shift = max(0, int(np.ceil(np.log2(max(np.abs(fine_w).max(), 1.0) / INT16_MOST))))
        weights = _Weights(
            w=np.rint(fine_w / 2**w_shift),
            u=np.rint(u / acc_scale[:, None]),
            bias=np.rint(-low / acc_scale),
            w_shift=w_shift,
            index_shift=index_shift,
        )
        if weights.fit(x_most):
            return weights
    raise BuildError(
        "a FastGRNN cell's sums do not fit 32 bits at any scale",
        hint="are its weights finite?",
        stage="quantise",
    )


def _of_least_error(
    cell: FastGRNN, seen: Seen, whole: tuple[Reals, Reals], index_bits: int
) -> tuple[Reals, Reals]:
    """Choose what each unit's table spans: one end after the other, by the next states' error.

    Sigmoid and tanh hardly change far out, and few pre-activations are there: a table that leaves
    them its first or last entry is finer for all others.
    """
    stride = max(1, len(seen.states) // _SPAN_SAMPLES) | 1
    a, h = seen.pre_activations[::stride].T, seen.states[::stride].T
    gate, update = _curves(cell, a)
    exact, unit = gate * h + update, np.arange(len(a))[:, None]
    width = np.maximum(whole[1] - whole[0], np.finfo(np.float64).tiny)

    def span(cuts: Reals) -> tuple[Reals, Reals]:
        return whole[0] + cuts[0] * width, whole[1] - cuts[1] * width

    def error(cuts: Reals) -> Reals:
        low, high = span(cuts)
        gates, updates = _curves(cell, _midpoints(low, high, index_bits))
        share = (a - low[:, None]) / np.maximum(high - low, np.finfo(np.float64).tiny)[:, None]
        j = np.clip(share * 2**index_bits, 0, 2**index_bits - 1).astype(np.int64)
        wrong = gates[unit, j] * h + updates[unit, j] - exact
        weight = np.where((share < 0.0) | (share > 1.0), _WEIGHT_BEYOND, 1.0)
        summed: Reals = (np.square(wrong) * weight).sum(axis=1)
        return summed

    chosen = np.zeros((2, len(a)))
    least = error(chosen)
    for end in (0, 1, 0, 1):
        for cut in _CUTS:
            tried = chosen.copy()
            tried[end] = cut
            got = error(tried)
            chosen[end] = np.where(got < least, cut, chosen[end])
            least = np.minimum(got, least)
    return span(chosen)


def _wide_enough(low: Reals, high: Reals, sums: Reals, index_bits: int) -> tuple[Reals, Reals]:
    """Widen the tables of units that hardly vary, but could.

    The largest sum a unit can reach sets how fine its scale can be, and the shift is one for all.
    """
    reach = sums + np.maximum(np.abs(low), np.abs(high))
    reach = np.where(reach > 0.0, reach, 1.0)  # a unit of zeros has any table
    least = reach / 2.0 ** (31 - index_bits - _LEAST_SHIFT)
    more = np.maximum(least - (high - low), 0.0) / 2
    return low - more, high + more


def _tables(
    gate: Reals, update: Reals, state_scale: float
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Round the tables such that the state cannot leave int16.

    From |update| <= (2**15 - 1 - gate) / 2 it follows that -2**15 <= h <= 2**15 - 1 implies the
    same of h' = (gate * h + 2**16 * update + gate) >> 15, and that the sum is within 2**30.
    """
    gate_q = np.clip(np.rint(gate * _GATE_ONE), 0, INT16_MOST)
    limit = (INT16_MOST - gate_q) // 2
    update_q = np.clip(np.rint(update / (2.0 * state_scale)), -limit, limit)
    return gate_q.astype(np.int16), update_q.astype(np.int16)


def _curves(cell: FastGRNN, pre_activations: Reals) -> tuple[Reals, Reals]:
    """Gate and update, (units, samples), at these pre-activations."""
    with torch.inference_mode():
        a = torch.from_numpy(pre_activations.T)
        gate = cell.gate(a)
        update = cell.update(a, gate)
    return gate.numpy().T, update.numpy().T


def _midpoints(low: Reals, high: Reals, index_bits: int) -> Reals:
    """(units, 2**index_bits): the middle of every table entry's interval."""
    count = 2**index_bits
    share: Reals = (np.arange(count) + 0.5) / count
    return low[:, None] + (high - low)[:, None] * share


def constant_bytes(cell: FastGRNN, index_bits: int = INDEX_BITS) -> int:
    """Bytes of the arrays that a cell will have.

    Args:
        cell: the layer.
        index_bits: of its tables: each has 2**index_bits entries of four bytes per unit.
    """
    tables = 2 * 2 * cell.units << index_bits
    return 2 * (cell.W.numel() + cell.U.numel()) + 4 * cell.units + tables


def sweep(cell: Cell, sequence: Whole, kept: Kept | None = None) -> Whole:
    """Run a cell over sequences from a zero state.

    Args:
        cell: the cell.
        sequence: integers, (..., inputs, steps), the zero point taken off.
        kept: of every state; None for all.

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
    """One step of a cell: inputs (..., inputs) and states (..., units) to states.

    Args:
        cell: its integers.
        x: int16 range, (..., inputs).
        h: int16 range, (..., units).

    Returns:
        the next states, (..., units).
    """
    of_x = (x @ cell.w.astype(np.float64).T).astype(np.int64) << cell.w_shift
    acc = cell.bias + of_x + (h @ cell.u.astype(np.float64).T).astype(np.int64)
    j = np.clip(acc >> cell.index_shift, 0, (1 << cell.index_bits) - 1)
    unit = np.arange(cell.units)
    gate = cell.gate[unit, j].astype(np.int64)
    update = cell.update[unit, j].astype(np.int64)
    after: Int64 = (gate * h.astype(np.int64) + 65536 * update + gate) >> 15
    return after.astype(np.float64)
