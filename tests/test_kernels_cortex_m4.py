"""The Cortex-M4 code of every kernel against the integer reference, on random shapes and values."""

from typing import Literal

import cortex_m4
import numpy as np
import pytest
import random_programs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from native import ROOMY
from random_programs import Builder

from hil import models
from hil.compiler import compile_model, reference
from hil.compiler.kernels import gru
from hil.compiler.kernels.kernel import Choices
from hil.compiler.operators.gru_sweep import GRUSweep
from hil.compiler.plan import Plan, make_plan, place
from hil.compiler.program import Padding, Program
from hil.vision import photographs

# Each example is compiled, so a failing one is shown as it was drawn.
few = settings(
    phases=(Phase.generate,),
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 14)
quads = st.sampled_from([4, 8, 12, 20, 32, 64])


def check(program: Program, toolchain: str = "zig", plan: Plan | None = None) -> None:
    shape = program.input.shape
    random = np.random.default_rng(0)
    inputs = (
        random_programs.image(program, 1),
        np.full(shape, -128, np.int8),
        random.choice(np.array([-128, 127], np.int8), shape),
    )
    outputs = cortex_m4.run_program(program, *inputs, toolchain=toolchain, plan=plan)
    for x, y in zip(inputs, outputs, strict=True):
        assert np.array_equal(y, reference.run(program, x))


@given(
    seed=seeds,
    rows=sides,
    columns=sides,
    channels=quads,
    out=st.sampled_from([2, 4, 10, 32]),
    stride=st.integers(1, 2),
    full_range=st.booleans(),
    extremes=st.booleans(),
)
@few
def test_a_streamed_block_equals_the_reference(  # noqa: PLR0917
    seed: int,
    rows: int,
    columns: int,
    channels: int,
    out: int,
    stride: int,
    full_range: bool,
    extremes: bool,
) -> None:
    b = Builder(seed, (rows, columns, channels), full_range=full_range, extremes=extremes)
    x = b.inverted_residual("narrow", b.input, out, stride)
    y = b.inverted_residual("same", b.input, channels)
    check(b.program(x, y))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_of_many_channels_equals_the_reference(stride: int) -> None:
    b = Builder(stride, (7, 9, 56))
    y = b.inverted_residual("block", b.input, 56, stride, expansion=6)
    program = b.program(y)
    assert [step.kernel.name for step in make_plan(program, ROOMY).steps] == ["streamed_block"]
    check(program)


@pytest.mark.parametrize("channels", [3, 8])
def test_a_block_without_expansion_equals_the_reference(channels: int) -> None:
    b = Builder(channels, (9, 10, channels))
    x = b.conv("stem", b.input, channels, 3)
    filtered = b.conv("block.depthwise", x, channels, 3, depthwise=True, relu=True)
    program = b.program(b.conv("block.project", filtered, channels, residual=x))
    apart, fused = ["conv2d"] * 2, ["streamed_block"]
    steps = make_plan(program, ROOMY).steps[1:]
    assert [step.kernel.name for step in steps] == (fused if channels == 8 else apart)
    check(program)


@given(
    seed=seeds,
    pixels=st.tuples(sides, sides),
    channels=quads,
    out=st.sampled_from([2, 6, 32]),
    extremes=st.booleans(),
)
@few
def test_a_pointwise_convolution_equals_the_reference(
    seed: int, pixels: tuple[int, int], channels: int, out: int, extremes: bool
) -> None:
    b = Builder(seed, (*pixels, channels), extremes=extremes)
    plain = b.conv("plain", b.input, out)
    check(b.program(plain, b.conv("residual", b.input, out, relu=True, residual=plain)))


@given(
    seed=seeds,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 3, 5]),
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    extremes=st.booleans(),
)
@few
def test_a_convolution_over_windows_equals_the_reference(  # noqa: PLR0917
    seed: int, kernel: int, stride: int, channels: int, size: tuple[int, int], extremes: bool
) -> None:
    b = Builder(seed, (*size, channels), extremes=extremes)
    even = b.conv("even", b.input, 6, kernel, stride)
    odd = b.conv("odd", b.input, 5, kernel, stride, relu=True)
    check(b.program(even, odd))


@given(
    seed=seeds,
    edges=st.tuples(*[st.integers(0, 2)] * 4),
    stride=st.integers(1, 2),
    channels=st.sampled_from([1, 3, 4, 8]),
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
)
@few
def test_convolutions_whose_edges_are_padded_apart_equal_the_reference(
    seed: int,
    edges: tuple[int, int, int, int],
    stride: int,
    channels: int,
    size: tuple[int, int],
) -> None:
    b = Builder(seed, (*size, channels))
    padding = Padding(*edges)
    depthwise = b.conv("depthwise", b.input, channels, 3, stride, padding, depthwise=True)
    dense = b.conv("dense", b.input, 4, 3, stride, padding, relu=True)
    block = b.conv("block.expand", b.input, 16, relu=True)
    block = b.conv("block.filter", block, 16, 3, stride, padding, depthwise=True, relu=True)
    check(b.program(depthwise, dense, b.conv("block.project", block, 4)))


