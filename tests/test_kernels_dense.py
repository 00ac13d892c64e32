"""What DenseNet and MobileNetV1 need beside the others' kernels, against the integer reference."""

import subprocess
from pathlib import Path

import cortex_m4
import numpy as np
import pytest
import random_programs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from native import compile_program
from random_programs import Builder

from hil.compiler import reference
from hil.compiler.code.thumb import instruction_sizes
from hil.compiler.kernels.block import block_of, widened
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.matmul_assembly import matmul
from hil.compiler.kernels.matmul_four import matmul_four
from hil.compiler.kernels.pointwise import pointwise_of
from hil.compiler.kernels.windowed import windowed_of
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.plan import Plan
from hil.compiler.program import Padding, Program

# Each example is compiled twice, so a failing one is shown as it was drawn.
few = settings(
    phases=(Phase.generate,),
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 9)
quads = st.sampled_from([4, 8, 20, 32])


def check(program: Program, toolchain: str = "zig") -> Plan:
    """Run a program here and on the Cortex-M4, at the extremes too; returns its plan."""
    shape = program.input.shape
    mixed = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), shape)
    inputs = (random_programs.image(program, 1), np.full(shape, -128, np.int8), mixed)
    native, plan = compile_program(program)
    on_chip = cortex_m4.run_program(program, *inputs, toolchain=toolchain)
    for x, y in zip(inputs, on_chip, strict=True):
        expected = reference.run(program, x)
        assert np.array_equal(native.run(x), expected)
        assert np.array_equal(y, expected)
    return plan


def kinds(plan: Plan) -> list[str]:
    return [step.kernel.name for step in plan.steps]


@given(
    seed=seeds,
    size=st.tuples(sides, sides),
    channels=quads,
    relu=st.booleans(),
    shift=st.integers(0, 3),
    full_range=st.booleans(),
    extremes=st.booleans(),
)
@few
def test_a_batch_norm_by_itself_equals_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    relu: bool,
    shift: int,
    full_range: bool,
    extremes: bool,
) -> None:
    b = Builder(seed, (*size, channels), full_range=full_range, extremes=extremes)
    x = b.scale("norm", b.input, relu=relu, shift=shift)
    whole = b.pool2d("whole", x, "average", size)
    plan = check(b.program(x, whole))
    assert kinds(plan) == ["scale", "pool2d"]


@given(
    seed=seeds,
    size=st.tuples(sides, sides),
    channels=quads,
    out=st.sampled_from([2, 6, 32]),
    shift=st.integers(0, 3),
    full_range=st.booleans(),
    extremes=st.booleans(),
)
@few
def test_a_batch_norm_before_a_1x1_convolution_equals_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    out: int,
    shift: int,
    full_range: bool,
    extremes: bool,
) -> None:
    b = Builder(seed, (*size, channels), full_range=full_range, extremes=extremes)
    normed = b.scale("norm", b.input, relu=True, shift=shift)
    plan = check(b.program(b.conv("squeeze", normed, out, relu=True)))
    assert kinds(plan) == ["pointwise"]


def test_a_batch_norm_over_its_own_input_equals_the_reference() -> None:
    b = Builder(0, (12, 12, 8))
    x = b.pool2d("best", b.input, "max", (1, 1))
    y = b.scale("norm", x, relu=True)
    program = b.program(b.pool2d("whole", y, "average", (12, 12)))
    plan = check(program)
    assert plan.offsets["norm"] < plan.offsets["best"] < plan.offsets["norm"] + y.bytes


def test_a_normalised_map_with_two_readers_is_stored() -> None:
    b = Builder(0, (4, 4, 8))
    normed = b.scale("norm", b.input, relu=True)
    one, two = b.conv("one", normed, 4), b.conv("two", normed, 4)
    assert kinds(check(b.program(one, two))) == ["scale", "pointwise", "pointwise"]


