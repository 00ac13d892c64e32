"""A quantised network as its file states it, whatever the file's format.

Every map is int8, (rows, columns, channels): real value = scale * (q - zero_point).
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Int8: TypeAlias = npt.NDArray[np.int8]
Int32: TypeAlias = npt.NDArray[np.int32]
Float64: TypeAlias = npt.NDArray[np.float64]
Edges: TypeAlias = tuple[int, int, int, int]
"""Rows and columns of zeros around a map: top, left, bottom, right."""


@dataclass(frozen=True)
class Map:
    """An int8 map."""

    name: str
    shape: tuple[int, int, int]
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A step of the network.

    Attributes:
        inputs: names of the maps that it reads.
        low, high: the activation's clamp, in real values; infinite where there is none.
    """

    name: str
    inputs: tuple[str, ...]
    output: Map
    low: float = field(default=-np.inf, kw_only=True)
    high: float = field(default=np.inf, kw_only=True)

    @property
    def levels(self) -> tuple[int, int]:
        """The clamp in levels of the output, as TensorFlow Lite rounds it."""
        return _level(self.low, self.output, -128), _level(self.high, self.output, 127)


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """A convolution, dense or depthwise, or a fully connected layer.

    Attributes:
        weight: int8, (out, kernel rows, kernel columns, in), or (channels, kernel rows, kernel
            columns, 1) if depthwise.
        bias: int32, (out,), in units of the input's scale times the weights'.
        weight_scales: (out,).
        factors: (out,), from a unit of the sum to one of the output.
        rounds_twice: the product with a factor, to a whole number and then its shift; or once.
    """

    weight: Int8
    bias: Int32
    weight_scales: Float64
    factors: Float64
    stride: int
    padding: Edges
    depthwise: bool
    rounds_twice: bool = field(default=True, kw_only=True)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        return self.weight.shape[1], self.weight.shape[2]


@dataclass(frozen=True, eq=False)
class Pool(Layer):
    """An average or a maximum over windows; input and output have one scale."""

    kind: Literal["average", "max"]
    window: tuple[int, int]
    stride: int
    padding: Edges


@dataclass(frozen=True, eq=False)
class Mean(Layer):
    """The average of all rows and columns, in a scale of its own."""


@dataclass(frozen=True, eq=False)
class Sum(Layer):
    """The sum of two maps."""


@dataclass(frozen=True, eq=False)
class Chances(Layer):
    """Softmax over channels, of the input times beta."""

    beta: float


@dataclass(frozen=True, eq=False)
class Network:
    """A network in the order in which it is computed.

    Attributes:
        outputs: names of the maps that are its result, in order.
        digest: SHA-256 of the file.
    """

    name: str
    input: Map
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    digest: str

    @property
    def maps(self) -> dict[str, Map]:
        """Every map, by name."""
        return {m.name: m for m in (self.input, *(layer.output for layer in self.layers))}


def _level(real: float, of: Map, end: int) -> int:
    """Round to the nearest level, halves away from 0, within int8."""
    if not np.isfinite(real):
        return end
    scaled = np.float32(real) / np.float32(of.scale)
    rounded = int(np.floor(abs(scaled) + 0.5) * np.sign(scaled)) + of.zero_point
    return int(np.clip(rounded, -128, 127))
