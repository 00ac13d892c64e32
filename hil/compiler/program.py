"""The quantised program: what the compiler hands to the integer reference and to the firmware.

A `Program` is a list of operators over int8 tensors in (row, column, channel) order. Every
operator's arithmetic is stated once, in its docstring, in terms of exact integers; `reference.py`
computes it in numpy, `firmware/kernels` in C, and the two must agree to the bit. Scheduling
(fusion, streaming, in-place reuse) is the planner's and never changes a value.

Notation: `>>` is an arithmetic shift (rounds towards minus infinity), `clamp(v, lo, hi)` saturates,
and `smmulr(a, b) = (a * b + 2**31) >> 32` is the Cortex-M4 instruction of that name on 32-bit
operands.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Int8: TypeAlias = npt.NDArray[np.int8]
Int16: TypeAlias = npt.NDArray[np.int16]
Int32: TypeAlias = npt.NDArray[np.int32]
Float32: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """An int8 activation map: real value = scale * (q - zero_point)."""

    name: str
    shape: tuple[int, int, int]  # rows, columns, channels
    scale: float
    zero_point: int

    @property
    def bytes(self) -> int:
        """Storage, one byte per element."""
        rows, columns, channels = self.shape
        return rows * columns * channels


@dataclass(frozen=True)
class Padding:
    """Rows and columns of zeros (that is, of `zero_point`) around a map."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0


@dataclass(frozen=True)
class Residual:
    """A map of the output's shape, added after requantisation.

    term = ((q - zero_point) * multiplier + 2**(shift-1)) >> shift, with multiplier / 2**shift =
    scale_residual / scale_output.
    """

    source: Tensor
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class Operator:
    """One step of a program. `macs` counts them as the model states them, before any sharing."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    macs: int


@dataclass(frozen=True, eq=False)
class Conv2D(Operator):
    """Convolution, dense or depthwise, with bias, requantisation, clamp and an optional residual.

    acc = bias[o] + sum(weight[o, i, j, c] * (x[r*stride + i - top, s*stride + j - left, c] -
    x.zero_point)), zeros outside the map y = clamp(y.zero_point + smmulr(acc << shift,
    multiplier[o]) + residual term, low, high)

    Attributes:
        weight: int8, (out, kernel rows, kernel columns, in); depthwise: (channels, kernel rows,
            kernel columns, 1).
        bias: int32, (out,), in units of x.scale * weight scale of that output channel.
        multiplier: int32, (out,), non-negative; 2**shift * multiplier / 2**32 = x.scale * weight
            scale / y.scale.
        low, high: the clamp, in output units; a ReLU or ReLU6 is folded into it.
    """

    weight: Int8
    bias: Int32
    multiplier: Int32
    shift: int
    stride: int
    padding: Padding
    depthwise: bool
    low: int = -128
    high: int = 127
    residual: Residual | None = None


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


@dataclass(frozen=True, eq=False)
class RNNPool(Operator):
    """The RNNPool layer (paper algorithm 1): patches summarised by two FastGRNN cells.

    For the patch at (py, px) of `patch` x `patch` pixels from (py*stride, px*stride): `row` (RNN1)
    sweeps each row left to right and each column top to bottom; `summary` (RNN2) sweeps the row
    summaries down and up, then the column summaries right and left.
    Output channels: [rows down, rows up, columns right, columns left], `summary.units` each, y =
    clamp((h + 128) >> 8, -128, 127), so that y.scale = 256 * summary.state_scale and y.zero_point =
    0. RNN2 reads RNN1's int16 state as it is.
    Patches: floor((n - patch) / stride) + 1 each way; the last row and column are then repeated up
    to the output's shape.
    """

    patch: int
    stride: int
    row: Cell
    summary: Cell


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
class L2Norm(Operator):
    """Each pixel's channels scaled to unit length, then by a learned weight per channel (S3FD).

    s = sum_c (x[c] - x.zero_point)**2 ; r = int(float32(2**30) / sqrt(float32(s))), 0 when s = 0,
    IEEE single precision, truncated y[c] = clamp(y.zero_point + smmulr((x[c] - x.zero_point) * r,
    multiplier[c]), -128, 127) with multiplier[c] = round(4 * weight[c] / y.scale), int32.
    """

    multiplier: Int32


@dataclass(frozen=True, eq=False)
class MaxOut(Operator):
    """The first channels reduced to their maximum: y = [max(x[:groups]), x[groups:]]."""

    groups: int


@dataclass(frozen=True, eq=False)
class Pool2D(Operator):
    """Each channel's average or maximum over windows; a global average has one window, the map.

    average: acc = sum_ij (x[r*stride + i - top, s*stride + j - left, c] - x.zero_point), zeros
    outside the map, y = clamp(y.zero_point + smmulr(acc << shift, multiplier), -128, 127) with
    2**shift * multiplier / 2**32 = x.scale / (window rows * window columns * y.scale): pixels of
    the padding count as zeros.
    max: y = the greatest x[...] of the window's pixels inside the map, of which there is one at
    least; y has the scale and the zero point of x, multiplier and shift mean nothing.

    Attributes:
        window: rows, columns.
    """

    kind: Literal["average", "max"]
    window: tuple[int, int]
    stride: int
    padding: Padding
    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True)
class Rescale:
    """From one map's scale and zero point to another's.

    y = clamp(y.zero_point + smmulr((x - x.zero_point) << shift, multiplier), -128, 127), with
    2**shift * multiplier / 2**32 = x.scale / y.scale.
    """

    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class Concat(Operator):
    """The channels of maps of one size, one after another.

    Attributes:
        rescales: for each input how it comes to the output's scale and zero point; None where it
            has these, and y = x.
    """

    rescales: tuple[Rescale | None, ...]


@dataclass(frozen=True)
class Output:
    """The result: these maps, each in (row, column, channel) order, one after the other."""

    tensors: tuple[Tensor, ...]

    @property
    def count(self) -> int:
        """Number of int8 values."""
        return sum(t.bytes for t in self.tensors)


@dataclass(frozen=True, eq=False)
class Program:
    """A quantised network; its operators stand in an order in which they can be computed."""

    name: str
    input: Tensor
    operators: tuple[Operator, ...]
    output: Output
    parameters: int = 0  # of the float model, zeros included
    notes: dict[str, str] = field(default_factory=dict)  # the quantiser's choices, for the report

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, dense and unshared."""
        return sum(op.macs for op in self.operators)

    def quantise_input(self, image: Float32) -> Int8:
        """Round a preprocessed image, (rows, columns, channels), to the input tensor's int8."""
        q = np.rint(image / self.input.scale) + self.input.zero_point
        values: Int8 = np.clip(q, -128, 127).astype(np.int8)
        return values

    def dequantise_output(self, values: Int8) -> Float32:
        """Turn the concatenated int8 outputs, (count,), into real numbers."""
        parts, start = [], 0
        for tensor in self.output.tensors:
            q = values[start : start + tensor.bytes].astype(np.float32)
            parts.append((q - tensor.zero_point) * np.float32(tensor.scale))
            start += tensor.bytes
        return np.concatenate(parts).astype(np.float32)
