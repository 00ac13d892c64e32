"""The first channels of a map reduced to their maximum."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.compiler.integers.ranges import Affine
from hil.compiler.operators.kind import (
    ITS_INPUTS,
    Calibration,
    Given,
    Kept,
    Kind,
    Node,
    Place,
    bound,
)
from hil.compiler.program import Operator, Quantised
from hil.models import blocks


@dataclass(frozen=True, eq=False)
class MaxOut(Operator):
    """The first channels reduced to their maximum: y = [max(x[:groups]), x[groups:]]."""

    groups: int


@dataclass(frozen=True, eq=False)
class MaxOutNode(Node):
    """A max-out of the first `groups` channels."""

    groups: int


class MaxOutKind(Kind[MaxOutNode, MaxOut, blocks.MaxOut]):
    """Max-outs from layer to integers."""

    node = MaxOutNode
    operator = MaxOut
    layers = (blocks.MaxOut,)

    def trace(self, layer: blocks.MaxOut, place: Place) -> MaxOutNode:
        """Take the layer's groups."""
        return MaxOutNode(*place.common(), layer.groups)

    def quantise(self, node: MaxOutNode, by: Calibration) -> MaxOut:
        """Keep the input's range."""
        (x,) = by.inputs(node)
        output = bound(node, Affine(x.scale, x.zero_point, x.bits))
        return MaxOut(node.name, (x,), output, node.macs, node.groups)

    def compute(
        self, operator: MaxOut, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a max-out of a whole map."""
        del kept
        x = maps[operator.inputs[0].name]
        best = x[..., : operator.groups].max(axis=-1, keepdims=True)
        return np.concatenate([best, x[..., operator.groups :]], axis=-1)

    def gives_int16(self, node: MaxOutNode) -> bool:
        """With its input."""
        del node
        return True

    def given(self, of: MaxOutNode | MaxOut) -> Given | None:
        """A maximum lies in the input's range."""
        del of
        return ITS_INPUTS
