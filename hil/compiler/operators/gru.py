"""A GRU sweep in integers: one scale for all pre-activations, one table for all gates.

`gru_sweep.GRUSweep` states the arithmetic; here its constants are chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.compiler.integers.exact import INT16_MOST, INT32_MOST
from hil.compiler.integers.ranges import Reals
from hil.compiler.program import Int16, Int32
from hil.errors import BuildError
from hil.models import renet

TABLE_BITS = 10  # docs/quantisation.md: what fewer and more give
STATE_SCALE = 2.0**-15

_STATE_ONE = 2**15
_TABLE_REACH_BITS = 3  # the table goes from -8 to 8
_CANDIDATE = np.array([1.0, 1.0, 2.0])  # tanh(v) = 2 sigmoid(2 v) - 1
_RECURRENCE = np.array([1.0, 1.0, 4.0])  # the candidate's, and its product with r loses a bit
_ROUNDING = 2**26  # of a sum's range, left to its weights' rounding


@dataclass(frozen=True)
class GRU:
    """A GRU cell's weights in integers; `GRUSweep` states what is computed from them.

    Attributes:
        w: int16, (3, units, inputs): of the reset gate r, the update gate z and the candidate n.
            bias, multiplier: int32, (3, units).
        u: int16, (3, units, units). bias_n: int32, (units,).
    """

    w: Int16
    bias: Int32
    multiplier: Int32
    u: Int16
    bias_n: Int32

    @property
    def units(self) -> int:
        """Hidden units."""
        return int(self.u.shape[1])


@dataclass(frozen=True)
class Sweeping:
    """The constants of a `gru_sweep.GRUSweep`."""

    forward: GRU
    backward: GRU
    product_shift: int
    index_shift: int
    table: Int16


@dataclass(frozen=True)
class _Real:
    """One direction's weights by gate, the factors of the candidate taken in.

    Attributes:
        w: (3, units, inputs). bias: (3, units).
        u: (3, units, units). bias_n: (units,), inside the product with r.
    """

    w: Reals
    bias: Reals
    u: Reals
    bias_n: Reals


def quantise_gru(
    layer: renet.GRUSweep, x: Reals, *, x_scale: float, x_most: int, index_bits: int = TABLE_BITS
) -> Sweeping:
    """Quantise a sweep.

    A unit of a pre-activation is 2**-k: as fine as 32 bits allow. The products with inputs are
    int16 that reach as far as they did in calibration, or as the table does.

    Args:
        layer: the float layer.
        x: its input in calibration, (images, rows, columns, channels).
        x_scale: real value of one unit of the integer input.
        x_most: greatest magnitude of the integer input, its zero point taken off.
        index_bits: of the table.

    Raises:
        BuildError: no scale keeps the sums in 32 bits.
    """
    both = [_real(layer, suffix) for suffix in ("", "_reverse")]
    reach = float(
        np.max([2.0**_TABLE_REACH_BITS, *(_reach(real, x, layer.patch) for real in both)])
    )
    fraction_bits, reach_bits = _scale(both, reach, index_bits)
    unit = 2.0**-fraction_bits
    product_unit = 2.0 ** (reach_bits - 15)
    forward, backward = (_integers(real, unit, product_unit, x_scale, x_most) for real in both)
    return Sweeping(
        forward,
        backward,
        product_shift=fraction_bits + reach_bits - 15,
        index_shift=fraction_bits + _TABLE_REACH_BITS + 1 - index_bits,
        table=sigmoids(index_bits),
    )


def _scale(both: Sequence[_Real], reach: float, index_bits: int) -> tuple[int, int]:
    """Bits of a pre-activation below one, as many as fit, and of the products' reach above it."""
    if np.isfinite(reach):
        reach_bits = int(np.ceil(np.log2(reach)))
        least = max(15 - reach_bits, index_bits - _TABLE_REACH_BITS - 1)
        for fraction_bits in range(30 - reach_bits, least - 1, -1):
            if all(_recurrence_fits(real, 2.0**-fraction_bits) for real in both):
                return fraction_bits, reach_bits
    raise BuildError(
        "a GRU's sums do not fit 32 bits at any scale",
        hint="are its weights finite?",
        stage="quantise",
    )


def sigmoids(index_bits: int) -> Int16:
    """The sigmoid in units of 2**-15 at the middle of each of 2**index_bits parts of -8 .. 8."""
    count = 2**index_bits
    at = ((np.arange(count) + 0.5) / count * 2.0 - 1.0) * 2.0**_TABLE_REACH_BITS
    values = np.rint(_STATE_ONE / (1.0 + np.exp(-at)))
    table: Int16 = np.minimum(values, INT16_MOST).astype(np.int16)
    return table


