"""Sums of two maps, value by value, where no convolution takes the addition in."""

import operator as functions
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from hil.compiler.integers.exact import Int64, rounded_shift, smmulr
from hil.compiler.integers.fixed_point import FixedPoint
from hil.compiler.operators import fusing
from hil.compiler.operators.kind import Calibration, Float64, Kept, Kind, Node, Place
from hil.compiler.program import Operator, Quantised, Tensor

HEADROOM_BITS = 20  # an input is scaled up by, so that its rounding does not show
_LEAST = 30  # of shifts: beyond, a term is 0


@dataclass(frozen=True)
class Term:
    """An input, scaled: rounded(smmulr((q - zero_point) << 21, multiplier) / 2**shift)."""

    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class Add(Operator):
    """The sum of two maps of one shape.

    sum = term 0 + term 1, y = clamp(y.zero_point + rounded(smmulr(sum << 1, multiplier) /
    2**shift), low, high), rounded() being to the nearest, halves away from 0. This is the
    arithmetic of TensorFlow Lite's reference kernel, to the bit.

    Source: TensorFlow Lite, kernels/internal/reference/integer_ops/add.h, kernels/add.cc.
    """

    terms: tuple[Term, Term]
    multiplier: int
    shift: int
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class AddNode(Node):
    """The sum of two maps."""


class AddKind(Kind[Any, Add, nn.Module]):
    """Additions from a call to integers."""

    node = AddNode
    operator = Add
    layers = ()
    functions = (functions.add,)

    def trace(self, layer: nn.Module, place: Place) -> AddNode:
        """Take the inputs: no layer is an addition yet."""
        del layer
        return AddNode(*place.common())

    def trace_call(self, place: Place) -> Node:
        """Let a convolution take an addition in; where none can, it stands by itself."""
        return fusing.add(place) or AddNode(*place.common())

    def quantise(self, node: AddNode, by: Calibration) -> Add:
        """Choose the output's range and the factors."""
        x, y = by.inputs(node)
        return add_of(node.name, (x, y), by.free(node))

    def plausible(self, node: AddNode, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Add the maps that are read."""
        del drawn
        return maps[node.inputs[0]] + maps[node.inputs[1]]

    def compute(self, operator: Add, maps: Mapping[str, Quantised], kept: Kept | None) -> Quantised:
        """Compute the sum of whole maps."""
        del kept
        op = operator
        total = sum(
            _scaled(maps[x.name].astype(np.int64) - x.zero_point, HEADROOM_BITS + 1, term)
            for x, term in zip(op.inputs, op.terms, strict=True)
        )
        y = op.output.zero_point + _scaled(np.asarray(total), 1, Term(op.multiplier, op.shift))
        return np.clip(y, op.low, op.high).astype(np.int8)


def add_of(
    name: str, inputs: tuple[Tensor, Tensor], output: Tensor, low: int = -128, high: int = 127
) -> Add:
    """Make the addition of two maps with these scales.

    Args:
        name: of the operator.
        inputs: the two maps, of one shape.
        output: the map that it writes.
        low: the least level, which a ReLU raises.
        high: the greatest.
    """
    unit = 2.0 * max(x.scale for x in inputs)
    first, second = (_factor(x.scale / unit) for x in inputs)
    total = _factor(unit / (2.0**HEADROOM_BITS * output.scale))
    return Add(
        name,
        inputs,
        output,
        0,
        terms=(first, second),
        multiplier=total.multiplier,
        shift=total.shift,
        low=low,
        high=high,
    )


def _factor(real: float) -> Term:
    """Write a factor below 1 as multiplier / 2**(31 + shift)."""
    fixed = FixedPoint.of(real)
    return Term(fixed.multiplier, min(-fixed.exponent, _LEAST))


def _scaled(values: Int64, bits: int, by: Term) -> Int64:
    return rounded_shift(smmulr(values << bits, np.array(by.multiplier, np.int64)), by.shift)
