"""Convolutions, and what they take in: batch norms, activations and additions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from hil.compiler.integers.exact import Int64, Whole, smmulr, windows
from hil.compiler.integers.ranges import Affine, check_sums, multiplier_and_shift
from hil.compiler.macs import Macs
from hil.compiler.operators import fusing
from hil.compiler.operators.conv2d_weights import choose_weights
from hil.compiler.operators.fusing import Conv2DNode
from hil.compiler.operators.kind import Calibration, Float64, Kept, Kind, Permuted, Place
from hil.compiler.program import Int8, Int32, Operator, Padding, Quantised, Shape, Tensor
from hil.models.blocks import PaddedConv2d
from hil.models.pooling import Classifier

_RESIDUAL_BITS = 22  # of its multiplier, so that 255 times it and the rounding fit 32 bits


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
class Conv2D(Operator):
    """Convolution, dense or depthwise, with bias, requantisation, clamp and an optional residual.

    acc = bias[o] + sum(weight[o, i, j, c] * (x[r*stride + i - top, s*stride + j - left, c] -
    x.zero_point)), zeros outside the map y = clamp(y.zero_point + smmulr((acc << shift) +
    nudge[o], multiplier[o]) + residual term, low, high)

    Attributes:
        weight: int8, (out, kernel rows, kernel columns, in); depthwise: (channels, kernel rows,
            kernel columns, 1).
        bias: int32, (out,), in units of x.scale * weight scale of that output channel.
        multiplier: int32, (out,), non-negative; 2**shift * multiplier / 2**32 = x.scale * weight
            scale / y.scale.
        low, high: the clamp, in output units; a ReLU or ReLU6 is folded into it.
        nudge: int32, (out,), 0 to 2**shift: a fraction of a unit of the sum, by which rounding
            comes to that of another arithmetic; None for none.
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
    nudge: Int32 | None = None

    @property
    def shifted_bias(self) -> Int64:
        """The biases times 2**shift with their nudges, (out,): what kernels add to sums."""
        shifted: Int64 = self.bias.astype(np.int64) << self.shift
        return shifted if self.nudge is None else shifted + self.nudge