@given(
    seed=seeds,
    size=st.tuples(sides, sides),
    widths=st.lists(st.sampled_from([1, 2, 3, 4, 8, 32]), min_size=1, max_size=4),
    extremes=st.booleans(),
)
@few
def test_a_concatenation_equals_the_reference(
    seed: int, size: tuple[int, int], widths: list[int], extremes: bool
) -> None:
    b = Builder(seed, (*size, 4), extremes=extremes)
    maps = [b.conv(f"map{i}", b.input, width) for i, width in enumerate(widths)]
    assert "concat" in kinds(check(b.program(b.concat("join", *maps))))


def test_a_concatenation_over_its_first_map_equals_the_reference() -> None:
    b = Builder(1, (9, 11, 8))
    x = b.conv("first", b.input, 8, relu=True)
    for i in range(3):
        x = b.concat(f"join{i}", x, b.conv(f"grow{i}", x, 4, 3, relu=True))
    program = b.program(b.pool2d("whole", x, "average", (9, 11)))
    plan = check(program)
    assert plan.arena_bytes < 9 * 11 * (16 + 20)


@given(
    seed=seeds,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    channels=st.sampled_from([4, 8, 20]),
    size=st.tuples(st.integers(5, 11), st.integers(5, 11)),
    extremes=st.booleans(),
)
@few
def test_a_convolution_over_windows_of_whole_words_equals_the_reference(  # noqa: PLR0917
    seed: int, kernel: int, stride: int, channels: int, size: tuple[int, int], extremes: bool
) -> None:
    b = Builder(seed, (*size, channels), extremes=extremes)
    padding = Padding(kernel // 2, 0, kernel - 1, kernel // 2)
    x = b.conv("conv", b.input, 6, kernel, stride + 1, padding)
    check(b.program(b.conv("last", x, 4, 3, 2, relu=True)))


@pytest.mark.parametrize(
    ("kernel", "channels", "pixels"),
    [(1, 660, 4), (1, 664, 3), (1, 988, 3), (1, 992, 2), (3, 128, 2), (3, 240, 1)],
)
def test_deep_convolutions_take_fewer_pixels_at_a_time(
    kernel: int, channels: int, pixels: int
) -> None:
    b = Builder(kernel, (3, 4, channels), full_range=True)
    b.conv("conv", b.input, 4, kernel, 1 if kernel == 1 else 2, relu=True)
    conv = b.operators[0]
    assert isinstance(conv, Conv2D)
    product = pointwise_of(conv) if kernel == 1 else windowed_of(conv)
    assert product is not None
    assert product.most_pixels == pixels
    check(b.program(conv.output))


def test_products_of_four_pixels_of_any_depth_equal_the_reference() -> None:
    # Unrolled or in rounds, with steps before them or none, words in the FPU or none, a residual.
    b = Builder(5, (2, 6, 8), extremes=True)
    x = b.input
    for n, channels in enumerate((16, 24, 28, 32, 36, 40, 64, 68, 100, 128, 136, 256, 32)):
        x = b.conv(f"conv{n}", x, channels, relu=n % 3 == 0, shift=n % 2)
        if n % 4 == 1:
            x = b.conv(f"sum{n}", x, channels, residual=x)
    heads = [b.conv(f"head{n}", x, 6, kernel) for n, kernel in enumerate((2, 3))]
    check(b.program(*heads))


@pytest.mark.gcc
@pytest.mark.skipif(not cortex_m4.has_gcc(), reason="arm-none-eabi-gcc is not on PATH")
def test_gcc_assembles_products_of_four_pixels_of_any_depth(tmp_path: Path) -> None:
    text = [".syntax unified"]
    for depth in range(4, 130, 2):
        for residual in (None, (0, 1 << 30, 1)):
            for channels in (8, 168):
                product = MatMul(
                    depth=depth, segments=1, segment_bytes=0, pixel_bytes=2 * depth,
                    channels=channels, y_bytes=1, y_channel_bytes=1, y_pixel_bytes=channels,
                    low=-128, high=127, residual=residual,
                )  # fmt: skip
                text.append(matmul_four(f"f{len(text)}", product).text)
    (tmp_path / "all.S").write_text("\n".join(text), encoding="utf-8")
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    subprocess.run([*command, "-c", "all.S", "-o", "all.o"], cwd=tmp_path, check=True)


def test_heads_whose_weights_are_too_many_to_turn_go_over_windows() -> None:
    b = Builder(0, (4, 5, 128), full_range=True)
    assert kinds(check(b.program(b.conv("grow", b.input, 32, 3)))) == ["windowed"]


def test_a_deep_batch_norm_before_a_1x1_convolution_equals_the_reference() -> None:
    b = Builder(0, (2, 3, 1024), full_range=True)
    normed = b.scale("norm", b.input, relu=True)
    whole = b.scale("whole", b.conv("squeeze", normed, 1024, relu=True))
    check(b.program(b.pool2d("pool", whole, "average", (2, 3))))


@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.sampled_from([4, 12, 32]),
    out=st.sampled_from([2, 8, 20]),
    stride=st.integers(1, 2),
    relu=st.booleans(),
    extremes=st.booleans(),
)
@few
def test_a_separable_convolution_equals_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    out: int,
    stride: int,
    relu: bool,
    extremes: bool,
) -> None:
    b = Builder(seed, (*size, channels), extremes=extremes)
    x = b.conv("depthwise", b.input, channels, 3, stride, depthwise=True, relu=True)
    program = b.program(b.conv("pointwise", x, out, relu=relu))
    assert kinds(check(program)) == ["streamed_block"]


