"""Packed blocks whose depthwise convolution is padded unevenly, as TensorFlow's "same" pads."""

from itertools import product

import cortex_m4
import numpy as np
import pytest
import random_programs
from native import ROOMY, run_program
from random_programs import Builder

from hil.compiler import reference
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Plan, make_plan, place
from hil.compiler.program import Padding, Program, Tensor

EDGES = [Padding(*edges) for edges in product((0, 1), repeat=4)]
PANELS = Choices(panel_bytes=900)


def kinds(plan: Plan) -> set[str]:
    return {step.kernel.name for step in plan.steps}


def expanded(shape: tuple[int, int, int], stride: int) -> Program:
    """Every padding of zero or one at each edge, with weights shifted and not."""
    b = Builder(sum(shape), shape)
    return b.program(
        *(
            b.inverted_residual(f"block{i}", b.input, 6, stride, padding=edges, shift=i % 4)
            for i, edges in enumerate(EDGES)
        )
    )


def separable(b: Builder, name: str, x: Tensor, stride: int, padding: Padding) -> Tensor:
    filtered = b.conv(f"{name}.depthwise", x, 8, 3, stride, padding, depthwise=True, relu=True)
    return b.conv(f"{name}.project", filtered, 8)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7])
def test_any_padding_of_a_block_equals_the_reference_on_this_machine(
    side: int, stride: int
) -> None:
    program = expanded((side, side + 1, 8), stride)
    image = random_programs.image(program)
    for choices, kernels in ((Choices(), {"streamed_block"}), (PANELS, {"expand_filter"})):
        plan = place(program, ROOMY, choices)
        assert kinds(plan) - {"pointwise", "pointwise_panels"} == kernels
        assert np.array_equal(run_program(program, image, plan), reference.run(program, image))


@pytest.mark.parametrize("stride", [1, 2])
def test_any_padding_of_a_block_equals_the_reference_on_the_cortex_m4(stride: int) -> None:
    program = expanded((8, 9, 8), stride)
    image = random_programs.image(program)
    for plan in (make_plan(program, ROOMY), place(program, ROOMY, PANELS)):
        (y,) = cortex_m4.run_program(program, image, plan=plan)
        assert np.array_equal(y, reference.run(program, image))


@pytest.mark.parametrize("edges", EDGES[::5], ids=str)
def test_any_padding_of_a_separable_convolution_may_stream(edges: Padding) -> None:
    b = Builder(1, (24, 12, 8))
    x = separable(b, "halved", b.input, 2, edges)
    program = b.program(separable(b, "same", x, 1, edges))
    image = random_programs.image(program)
    for plan in (make_plan(program, ROOMY), place(program, ROOMY, Choices(streamed=2))):
        assert kinds(plan) == {"streamed_block"}
        assert np.array_equal(run_program(program, image, plan), reference.run(program, image))


def test_two_rows_of_padding_are_no_packed_blocks() -> None:
    b = Builder(1, (9, 9, 8))
    program = b.program(separable(b, "far", b.input, 1, Padding(2, 2, 2, 2)))
    assert "streamed_block" not in kinds(make_plan(program, ROOMY))
