"""Maps of one size, their channels one after another."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.compiler.integers.exact import INT32_MOST, smmulr
from hil.compiler.integers.ranges import multiplier_and_shift
from hil.compiler.operators.kind import Calibration, Float64, Kept, Kind, Node, Place
from hil.compiler.program import Operator, Quantised, Tensor
from hil.errors import BuildError
from hil.models import blocks


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


@dataclass(frozen=True, eq=False)
class ConcatNode(Node):
    """The inputs' channels one after another."""


class ConcatKind(Kind[ConcatNode, Concat, blocks.Concat]):
    """Concatenations from layer to integers."""

    node = ConcatNode
    operator = Concat
    layers = (blocks.Concat,)
    joins = True

    def trace(self, layer: blocks.Concat, place: Place) -> ConcatNode:
        """Take the inputs."""
        del layer
        return ConcatNode(*place.common())

    def quantise(self, node: ConcatNode, by: Calibration) -> Concat:
        """Choose the output's range, and a factor for each input of another."""
        output, inputs = by.free(node), by.inputs(node)
        rescales = tuple(_rescale(x, output) for x in inputs)
        return Concat(node.name, inputs, output, node.macs, rescales)

    def plausible(self, node: ConcatNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Join the maps that are read."""
        del drawn
        return np.concatenate([maps[name] for name in node.inputs], axis=-1)

    def compute(
        self, operator: Concat, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a concatenation of whole maps."""
        del kept
        parts = []
        for source, rescale in zip(operator.inputs, operator.rescales, strict=True):
            x = maps[source.name]
            if rescale is not None:
                centred = x.astype(np.int64) - source.zero_point
                scaled = smmulr(centred << rescale.shift, np.array(rescale.multiplier, np.int64))
                x = np.clip(operator.output.zero_point + scaled, -128, 127).astype(np.int8)
            parts.append(x)
        return np.concatenate(parts, axis=-1)


def _rescale(x: Tensor, output: Tensor) -> Rescale | None:
    if (x.scale, x.zero_point) == (output.scale, output.zero_point):
        return None
    multipliers, shift = multiplier_and_shift(np.array([x.scale / output.scale]))
    if 255 << shift > INT32_MOST:
        raise BuildError(
            f"{output.name}: the scales of {x.name} and of the concatenation are 2**{shift} apart",
            stage="quantise",
        )
    return Rescale(int(multipliers[0]), shift)
