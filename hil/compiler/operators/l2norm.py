"""Each pixel's channels scaled to unit length."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.compiler.integers.exact import smmulr
from hil.compiler.integers.ranges import check_sums
from hil.compiler.operators.kind import Calibration, Float64, Kept, Kind, Node, Place
from hil.compiler.program import Int32, Operator, Quantised
from hil.models import blocks


@dataclass(frozen=True, eq=False)
class L2Norm(Operator):
    """Each pixel's channels scaled to unit length, then by a learned weight per channel (S3FD).

    s = sum_c (x[c] - x.zero_point)**2 ; r = int(float32(2**30) / sqrt(float32(s))), 0 when s = 0,
    IEEE single precision, truncated y[c] = clamp(y.zero_point + smmulr((x[c] - x.zero_point) * r,
    multiplier[c]), -128, 127) with multiplier[c] = round(4 * weight[c] / y.scale), int32.
    """

    multiplier: Int32


@dataclass(frozen=True, eq=False)
class L2NormNode(Node):
    """An L2 norm with a float weight per channel."""

    weight: Float64


class L2NormKind(Kind[L2NormNode, L2Norm, blocks.L2Norm]):
    """L2 norms from layer to integers."""

    node = L2NormNode
    operator = L2Norm
    layers = (blocks.L2Norm,)

    def trace(self, layer: blocks.L2Norm, place: Place) -> L2NormNode:
        """Take the layer's weight."""
        return L2NormNode(*place.common(), layer.weight.detach().double().numpy())

    def quantise(self, node: L2NormNode, by: Calibration) -> L2Norm:
        """Choose the output's range and a multiplier per channel."""
        output = by.free(node)
        multiplier = np.rint(4.0 * node.weight / output.scale)
        check_sums(node.name, np.abs(multiplier), 0)
        return L2Norm(node.name, by.inputs(node), output, node.macs, multiplier.astype(np.int32))

    def compute(
        self, operator: L2Norm, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a norm of a whole map."""
        del kept
        source = operator.inputs[0]
        centred = maps[source.name].astype(np.int64) - source.zero_point
        squares = np.square(centred).sum(axis=-1, keepdims=True).astype(np.float32)
        with np.errstate(divide="ignore"):
            inverse = np.where(squares > 0, np.float32(2**30) / np.sqrt(squares), np.float32(0))
        scaled = centred * inverse.astype(np.int64)
        y = operator.output.zero_point + smmulr(scaled, operator.multiplier.astype(np.int64))
        return np.clip(y, -128, 127).astype(np.int8)

    def constant_bytes(self, layer: blocks.L2Norm) -> int:
        """Count the multipliers."""
        return 4 * layer.weight.numel()
