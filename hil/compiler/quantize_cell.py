"""A FastGRNN cell in integers: tables over each unit's own range, and weights to match.

`program.Cell` states the arithmetic; here its constants are chosen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hil.compiler.program import Cell
from hil.compiler.ranges import Reals
from hil.errors import BuildError
from hil.models.fastgrnn import FastGRNN

INDEX_BITS = 8  # docs/quantisation.md: what 9 and 10 would buy, and cost

_INT32 = 2**31 - 1
_INT16 = 2**15 - 1
_GATE_ONE = 2**15
_NARROWEST = 1e-3  # range of a unit whose pre-activation hardly varies
_TAILS = (0.0, 1e-4, 1e-3, 3e-3, 1e-2)  # shares of the pre-activations cut off at either end


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
    x_scale: float,
    x_most: int,
    index_bits: int = INDEX_BITS,
) -> Cell:
    """Quantise a cell.

    Every unit has a scale of its own for its pre-activation, so that its calibrated range just
    fills its table; that costs nothing at run time, since rows of W and U take the scale in. The
    tables' values bound the state whatever the input, and the bound sets the state's scale.

    Args:
        cell: the float cell.
        seen: in calibration.
        x_scale: real value of one unit of the integer input.
        x_most: greatest magnitude of the integer input, its zero point taken off.
        index_bits: of the tables.

    Raises:
        BuildError: no scale keeps the sums in 32 bits.
    """
    low, high = _ranges(cell, seen, index_bits)
    gate, update = _curves(cell, _midpoints(low, high, index_bits))
    reach = float((np.abs(update) / (1.0 - gate)).max())
    state_scale = reach / _GATE_ONE
    gate_q, update_q = _tables(gate, update, state_scale)
    real_w = cell.W.detach().double().numpy().T * x_scale
    real_u = cell.U.detach().double().numpy().T * state_scale
    for index_shift in range(31 - index_bits, 0, -1):
        acc_scale = (high - low) / 2.0 ** (index_bits + index_shift)
        w = real_w / acc_scale[:, None]
        u = np.rint(real_u / acc_scale[:, None])
        bias = np.rint(-low / acc_scale)
        w_shift = max(0, int(np.ceil(np.log2(max(np.abs(w).max(), 1.0) / _INT16))))
        w = np.rint(w / 2**w_shift)
        if np.abs(u).max() <= _INT16 and _worst_sum(w, u, bias, w_shift, x_most) <= _INT32:
            return Cell(
                w=w.astype(np.int16),
                u=u.astype(np.int16),
                bias=bias.astype(np.int32),
                w_shift=w_shift,
                index_shift=index_shift,
                index_bits=index_bits,
                gate=gate_q,
                update=update_q,
                state_scale=state_scale,
            )
    raise BuildError(
        "a FastGRNN cell's sums do not fit 32 bits at any scale",
        hint="are its weights finite, and does the calibration set reach its range?",
        stage="quantise",
    )


def _worst_sum(w: Reals, u: Reals, bias: Reals, w_shift: int, x_most: int) -> float:
    """Greatest magnitude that any partial sum of any unit can take for any input and state."""
    of_x = np.abs(w).sum(axis=1) * x_most * 2**w_shift
    of_h = np.abs(u).sum(axis=1) * _GATE_ONE
    return float((of_x + of_h + np.abs(bias)).max())


def _tables(
    gate: Reals, update: Reals, state_scale: float
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Round the tables such that the state cannot leave int16.

    From |update| <= (2**15 - 1 - gate) / 2 it follows that -2**15 <= h <= 2**15 - 1 implies the
    same of h' = (gate * h + 2**16 * update + gate) >> 15, and that the sum is within 2**30.
    """
    gate_q = np.clip(np.rint(gate * _GATE_ONE), 0, _INT16)
    limit = (_INT16 - gate_q) // 2
    update_q = np.clip(np.rint(update / (2.0 * state_scale)), -limit, limit)
    return gate_q.astype(np.int16), update_q.astype(np.int16)


def _curves(cell: FastGRNN, pre_activations: Reals) -> tuple[Reals, Reals]:
    """Gate and update, (units, samples), at these pre-activations."""
    with torch.inference_mode():
        a = torch.from_numpy(pre_activations.T)
        gate, update = cell.gate(a), cell.update(a)
    return gate.numpy().T, update.numpy().T


def _midpoints(low: Reals, high: Reals, index_bits: int) -> Reals:
    """(units, 2**index_bits): the middle of every table entry's interval."""
    count = 2**index_bits
    share: Reals = (np.arange(count) + 0.5) / count
    return low[:, None] + (high - low)[:, None] * share


def _ranges(cell: FastGRNN, seen: Seen, index_bits: int) -> tuple[Reals, Reals]:
    """Choose for each unit the range whose table gives the least mean squared error.

    The error is that of the next state. Beyond the range the table's last entry stands, which is
    close where gate and update have saturated: cutting off tails makes all other entries finer.
    """
    a = seen.pre_activations
    exact = _curves(cell, a.T)
    lows = np.quantile(a, _TAILS, axis=0)
    highs = np.quantile(a, 1.0 - np.array(_TAILS), axis=0)
    highs = np.maximum(highs, lows + _NARROWEST)
    errors = []
    for low, high in zip(lows, highs, strict=True):
        table = _curves(cell, _midpoints(low, high, index_bits))
        index = np.floor((a.T - low[:, None]) / (high - low)[:, None] * 2**index_bits)
        index = np.clip(index, 0, 2**index_bits - 1).astype(np.intp)
        gate_off, update_off = (
            np.take_along_axis(t, index, axis=1) - e for t, e in zip(table, exact, strict=True)
        )
        errors.append(np.square(gate_off * seen.states.T + update_off).mean(axis=1))
    best = np.argmin(errors, axis=0)
    units = np.arange(a.shape[1])
    return lows[best, units], highs[best, units]
