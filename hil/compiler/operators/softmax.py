"""Softmax over the channels of every pixel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from hil.compiler.integers.ranges import Affine
from hil.compiler.operators.kind import (
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
from hil.compiler.program import Int8, Int32, Operator, Quantised, Tensor
from hil.limits import check_limit

_EXPONENTIAL_BITS = 22  # of exp(0), so that 256 of it and half a sum fit 32 bits
_OUTPUT = Affine(1 / 256, -128)
_LEVELS = 256


@dataclass(frozen=True, eq=False)
class Softmax(Operator):
    """Each pixel's channels through exp, over their sum; y has the scale 1/256, zero point -128.

    e[c] = table[max over channels of x - x[c]], y[c] = min((e[c] * 256 + sum // 2) // sum - 128,
    127), sum being that of e over the channels.

    Attributes:
        table: int32, (256,), round(exp(-beta * x.scale * d) * 2**22).
    """

    table: Int32


@dataclass(frozen=True, eq=False)
class SoftmaxNode(Node):
    """Softmax over channels."""


class SoftmaxKind(Kind[SoftmaxNode, Softmax, nn.Softmax]):
    """Softmax from layer to integers."""

    node = SoftmaxNode
    operator = Softmax
    layers = (nn.Softmax,)

    def trace(self, layer: nn.Softmax, place: Place) -> SoftmaxNode:
        """Take a softmax over channels."""
        if layer.dim not in {1, -3}:
            raise refused(
                place.name,
                f"it is a softmax over dimension {layer.dim}",
                hint="write nn.Softmax(dim=1): over channels",
            )
        return SoftmaxNode(*place.common())

    def quantise(self, node: SoftmaxNode, by: Calibration) -> Softmax:
        """Ask exp for every distance from the greatest value."""
        (x,) = by.inputs(node)
        return softmax_of(node.name, x, bound(node, _OUTPUT))

    def compute(
        self, operator: Softmax, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute a softmax of a whole map."""
        del kept
        x = maps[operator.inputs[0].name].astype(np.int64)
        powers = operator.table.astype(np.int64)[x.max(axis=-1, keepdims=True) - x]
        total = powers.sum(axis=-1, keepdims=True)
        y = (powers * _LEVELS + total // 2) // total - 128
        chances: Int8 = np.minimum(y, 127).astype(np.int8)
        return chances

    def plausible(self, node: SoftmaxNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Return a made-up result in which every channel has the same share."""
        del drawn
        x = maps[node.inputs[0]]
        return np.full_like(x, 1.0 / x.shape[-1])

    def given(self, of: SoftmaxNode | Softmax) -> Given | None:
        """Outputs lie between 0 and 1."""
        del of
        return Given("0..1", "between 0 and 1")

    def constant_bytes(self, layer: nn.Softmax) -> int:
        """Count the table."""
        del layer
        return 4 * _LEVELS

    def weights(self, operator: Softmax) -> str:
        """Bits and entries of the table."""
        return f"32 bits x {len(operator.table)}"


def softmax_of(name: str, x: Tensor, output: Tensor, beta: float = 1.0) -> Softmax:
    """Make the softmax of a map; `output` has the scale 1/256 and the zero point -128.

    Args:
        name: of the operator.
        x: the map of logits.
        output: the map that it writes.
        beta: factor on the logits.

    Raises:
        BuildError: there are more channels than a sum holds.
    """
    check_limit(name, "channels", x.shape[2], "SOFTMAX_MOST_CHANNELS")
    powers: npt.NDArray[np.float64] = np.exp(-beta * x.scale * np.arange(_LEVELS))
    table = np.rint(powers * 2.0**_EXPONENTIAL_BITS).astype(np.int32)
    return Softmax(name, (x,), output, 0, table)