def test_separable_convolutions_over_their_own_inputs_equal_the_reference() -> None:
    b = Builder(0, (12, 11, 8), full_range=True)
    x = b.conv("stem", b.input, 8, 3, relu=True)
    for i, (out, stride) in enumerate(((8, 1), (16, 2), (16, 1))):
        x = b.conv(f"{i}.depthwise", x, x.shape[2], 3, stride, depthwise=True, relu=True)
        x = b.conv(f"{i}.pointwise", x, out, relu=True)
    plan = check(b.program(b.pool2d("whole", x, "average", x.shape[:2])))
    assert kinds(plan)[1:4] == ["streamed_block"] * 3
    assert plan.offsets["0.pointwise"] < plan.offsets["stem"] + 12 * 11 * 8


def test_a_separable_convolution_of_1024_channels_equals_the_reference() -> None:
    b = Builder(0, (2, 3, 1024), full_range=True)
    x = b.conv("depthwise", b.input, 1024, 3, depthwise=True, relu=True)
    program = b.program(b.conv("pointwise", x, 8, relu=True))
    assert kinds(check(program)) == ["streamed_block"]


def dense_block(seed: int) -> Program:
    """Two dense layers and the transition after them."""
    b = Builder(seed, (10, 12, 16), full_range=True)
    x = b.input
    for i in range(2):
        squeezed = b.conv(f"squeeze{i}", b.scale(f"norm{i}", x, relu=True), 16, relu=True)
        x = b.concat(f"join{i}", x, b.conv(f"grow{i}", squeezed, 8, 3))
    halved = b.conv("halve", b.scale("norm", x, relu=True), 16)
    return b.program(b.pool2d("pool", halved, "average", (2, 2), 2))


@pytest.mark.parametrize("toolchain", ["zig", pytest.param("gcc", marks=pytest.mark.gcc)])
def test_a_dense_block_equals_the_reference(toolchain: str) -> None:
    if toolchain == "gcc" and not cortex_m4.has_gcc():
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    plan = check(dense_block(0), toolchain)
    layer = ["pointwise", "winograd", "concat"]
    assert kinds(plan) == [*layer, *layer, "pointwise", "pool2d"]


