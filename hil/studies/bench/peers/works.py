"""A network's layers one by one, as kernels of others compute them: none fused, none streamed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hil.compiler import reference
from hil.compiler.integers.ranges import multiplier_and_shift
from hil.compiler.operators.add import Add, add_of
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.program import Operator, Padding, Quantised

if TYPE_CHECKING:
    from hil.compiler.kernels.kernel import Step
    from hil.compiler.plan import Plan
    from hil.compiler.program import Program

Layer: TypeAlias = Conv2D | Add | Pool2D


@dataclass(frozen=True, eq=False)
class Work:
    """One layer with its inputs.

    Attributes:
        step: of our schedule, which computes this layer and perhaps others.
        layer: a convolution that adds no map, an addition, or an average in its input's scale.
        inputs: int8 maps, (rows, columns, channels); two of an addition.
    """

    step: str
    layer: Layer
    inputs: tuple[Quantised, ...]

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.layer.name

    @cached_property
    def expected(self) -> Quantised:
        """What our integer reference answers, (rows, columns, channels)."""
        named = (tensor.name for tensor in self.layer.inputs)
        return reference.compute(self.layer, dict(zip(named, self.inputs, strict=True)))

    def padded_before(self) -> "Work":
        """Give a convolution all its padding before the map, for kernels that know no other way.

        The work is the same and the answer is another, which the reference computes too.
        """
        if not isinstance(self.layer, Conv2D):
            return self
        pad = self.layer.padding
        before = Padding(top=max(pad.top, pad.bottom), left=max(pad.left, pad.right))
        return replace(self, layer=replace(self.layer, padding=before))


def works(program: "Program", plan: "Plan", x: Quantised, prefix: str = "") -> Iterator[Work]:
    """Yield the layers of a network, in order.

    Args:
        program: the quantised network.
        plan: its schedule, whose steps the layers belong to.
        x: int8, of the program's input shape.
        prefix: of the steps' names; others are left out, as are operators that no peer has.
    """
    maps = reference.maps(program, x)
    for step, operator in _operators(plan, prefix):
        match operator:
            case Conv2D():
                yield from _convolution(step.name, operator, maps)
            case Add():
                yield Work(step.name, operator, tuple(maps[x.name] for x in operator.inputs))
            case Pool2D(kind="average"):
                yield Work(step.name, _average(operator), (maps[operator.inputs[0].name],))


def left_out(plan: "Plan", prefix: str = "") -> list[str]:
    """Name the operators of these steps that are no layer of a peer's.

    Args:
        plan: of the network.
        prefix: with which the names of the steps begin; empty for all steps.
    """
    return [
        operator.name
        for _, operator in _operators(plan, prefix)
        if not isinstance(operator, Layer)
        or (isinstance(operator, Pool2D) and operator.kind != "average")
        or operator.output.bits != 8
    ]


def _operators(plan: "Plan", prefix: str) -> "Iterator[tuple[Step, Operator]]":
    for step in plan.steps:
        for operator in step.operators if step.name.startswith(prefix) else ():
            yield step, operator


def _convolution(step: str, operator: Conv2D, maps: Mapping[str, Quantised]) -> Iterator[Work]:
    """A convolution, and what it adds as an addition of its own: peers fuse neither."""
    read = maps[operator.inputs[0].name]
    if operator.residual is None:
        yield Work(step, operator, (read,))
        return
    alone = replace(
        operator,
        inputs=operator.inputs[:1],
        output=replace(operator.output, name=f"{operator.output.name} alone"),
        residual=None,
        low=-128,
        high=127,
    )
    work = Work(step, alone, (read,))
    yield work
    added = operator.residual.source
    terms = (alone.output, added)
    addition = add_of(f"{operator.name} add", terms, operator.output, operator.low, operator.high)
    yield Work(step, addition, (work.expected, maps[added.name]))


def _average(operator: Pool2D) -> Pool2D:
    """Give an average its input's scale, which peers' averages have."""
    (x,) = operator.inputs
    rows, columns = operator.window
    factors, shift = multiplier_and_shift(np.array([1 / (rows * columns)]))
    return replace(
        operator,
        output=replace(operator.output, scale=x.scale, zero_point=x.zero_point),
        multiplier=int(factors[0]),
        shift=shift,
    )