def patches(x: Reals, patch: int) -> Reals:
    """A map's patches as vectors: (n, rows, columns, channels) to (n, down, across, inputs).

    Args:
        x: (n, rows, columns, channels).
        patch: pixels of its side.
    """
    n, rows, columns, channels = x.shape
    down, across = rows // patch, columns // patch
    cut = x[:, : down * patch, : across * patch]
    cells = cut.reshape(n, down, patch, across, patch, channels).transpose(0, 1, 3, 2, 4, 5)
    return cells.reshape(n, down, across, -1)


def _real(layer: renet.GRUSweep, suffix: str) -> _Real:
    """A direction's weights, inputs in the order row, column, channel."""
    gru, patch = layer.gru, layer.patch

    def by_gate(name: str) -> Reals:
        value: Reals = gru.get_parameter(f"{name}_l0{suffix}").detach().double().numpy()
        return value.reshape(3, gru.hidden_size, *value.shape[1:])

    w = by_gate("weight_ih").reshape(3, gru.hidden_size, -1, patch, patch)
    w = w.transpose(0, 1, 3, 4, 2).reshape(3, gru.hidden_size, -1)
    of_x, of_h = (by_gate(name) * _CANDIDATE[:, None] for name in ("bias_ih", "bias_hh"))
    return _Real(
        w=w * _CANDIDATE[:, None, None],
        bias=of_x + of_h * np.array([1.0, 1.0, 0.0])[:, None],
        u=by_gate("weight_hh") * _RECURRENCE[:, None, None],
        bias_n=2.0 * of_h[2],
    )


def _reach(real: _Real, x: Reals, patch: int) -> float:
    """The greatest magnitude of a product with an input, its bias included."""
    of_x = patches(x, patch) @ real.w.reshape(-1, real.w.shape[2]).T
    return float(np.abs(of_x + real.bias.reshape(-1)).max())


def _recurrence(real: _Real, unit: float) -> tuple[Reals, Reals]:
    """U and the candidate's bias in whole units."""
    return np.rint(real.u / (unit * _STATE_ONE)), np.rint(real.bias_n / unit)


def _recurrence_fits(real: _Real, unit: float) -> bool:
    """Whether no sum over the state can leave 32 bits, whatever the input and the state.

    Products with inputs take half of the range, so the other half is the recurrence's; that of the
    candidate may fill the whole, of which (m * s) >> 16 is half.
    """
    u, bias_n = _recurrence(real, unit)
    of_h = np.abs(u).sum(axis=2) * _STATE_ONE
    gates, candidate = of_h[:2].max(), (of_h[2] + np.abs(bias_n)).max()
    return bool(np.abs(u).max() <= INT16_MOST and gates < 2**30 and candidate <= INT32_MOST)


def _integers(real: _Real, unit: float, product_unit: float, x_scale: float, x_most: int) -> GRU:
    """Round one direction's weights."""
    u, bias_n = _recurrence(real, unit)
    products = input_products(real.w * x_scale, real.bias, product_unit, x_most)
    return GRU(
        w=products.w,
        bias=products.bias,
        multiplier=products.multiplier,
        u=u.astype(np.int16),
        bias_n=bias_n.astype(np.int32),
    )


@dataclass(frozen=True)
class InputProducts:
    """What gates make of an input before the state comes in, int16 each.

    p = clamp(smmulr(bias + sum_k w[k] * x[k], multiplier), -2**15, 2**15 - 1)

    Attributes:
        w: int16, (gates, units, inputs). bias, multiplier: int32, (gates, units).
    """

    w: Int16
    bias: Int32
    multiplier: Int32


def input_products(w: Reals, bias: Reals, product_unit: float, x_most: int) -> InputProducts:
    """Round weights of inputs, with a scale for each unit of each gate.

    Args:
        w: real, per unit of the integer input, (gates, units, inputs).
        bias: real, (gates, units).
        product_unit: real value of one unit of a product.
        x_most: greatest magnitude of the integer input.

    Raises:
        BuildError: the sums do not fit 32 bits.
    """
    sums = np.abs(w).sum(axis=2) * x_most + np.abs(bias)
    # A unit of each row's sum: as fine as int16 weights and 32 bits allow.
    sum_unit = np.maximum(np.abs(w).max(axis=2) / INT16_MOST, sums / (INT32_MOST - _ROUNDING))
    sum_unit = np.maximum(sum_unit, product_unit * 2.0**-31)
    rounded = np.rint(w / sum_unit[..., None])
    whole_bias = np.rint(bias / sum_unit)
    multiplier = np.rint(sum_unit / product_unit * 2.0**32)
    most = np.abs(rounded).sum(axis=2) * x_most + np.abs(whole_bias)
    if most.max() > INT32_MOST or multiplier.max() > INT32_MOST:
        raise BuildError(
            "a cell's products with its inputs do not fit 32 bits",
            hint="its weights are far larger than its calibration needs",
            stage="quantise",
        )
    return InputProducts(
        w=rounded.astype(np.int16),
        bias=whole_bias.astype(np.int32),
        multiplier=multiplier.astype(np.int32),
    )