@pytest.mark.parametrize(
    ("limit", "takes"),
    [
        (4, {1: [1], 4: [4], 5: [3, 2], 6: [3, 3], 7: [4, 3], 9: [3, 3, 3], 13: [4, 3, 3, 3]}),
        (3, {1: [1], 3: [3], 4: [2, 2], 5: [3, 2], 7: [3, 2, 2], 9: [3, 3, 3]}),
        (2, {1: [1], 2: [2], 3: [2, 1], 4: [2, 2]}),
        (1, {1: [1], 3: [1, 1, 1]}),
    ],
)
def test_no_pixel_of_a_run_is_left_alone(limit: int, takes: dict[int, list[int]]) -> None:
    product = MatMul(8, 1, 0, 16, 8, 1, 1, 8, -128, 127, runs=tuple(takes), limit=limit)
    assert {run: product.taken(run) for run in takes} == takes
    assert product.counts == tuple(sorted({n for taken in takes.values() for n in taken}))


def test_code_is_written_for_every_number_of_pixels_that_the_board_takes() -> None:
    """C in place of code would take many cycles."""
    for columns in (5, 9, 14):
        b = Builder(columns, (1, columns, 8))
        program = b.program(b.conv("head", b.input, 4, 2, padding=Padding(1, 0, 0, 1)))
        result = cortex_m4.measure(program, random_programs.image(program))
        assert np.array_equal(
            result.outputs, reference.run(program, random_programs.image(program))
        )
        assert result.functions.get("matmul", 0) < 200 * columns


@pytest.mark.parametrize("depth", [8, 24, 32, 56, 64, 112, 128, 192, 336])
@pytest.mark.parametrize("residual", [None, (3, 12345, 10)])
@pytest.mark.parametrize("high", [76, 127])
def test_the_loop_of_four_pixels_stays_in_the_instruction_cache(
    depth: int, residual: tuple[int, int, int] | None, high: int
) -> None:
    product = MatMul(depth, 1, 0, 2 * depth, 128, 1, 1, 128, -128, high, residual)
    text = matmul("f", product, 4).text
    lines = text.splitlines()
    sizes = instruction_sizes(lines)
    begin, end = lines.index(".Lf_pair:"), lines.index("    bne .Lf_pair")
    first, last = sum(sizes[:begin]) // 16, (sum(sizes[: end + 1]) - 1) // 16
    assert last - first < 64


@pytest.mark.parametrize(
    ("rows", "columns", "stride", "together"),
    [(6, 6, 1, 2), (5, 5, 1, 4), (9, 6, 2, 4), (7, 2, 1, 2), (3, 3, 1, 1), (6, 7, 1, 1)],
)
def test_short_rows_of_a_block_are_projected_together(
    rows: int, columns: int, stride: int, together: int
) -> None:
    b = Builder(rows, (rows, columns, 8))
    filtered = b.conv("depthwise", b.input, 8, 3, stride, depthwise=True, relu=True)
    residual = b.input if stride == 1 else None
    project = b.conv("project", filtered, 8, residual=residual)
    depthwise_conv, project_conv = b.operators
    assert isinstance(depthwise_conv, Conv2D)
    assert isinstance(project_conv, Conv2D)
    block = block_of(None, depthwise_conv, project_conv)
    assert block is not None
    assert block.rows_at_once == together
    # Of an odd number of columns the code writes one more, behind the last row too.
    out_columns = project.shape[1]
    written = (together - 1) * out_columns + out_columns + out_columns % 2
    assert block.filtered_bytes >= 2 * 8 * written
    assert kinds(check(b.program(project))) == ["streamed_block"]


@pytest.mark.parametrize(
    ("inputs", "columns", "widened_together"),
    [(8, 7, [7]), (8, 56, [28, 28]), (16, 17, [8, 9]), (32, 14, [8, 6]), (64, 5, [3, 2])],
)
def test_a_row_is_widened_a_few_pixels_at_a_time(
    inputs: int, columns: int, widened_together: list[int]
) -> None:
    b = Builder(inputs, (3, columns, inputs))
    y = b.inverted_residual("block", b.input, 4)
    expand, depthwise_conv, project = (op for op in b.operators if isinstance(op, Conv2D))
    block = block_of(expand, depthwise_conv, project)
    assert block is not None
    assert block.expand is not None
    assert widened(block.expand, columns) == widened_together
    check(b.program(y))
