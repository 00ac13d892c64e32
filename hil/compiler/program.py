"""The quantised program: what the compiler hands to the integer reference and to the firmware.

A `Program` is a list of operators over int8 tensors in (row, column, channel) order; maps of the
result may be int16. Every operator's arithmetic is stated once, in the docstring of its class in
`operators/`, in terms of exact integers; that module computes it in numpy, `firmware/kernels` in C,
and the two must agree to the bit. Scheduling (fusion, streaming, in-place reuse) is the planner's
and never changes a value.

Notation: `>>` is an arithmetic shift (rounds towards minus infinity), `clamp(v, lo, hi)` saturates,
and `smmulr(a, b) = (a * b + 2**31) >> 32` is the Cortex-M4 instruction of that name on 32-bit
operands.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int8: TypeAlias = npt.NDArray[np.int8]
Int16: TypeAlias = npt.NDArray[np.int16]
Int32: TypeAlias = npt.NDArray[np.int32]
Float32: TypeAlias = npt.NDArray[np.float32]
Float64: TypeAlias = npt.NDArray[np.float64]
Quantised: TypeAlias = npt.NDArray[np.int8 | np.int16]
"""The integers of a map: int16 where the map's tensor says so, else int8."""

Shape: TypeAlias = tuple[int, int, int]
"""Rows, columns, channels."""


@dataclass(frozen=True)
class Tensor:
    """An activation map: real = factor of its channel * scale * (q - zero_point) + centre.

    Attributes:
        bits: of a value, 8; 16 of a map of the result that was asked for as int16.
        centre: by channel, what the layer that reads the map takes into its bias; empty for 0.
        factor: by channel, 1 at most, what that layer takes into its weights; empty for 1.
    """

    name: str
    shape: Shape
    scale: float
    zero_point: int
    centre: tuple[float, ...] = ()
    factor: tuple[float, ...] = ()
    bits: int = 8

    @property
    def least(self) -> int:
        """Least value."""
        return -(1 << self.bits - 1)

    @property
    def most(self) -> int:
        """Greatest value."""
        return (1 << self.bits - 1) - 1

    @property
    def reach(self) -> int:
        """Greatest magnitude of a value, its zero point taken off."""
        return max(self.most - self.zero_point, self.zero_point - self.least)

    @property
    def dtype(self) -> type[np.int8 | np.int16]:
        """Of the values."""
        return np.int8 if self.bits == 8 else np.int16

    def decode(self, data: bytes) -> Quantised:
        """Read whole values from bytes as a board holds them."""
        stored = np.dtype(self.dtype).newbyteorder("<")
        whole = len(data) - len(data) % stored.itemsize
        values: Quantised = np.frombuffer(data[:whole], stored).astype(self.dtype)
        return values

    def dequantise(self, values: Quantised) -> Float64:
        """Turn values, (..., channels), into real ones."""
        reals: Float64 = (values.astype(np.float64) - self.zero_point) * self.scale
        reals = reals * np.array(self.factor) if self.factor else reals
        return reals + np.array(self.centre) if self.centre else reals

    def quantise(self, reals: Float64 | Float32) -> Quantised:
        """Round real values, (..., channels), to the nearest level."""
        levels = (reals - np.array(self.centre) if self.centre else reals) / self.scale
        levels = levels / np.array(self.factor) if self.factor else levels
        whole = np.clip(np.rint(levels) + self.zero_point, self.least, self.most)
        rounded: Quantised = whole.astype(self.dtype)
        return rounded

    @property
    def count(self) -> int:
        """Number of values."""
        rows, columns, channels = self.shape
        return rows * columns * channels

    @property
    def bytes(self) -> int:
        """Storage."""
        return self.count * self.bits // 8


@dataclass(frozen=True)
class Padding:
    """Rows and columns of zeros (that is, of `zero_point`) around a map."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0


@dataclass(frozen=True, eq=False)
class Operator:
    """One step of a program. `macs` counts them as the model states them, before any sharing."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    macs: int


@dataclass(frozen=True)
class Output:
    """The result: these maps, each in (row, column, channel) order, one after the other.

    All have values of as many bits.
    """

    tensors: tuple[Tensor, ...]

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(t.count for t in self.tensors)

    def decode(self, data: bytes) -> Quantised:
        """Read the values, (count,), from bytes as a board holds and sends them."""
        return self.tensors[0].decode(data)

    @property
    def bytes(self) -> int:
        """Storage, and what crosses the link."""
        return sum(t.bytes for t in self.tensors)

    def dequantise(self, values: Quantised) -> Float32:
        """Turn the concatenated values, (count,), into real numbers."""
        parts, start = [], 0
        for tensor in self.tensors:
            q = values[start : start + tensor.count].astype(np.float32)
            parts.append((q - tensor.zero_point) * np.float32(tensor.scale))
            start += tensor.count
        return np.concatenate(parts).astype(np.float32)


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
        return self.input.quantise(image).astype(np.int8)

    def decode_output(self, data: bytes) -> Quantised:
        """Read the outputs, (count,), from bytes as a board holds and sends them."""
        return self.output.decode(data)

    def dequantise_output(self, values: Quantised) -> Float32:
        """Turn the concatenated outputs, (count,), into real numbers."""
        return self.output.dequantise(values)
