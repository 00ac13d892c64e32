"""Layers by panels of channels: C and Cortex-M4 code against the integer reference."""

import cortex_m4
import native
import numpy as np
import pytest
import random_programs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from native import ROOMY
from random_programs import Builder

from hil.compiler import reference
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Plan, place
from hil.compiler.program import Int8, Program

# Each example is compiled, so a failing one is shown as it was drawn.
few = settings(
    phases=(Phase.generate,),
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 17)
quads = st.sampled_from([4, 8, 12, 20])


def by_panels(program: Program, panel_bytes: int) -> Plan:
    return place(program, ROOMY, Choices(panel_bytes=panel_bytes))


def inputs(program: Program) -> tuple[Int8, ...]:
    shape = program.input.shape
    ends = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), shape)
    return random_programs.image(program, 1), np.full(shape, -128, np.int8), ends


def check(program: Program, plan: Plan, toolchain: str = "zig") -> None:
    drawn = inputs(program)
    model, _ = native.compile_program(program, plan)
    on_host = [model.run(x) for x in drawn]
    on_board = cortex_m4.run_program(program, *drawn, toolchain=toolchain, plan=plan)
    for x, host, device in zip(drawn, on_host, on_board, strict=True):
        expected = reference.run(program, x)
        assert np.array_equal(host, expected)
        assert np.array_equal(device, expected)


@given(
    seed=seeds,
    size=st.tuples(sides, sides),
    channels=quads,
    out=st.sampled_from([2, 6, 14, 32]),
    pairs=st.integers(1, 4),
    shift=st.sampled_from([0, 0, 2]),
    extremes=st.booleans(),
)
@few
def test_a_pointwise_convolution_by_panels_equals_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    out: int,
    pairs: int,
    shift: int,
    extremes: bool,
) -> None:
    b = Builder(seed, (*size, channels), extremes=extremes)
    plain = b.conv("plain", b.input, out, shift=shift)
    program = b.program(plain, b.conv("residual", b.input, out, relu=True, residual=plain))
    plan = by_panels(program, 8 * channels + pairs * 4 * (5 + channels))
    kinds = {step.kernel.name for step in plan.steps}
    assert ("one_pixel" in kinds) == (size == (1, 1))
    assert kinds - {"one_pixel"} == {"pointwise" if 2 * pairs >= out else "pointwise_panels"}
    check(program, plan)


@given(
    seed=seeds,
    size=st.tuples(sides, sides),
    channels=quads,
    stride=st.integers(1, 2),
    pairs=st.integers(1, 5),
    full_range=st.booleans(),
    extremes=st.booleans(),
)
@few
def test_an_inverted_residual_by_panels_equals_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    stride: int,
    pairs: int,
    full_range: bool,
    extremes: bool,
) -> None:
    b = Builder(seed, (*size, channels), full_range=full_range, extremes=extremes)
    x = b.inverted_residual("narrow", b.input, 6, stride, expansion=3)
    y = b.inverted_residual("same", b.input, channels, expansion=3)
    program = b.program(x, y)
    pair_bytes = 4 * (5 + channels) + 96
    plan = by_panels(program, 8 * channels + pairs * pair_bytes)
    assert [step.kernel.name for step in plan.steps].count("expand_filter") == 2
    check(program, plan)


@pytest.mark.parametrize(("panel_bytes", "panel"), [(3104, 22), (2104, 14), (804, 2)])
def test_panels_share_the_channels_evenly_or_leave_a_rest(panel_bytes: int, panel: int) -> None:
    b = Builder(1, (5, 7, 8))
    program = b.program(b.conv("conv", b.conv("wide", b.input, 52), 44))
    plan = by_panels(program, panel_bytes)
    assert (plan.steps[-1].kernel.name, plan.steps[-1].panel) == ("pointwise_panels", panel)
    check(program, plan)


def test_a_block_leaves_a_rest_too() -> None:
    b = Builder(2, (7, 7, 4))
    program = b.program(b.inverted_residual("block", b.input, 8, expansion=11))
    plan = by_panels(program, 968)
    assert plan.steps[0].panel == 8  # of 44 channels
    check(program, plan)


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
@pytest.mark.parametrize("stride", [1, 2])
def test_gcc_builds_the_same_panels(stride: int) -> None:
    b = Builder(stride, (15, 15, 12))
    program = b.program(b.inverted_residual("block", b.input, 20, stride, expansion=6))
    plan = by_panels(program, 1500)
    assert [step.panel > 0 for step in plan.steps] == [True, True]
    check(program, plan, "gcc")
