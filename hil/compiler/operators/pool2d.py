"""Each channel's average or maximum over windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from torch import nn

from hil.compiler.integers.exact import smmulr, windows
from hil.compiler.integers.ranges import Affine, check_sums, multiplier_and_shift
from hil.compiler.operators.kind import (
    ITS_INPUTS,
    Calibration,
    Float64,
    Given,
    Kept,
    Kind,
    Node,
    Place,
    bound,
    refused,
)
from hil.compiler.program import Int8, Operator, Padding, Quantised
from hil.models.pooling import GlobalAverage

_Layer: TypeAlias = GlobalAverage | nn.AvgPool2d | nn.MaxPool2d


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


@dataclass(frozen=True, eq=False)
class Pool2DNode(Node):
    """An average, in which the padding counts as zeros, or a maximum, in which it does not.

    Attributes:
        window: rows, columns.
    """

    kind: Literal["average", "max"]
    window: tuple[int, int]
    stride: int
    padding: Padding


class Pool2DKind(Kind[Pool2DNode, Pool2D, _Layer]):
    """Poolings over windows from layer to integers."""

    node = Pool2DNode
    operator = Pool2D
    layers = (GlobalAverage, nn.AvgPool2d, nn.MaxPool2d)

    def trace(self, layer: _Layer, place: Place) -> Pool2DNode:
        """Take the layer's window."""
        return Pool2DNode(*place.common(), *_window(place, layer))

    def quantise(self, node: Pool2DNode, by: Calibration) -> Pool2D:
        """Choose an average's range and factor; a maximum has its input's range."""
        (x,) = by.inputs(node)
        output = bound(node, Affine(x.scale, x.zero_point))
        multiplier = shift = 0
        if node.kind == "average":
            output = by.free(node)
            pixels = node.window[0] * node.window[1]
            factors, shift = multiplier_and_shift(np.array([x.scale / (pixels * output.scale)]))
            multiplier = int(factors[0])
            check_sums(node.name, np.array([pixels * x.reach]), shift)
        return Pool2D(
            node.name,
            (x,),
            output,
            node.macs,
            kind=node.kind,
            window=node.window,
            stride=node.stride,
            padding=node.padding,
            multiplier=multiplier,
            shift=shift,
        )

    def plausible(self, node: Pool2DNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Spread as the map that is read: a maximum has its scale, whatever its own values."""
        x = maps[node.inputs[0]]
        values: Float64 = np.clip(x.mean() + x.std() * drawn, x.min(), x.max())
        return values

    def compute(
        self, operator: Pool2D, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a pooling of a whole map."""
        del kept
        op, source = operator, operator.inputs[0]
        met = windows(
            maps[source.name].astype(np.float64) - source.zero_point,
            op.window,
            stride=op.stride,
            padding=op.padding,
            outputs=op.output.shape[:2],
            fill=-np.inf if op.kind == "max" else 0.0,
        )
        pixels = [window for _, _, window in met]
        if op.kind == "max":
            greatest: Int8 = (np.maximum.reduce(pixels) + source.zero_point).astype(np.int8)
            return greatest
        acc = np.add.reduce(pixels).astype(np.int64)
        y = op.output.zero_point + smmulr(acc << op.shift, np.array(op.multiplier, np.int64))
        return np.clip(y, -128, 127).astype(np.int8)

    def given(self, of: Pool2DNode | Pool2D) -> Given | None:
        """A maximum lies in the input's range; an average's is chosen."""
        return ITS_INPUTS if of.kind == "max" else None


def _window(
    place: Place, layer: _Layer
) -> tuple[Literal["average", "max"], tuple[int, int], int, Padding]:
    """The kind, window, stride and padding of a pooling layer."""
    if isinstance(layer, GlobalAverage):
        return "average", place.sources[0].shape[:2], 1, Padding()
    stride, across = _pair(layer.stride)
    if place.shape[:2] == (1, 1):  # one window takes no step
        stride = across = 1
    vertical, horizontal = _pair(layer.padding)
    if isinstance(layer, nn.AvgPool2d):
        kind: Literal["average", "max"] = "average"
        padded = (vertical, horizontal) != (0, 0)
        plain = layer.divisor_override is None and (layer.count_include_pad or not padded)
    else:
        kind = "max"
        plain = _pair(layer.dilation) == (1, 1) and not layer.return_indices
    if stride != across or layer.ceil_mode or not plain:
        raise refused(
            place.name,
            "a pooling with uneven strides, dilation, rounded-up size, indices or a divisor of its "
            "own is not supported",
            hint="averages count the padding as zeros (count_include_pad)",
        )
    padding = Padding(vertical, horizontal, vertical, horizontal)
    return kind, _pair(layer.kernel_size), stride, padding


def _pair(of: int | tuple[int, ...]) -> tuple[int, int]:
    return (of, of) if isinstance(of, int) else (of[0], of[1])