def test_a_colour_stem_into_rnnpool_equals_the_reference() -> None:
    b = Builder(0, (40, 56, 3))
    stem = b.conv("stem", b.input, 8, 3, 2, relu=True)
    check(b.program(b.pool("pool", stem, 6, 4, (8, 8))))


@given(
    seed=seeds,
    rows=sides,
    columns=sides,
    channels=quads,
    widths=st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=4),
    extremes=st.booleans(),
)
@few
def test_heads_equal_the_reference(  # noqa: PLR0917
    seed: int, rows: int, columns: int, channels: int, widths: list[int], extremes: bool
) -> None:
    b = Builder(seed, (rows, columns, channels), extremes=extremes)
    norm = b.norm("norm", b.input)
    maps = [b.conv(f"head{i}", norm, width, 3) for i, width in enumerate(widths)]
    maps[0] = b.maxout("most", maps[0], widths[0] // 2 + 1)
    check(b.program(*maps))


@pytest.mark.parametrize(
    ("size", "widths", "shift"),
    [((6, 12, 16), (4, 2), 0), ((8, 14, 64), (2, 6), 1), ((7, 33, 48), (10,), 3)],
)
@pytest.mark.parametrize("padding", [Padding(1, 1, 1, 1), Padding(0, 2, 2, 0)])
def test_heads_through_a_transform_equal_the_reference(
    size: tuple[int, int, int], widths: tuple[int, ...], shift: int, padding: Padding
) -> None:
    # 64 channels are out of reach tile by tile; the sums are shifted back by 2, 1 and 0 bits.
    for extremes in (False, True):
        b = Builder(sum(widths), size, extremes=extremes)
        maps = [b.conv(f"to{n}", b.input, n, 3, padding=padding, shift=shift) for n in widths]
        program = b.program(*maps)
        plan = place(program, ROOMY, Choices(transforms=True))
        assert [step.kernel.name for step in plan.steps] == ["winograd"]
        check(program, plan=plan)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride"), [(3, 3, 2), (2, 2, 1), (4, 3, 2), (4, 5, 1), (8, 5, 3)]
)
def test_convolutions_over_a_ring_of_rows_equal_the_reference(
    channels: int, kernel: int, stride: int
) -> None:
    for extremes in (False, True):
        b = Builder(kernel, (17, 22, channels), extremes=extremes)
        maps = [b.conv(f"conv{n}", b.input, n, kernel, stride, relu=True) for n in (2, 4)]
        check(b.program(*maps))


@given(
    seed=seeds,
    patch=st.integers(2, 8),
    stride=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 3), st.integers(1, 6)),
    units=st.sampled_from([(16, 16), (8, 8), (4, 16), (16, 4), (6, 6)]),
    dense=st.booleans(),
)
@few
def test_rnnpool_equals_the_reference(  # noqa: PLR0917
    seed: int,
    patch: int,
    stride: int,
    grid: tuple[int, int],
    units: tuple[int, int],
    dense: bool,
) -> None:
    rows, columns = (patch + (n - 1) * stride for n in grid)
    b = Builder(seed, (rows, columns, 4))
    check(b.program(b.pool("pool", b.input, patch, stride, units, dense=dense)))


