"""Activations that are no clamp, value by value through a table of all 256 answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hil.compiler.integers.ranges import Affine
from hil.compiler.operators.kind import Calibration, Float64, Kept, Kind, Node, Place
from hil.compiler.program import Int8, Operator, Quantised

_LEVELS = np.arange(-128, 128)


@dataclass(frozen=True, eq=False)
class Lookup(Operator):
    """Every value through a table: y = table[x + 128].

    table[q + 128] = clamp(round(f(x.scale * (q - x.zero_point)) / y.scale) + y.zero_point, -128,
    127), f being the activation in double precision. So it costs the same whatever f is, and is
    exact but for the rounding of y.

    Attributes:
        function: of the activation, for reports.
        table: int8, (256,).
    """

    function: str
    table: Int8


@dataclass(frozen=True, eq=False)
class LookupNode(Node):
    """An activation, value by value."""

    layer: nn.Module


class LookupKind(Kind[LookupNode, Lookup, nn.Module]):
    """Activations from layer to table."""

    node = LookupNode
    operator = Lookup
    layers = (
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Sigmoid,
        nn.Tanh,
        nn.SiLU,
        nn.GELU,
        nn.ELU,
        nn.LeakyReLU,
    )

    def trace(self, layer: nn.Module, place: Place) -> LookupNode:
        """Keep the layer, which is the function."""
        return LookupNode(*place.common(), layer)

    def quantise(self, node: LookupNode, by: Calibration) -> Lookup:
        """Choose the output's range, and ask the function for every level of the input."""
        (x,), output = by.inputs(node), by.free(node)
        answers = _apply(node.layer, x.scale * (_LEVELS - x.zero_point))
        how = Affine(output.scale, output.zero_point)
        table = np.array([how.quantise(answer) for answer in answers], np.int8)
        return Lookup(node.name, (x,), output, node.macs, type(node.layer).__name__, table)

    def compute(
        self, operator: Lookup, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Look every value of a map up."""
        del kept
        values: Int8 = operator.table[maps[operator.inputs[0].name].astype(np.int16) + 128]
        return values

    def plausible(self, node: LookupNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Apply the function to the map that it reads."""
        del drawn
        return _apply(node.layer, maps[node.inputs[0]])

    def constant_bytes(self, layer: nn.Module) -> int:
        """Count the table."""
        del layer
        return len(_LEVELS)

    def weights(self, operator: Lookup) -> str:
        """Bits and entries of the table."""
        return f"8 bits x {len(operator.table)}"


def _apply(layer: nn.Module, values: npt.NDArray[np.floating]) -> Float64:
    with torch.inference_mode():
        answers: Float64 = layer(torch.from_numpy(values.astype(np.float64).copy())).numpy()
    return answers