class Conv2DKind(Kind[Conv2DNode, Conv2D, nn.Module]):
    """Convolutions from layer to integers, with what they take in."""

    node = Conv2DNode
    operator = Conv2D
    layers = (PaddedConv2d, nn.Conv2d, Classifier, nn.BatchNorm2d, nn.ReLU, nn.ReLU6)

    def trace(self, layer: nn.Module, place: Place) -> Conv2DNode:
        """Make a convolution, or let the one before take a layer in."""
        macs = self.macs(layer, place.sources[0].shape, place.shape).plain
        return fusing.take_in(layer, place, macs)

    def permute(self, layer: nn.Module, order: Sequence[int]) -> Permuted:
        """Permute a dense convolution's inputs, or all that another layer has of each channel."""
        channels = list(order)
        match layer:
            case nn.Conv2d(groups=1):
                with torch.no_grad():
                    layer.weight.copy_(layer.weight[:, channels])
                return "taken"
            case nn.Conv2d() | nn.BatchNorm2d():
                with torch.no_grad():
                    for values in (*layer.parameters(), *layer.buffers()):
                        if values.dim() > 0:
                            values.copy_(values[channels])
                return "passed"
            case nn.ReLU() | nn.ReLU6():
                return "passed"
            case _:
                return "impossible"

    def quantise(self, node: Conv2DNode, by: Calibration) -> Conv2D:
        """Choose the output's range, and round weights and bias."""
        inputs, output = by.inputs(node), by.free(node)
        x = inputs[0]
        chosen = choose_weights(node, by)
        rounded, weight_scale = chosen.rounded, chosen.scale
        bias = np.rint(chosen.bias / (x.scale * weight_scale)).astype(np.int64)
        step = output.scale * np.array(output.factor or 1.0)
        multiplier, shift = multiplier_and_shift(x.scale * weight_scale / step)
        check_sums(node.name, np.abs(rounded).sum(axis=(1, 2, 3)) * x.reach + np.abs(bias), shift)
        how = Affine(output.scale, output.zero_point, output.bits)
        return Conv2D(
            node.name,
            inputs,
            output,
            node.macs,
            weight=rounded.astype(np.int8),
            bias=bias.astype(np.int32),
            multiplier=multiplier,
            shift=shift,
            stride=node.stride,
            padding=node.padding,
            depthwise=node.depthwise,
            low=how.quantise(node.low) if np.isfinite(node.low) else output.least,
            high=how.quantise(node.high) if np.isfinite(node.high) else output.most,
            residual=None if node.residual is None else _residual(inputs[1], output),
        )

    def compute(
        self, operator: Conv2D, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a convolution of a whole map."""
        del kept
        op = operator
        acc = (_sums(op, maps).astype(np.int64) << op.shift) + op.shifted_bias
        y = op.output.zero_point + smmulr(acc, op.multiplier.astype(np.int64))
        if op.residual is not None:
            add = op.residual
            term = maps[add.source.name].astype(np.int64) - add.source.zero_point
            y += (term * add.multiplier + (1 << add.shift >> 1)) >> add.shift
        return np.clip(y, op.low, op.high).astype(op.output.dtype)

    def takes_centre(self, node: Conv2DNode, source: str) -> bool:
        """Where every sum has the same terms: nothing is padded."""
        return node.padding == Padding() and source not in node.inputs[1:]

    def gives_factors(self, node: Conv2DNode) -> bool:
        """Where nothing is added that has factors of its own, or none."""
        return node.residual is None

    def takes_factors(self, node: Conv2DNode, source: str) -> float:
        """Free where a channel has weights of its own; else its weights' steps are all inputs'."""
        if source in node.inputs[1:]:
            return 0.0
        return 1.0 if node.depthwise else 0.5

    def gives_int16(self, node: Conv2DNode) -> bool:
        """Where no map is added."""
        return node.residual is None

    def takes_levels(self, node: Conv2DNode) -> bool:
        """Where it adds no map, of which the input might be the one."""
        return node.residual is None

    def plausible(self, node: Conv2DNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Spread as sums of independent inputs do, and clip as the activation does."""
        power = np.square(node.weight).sum(axis=(1, 2, 3)) * np.square(maps[node.inputs[0]]).mean()
        values: Float64 = np.clip(node.bias + np.sqrt(power) * drawn, node.low, node.high)
        return values

    def macs(self, layer: nn.Module, x: Shape, y: Shape) -> Macs:
        """Count the products of convolutions and linear layers."""
        del x
        match layer:
            case nn.Conv2d():
                return Macs.alike(int(np.prod(y)) * layer.weight[0].numel())
            case Classifier():
                return Macs.alike(layer.linear.weight.numel())
            case _:
                return Macs()

    def constant_bytes(self, layer: nn.Module) -> int:
        """Count weights, biases and multipliers; norms are folded into those."""
        match layer:
            case nn.Conv2d():
                return _constant_bytes(layer)
            case Classifier():
                return _constant_bytes(layer.linear)
            case _:
                return 0

    def weights(self, operator: Conv2D) -> str:
        """Bits, and scales."""
        return f"8 bits x {len(operator.multiplier)}"


def _constant_bytes(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.weight.numel() + 8 * len(layer.weight)


def _residual(source: Tensor, output: Tensor) -> Residual:
    factor = source.scale / output.scale
    shift = int(np.clip(_RESIDUAL_BITS - 1 - np.floor(np.log2(factor)), 1, 30))
    multiplier = int(np.rint(factor * 2.0**shift))
    check_sums(output.name, np.array([255 * multiplier + (1 << shift >> 1)], np.int64), 0)
    return Residual(source, multiplier, shift)


def _sums(op: Conv2D, maps: Mapping[str, Quantised]) -> Whole:
    """Every output's sum of products."""
    source = op.inputs[0]
    weight = op.weight.astype(np.float64)
    acc = np.zeros(op.output.shape)
    met = windows(
        maps[source.name].astype(np.float64) - source.zero_point,
        (weight.shape[1], weight.shape[2]),
        stride=op.stride,
        padding=op.padding,
        outputs=op.output.shape[:2],
        fill=0.0,
    )
    for i, j, window in met:
        acc += window * weight[:, i, j, 0] if op.depthwise else window @ weight[:, i, j, :].T
    return acc