@given(
    seed=seeds,
    channels=st.sampled_from([1, 3, 4, 8]),
    patch=st.integers(1, 4),
    grid=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    units=st.sampled_from([2, 3, 4, 6, 16, 32, 44]),
    along=st.sampled_from(["columns", "rows"]),
    index_bits=st.integers(5, 12),
    extremes=st.booleans(),
)
@few
def test_a_gru_sweep_equals_the_reference(  # noqa: PLR0917
    seed: int,
    channels: int,
    patch: int,
    grid: tuple[int, int],
    units: int,
    along: Literal["columns", "rows"],
    index_bits: int,
    extremes: bool,
) -> None:
    rows, columns = (n * patch + patch // 2 for n in grid)
    b = Builder(seed, (rows, columns, channels), extremes=extremes)
    check(b.program(b.sweep("sweep", b.input, units, patch, along, index_bits)))


@pytest.mark.parametrize("units", [2, 16, 32, 44])
@pytest.mark.parametrize("columns", [1, 6, 7])
def test_a_step_of_any_number_of_sequences_equals_the_reference(units: int, columns: int) -> None:
    b = Builder(units, (5, columns, 4), extremes=units == 16)
    program = b.program(b.sweep("sweep", b.input, units, 1, "columns", 10))
    sweep = program.operators[0]
    assert isinstance(sweep, GRUSweep)
    assert gru.suits(sweep)
    check(program)


def test_a_quantised_renet_equals_the_reference() -> None:
    layer = models.load("renet_layer", rows=32, columns=40)
    calibration = [photographs.prepare(name, layer.spec) for name in ("coffee", "moon")]
    check(compile_model(layer, calibration).program)


def test_a_gru_whose_patches_are_out_of_reach_equals_the_reference() -> None:
    b = Builder(0, (17, 16, 64))
    check(b.program(b.sweep("sweep", b.input, 4, 4, "columns")))


@pytest.mark.parametrize(("channels", "units"), [(44, (20, 12)), (40, (18, 6)), (36, (24, 40))])
def test_an_rnnpool_of_many_channels_equals_the_reference(
    channels: int, units: tuple[int, int]
) -> None:
    b = Builder(channels, (5, 7, channels), extremes=channels == 40)
    check(b.program(b.pool("pool", b.input, 3, 2, units, dense=channels == 44)))


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 32])
@pytest.mark.parametrize("units", [(4, 4), (16, 8)])
def test_rnnpool_over_any_number_of_channels_equals_the_reference(
    channels: int, units: tuple[int, int]
) -> None:
    b = Builder(channels, (18, 23, channels))
    check(b.program(b.pool("pool", b.input, 6, 4, units, dense=True)))
    narrow = Builder(channels, (2, 2, channels))  # fewer pixels in a row than the code takes
    check(narrow.program(narrow.pool("pool", narrow.input, 2, 1, units)))


@given(seed=seeds, rows=st.integers(17, 40), quarter=st.integers(5, 12), full_range=st.booleans())
@few
def test_a_stem_into_rnnpool_equals_the_reference(
    seed: int, rows: int, quarter: int, full_range: bool
) -> None:
    b = Builder(seed, (rows, 4 * quarter, 1), full_range=full_range)
    stem = b.conv("stem", b.input, 4, 3, 2, relu=True)
    check(b.program(b.pool("pool", stem, 8, 4)))


@given(
    seed=seeds,
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    channels=st.sampled_from([3, 4, 8, 32]),
    window=st.integers(1, 3),
    stride=st.integers(1, 4),
    extremes=st.booleans(),
)
@few
def test_poolings_equal_the_reference(  # noqa: PLR0917
    seed: int, size: tuple[int, int], channels: int, window: int, stride: int, extremes: bool
) -> None:
    check(poolings(seed, size, channels, window, stride, extremes=extremes))


def poolings(
    seed: int, size: tuple[int, int], channels: int, window: int, stride: int, *, extremes: bool
) -> Program:
    padding = Padding(*[window // 2] * 4)
    b = Builder(seed, (*size, channels), extremes=extremes)
    average = b.pool2d("average", b.input, "average", (window, window), stride, padding, shift=1)
    best = b.pool2d("best", b.input, "max", (window, window), stride, padding)
    return b.program(average, best, b.pool2d("whole", b.input, "average", size))


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
@pytest.mark.parametrize("channels", [3, 8])
def test_gcc_builds_the_same_poolings(channels: int) -> None:
    check(poolings(5, (9, 11), channels, 3, 2, extremes=True), toolchain="gcc")


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
def test_gcc_builds_the_same_transforms() -> None:
    b = Builder(4, (7, 20, 64), extremes=True)
    normed = b.norm("norm", b.input)
    maps = [b.conv(f"to{n}", normed, n, 3) for n in (2, 4)]
    program = b.program(*maps)
    plan = place(program, ROOMY, Choices(transforms=True))
    assert "winograd" in [step.kernel.name for step in plan.steps]
    check(program, toolchain="gcc", plan=plan)


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
@pytest.mark.parametrize("units", [3, 16])
def test_gcc_builds_the_same_sweeps(units: int) -> None:
    b = Builder(units, (13, 15, 8))
    vertical = b.sweep("vertical", b.input, units, 4, "columns", 10)
    check(b.program(b.sweep("horizontal", vertical, units, 1, "rows", 10)), toolchain="gcc")


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
@pytest.mark.parametrize("dense", [False, True])
def test_gcc_builds_the_same_outputs(dense: bool) -> None:
    check(random_programs.face_m4(seed=3, rows=64, columns=80, dense=dense), toolchain="gcc")


@pytest.mark.parametrize("dense", [False, True])
def test_a_whole_network_of_other_sizes_equals_the_reference(dense: bool) -> None:
    check(random_programs.face_m4(seed=2, rows=72, columns=96, dense=dense))
