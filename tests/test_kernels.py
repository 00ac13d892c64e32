"""The kernels, compiled for this machine, against the integer reference on random programs."""

from typing import Literal

import numpy as np
import pytest
import random_programs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from native import ROOMY, run_program
from random_programs import Builder

from hil.compiler import reference
from hil.compiler.integers.exact import Whole
from hil.compiler.kernels import panelled_block
from hil.compiler.kernels.kernel import Choices
from hil.compiler.operators.fastgrnn import sweep
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.plan import make_plan, place
from hil.compiler.program import Int8, Padding, Program

# Each example is compiled, so a failing one is shown as it was drawn.
few = settings(
    phases=(Phase.generate,),
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 12)


def check(program: Program, *inputs: Int8) -> None:
    for x in inputs or (random_programs.image(program, 1),):
        assert np.array_equal(run_program(program, x), reference.run(program, x))


def extremes(program: Program) -> tuple[Int8, Int8, Int8]:
    shape = program.input.shape
    low = np.full(shape, -128, np.int8)
    high = np.full(shape, 127, np.int8)
    mixed = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), shape)
    return low, high, mixed


@given(seed=seeds, data=st.data())
@few
def test_a_convolution_equals_the_reference(seed: int, data: st.DataObject) -> None:
    b = Builder(
        seed,
        (
            data.draw(st.integers(3, 14)),
            data.draw(st.integers(3, 14)),
            data.draw(st.integers(1, 9)),
        ),
    )
    depthwise = data.draw(st.booleans())
    kernel = data.draw(st.integers(1, 3))
    padding = Padding(*[data.draw(st.integers(0, kernel - 1)) for _ in range(4)])
    channels = b.input_shape[2] if depthwise else data.draw(st.integers(1, 9))
    out = b.conv(
        "conv", b.input, channels, kernel, data.draw(st.integers(1, 3)), padding,
        depthwise=depthwise, relu=data.draw(st.booleans()), shift=data.draw(st.integers(0, 4)),
    )  # fmt: skip
    check(b.program(out))


@given(
    seed=seeds,
    channels=st.sampled_from([8, 16, 24]),
    out=st.sampled_from([8, 16, 32]),
    rows=sides,
    columns=sides,
)
@few
def test_a_pointwise_convolution_with_a_residual_equals_the_reference(
    seed: int, channels: int, out: int, rows: int, columns: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    other = b.conv("other", b.input, out)
    check(b.program(b.conv("conv", b.input, out, residual=other), other))


def test_sums_at_both_ends_saturate_like_the_reference() -> None:
    for seed, depthwise in ((0, False), (1, True)):
        b = Builder(seed, (6, 7, 32), extremes=True)
        out = b.conv("conv", b.input, 32, 3, depthwise=depthwise, relu=depthwise)
        program = b.program(out)
        values = reference.run(program, extremes(program)[2])
        assert values.min() == -128
        assert (values >= 60).any()
        check(program, *extremes(program))


@given(
    seed=seeds,
    rows=st.integers(1, 9),
    columns=st.integers(1, 13),
    channels=st.sampled_from([4, 8, 16]),
    out=st.sampled_from([4, 8, 16]),
    stride=st.integers(1, 2),
    expansion=st.integers(2, 3),
)
@few
def test_an_inverted_residual_equals_its_three_convolutions(  # noqa: PLR0917
    seed: int, rows: int, columns: int, channels: int, out: int, stride: int, expansion: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    y = b.inverted_residual("block", b.input, out, stride, expansion)
    check(b.program(y))


@given(
    seed=seeds,
    rows=st.integers(1, 7),
    columns=st.integers(1, 9),
    channels=st.sampled_from([4, 8, 16]),
    out=st.sampled_from([4, 8, 16]),
    stride=st.integers(1, 2),
    panel_bytes=st.sampled_from([1, 300, 5000]),
)
@few
def test_a_block_by_panels_in_each_row_equals_its_three_convolutions(  # noqa: PLR0917
    seed: int, rows: int, columns: int, channels: int, out: int, stride: int, panel_bytes: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    program = b.program(b.inverted_residual("block", b.input, out, stride, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panelled_block, "_PANEL_BYTES", panel_bytes)
        plan = place(program, ROOMY, Choices(weights_by_row=True))
        assert [step.kernel.name for step in plan.steps] == ["panelled_block"]
        x = random_programs.image(program)
        assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


@given(seed=seeds, rows=sides, columns=sides, channels=st.sampled_from([4, 8, 16]))
@few
def test_a_block_without_expansion_equals_its_two_convolutions(
    seed: int, rows: int, columns: int, channels: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    x = b.conv("stem", b.input, channels, 3)
    filtered = b.conv("block.depthwise", x, channels, 3, depthwise=True, relu=True)
    program = b.program(b.conv("block.project", filtered, channels, residual=x))
    block = make_plan(program, ROOMY).steps[-1]
    assert block.outputs[0].name == "block.project"
    assert [op.name for op in block.operators] == ["block.depthwise", "block.project"]
    check(program, random_programs.image(program), *extremes(program))


@given(
    seed=seeds, rows=st.integers(3, 9), columns=st.integers(3, 9), channels=st.sampled_from([8, 16])
)
@few
def test_a_chain_of_blocks_over_their_own_inputs_equals_the_reference(
    seed: int, rows: int, columns: int, channels: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    x = b.inverted_residual("one", b.input, channels)
    x = b.inverted_residual("two", x, channels // 2)
    x = b.inverted_residual("three", x, channels, 2)
    check(b.program(x))


@given(
    seed=seeds,
    rows=sides,
    columns=sides,
    channels=st.sampled_from([4, 8, 12]),
    widths=st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=4),
    normalised=st.booleans(),
)
@few
def test_heads_in_one_product_equal_their_convolutions(  # noqa: PLR0917
    seed: int, rows: int, columns: int, channels: int, widths: list[int], normalised: bool
) -> None:
    b = Builder(seed, (rows, columns, channels))
    x = b.norm("norm", b.input) if normalised else b.input
    maps = [b.conv(f"head{i}", x, width, 3) for i, width in enumerate(widths)]
    maps[0] = b.maxout("most", maps[0], widths[0] // 2 + 1)
    program = b.program(*maps)
    step, *others = make_plan(program, ROOMY).steps
    assert step.kernel.name in {"heads", "winograd"}
    assert not others
    check(program, random_programs.image(program), *extremes(program))


@given(
    seed=seeds,
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    channels=st.sampled_from([2, 3, 4, 6, 8]),
    kernel=st.tuples(st.integers(2, 5), st.integers(1, 3)),
    edges=st.lists(st.integers(0, 4), min_size=4, max_size=4),
    widths=st.lists(st.sampled_from([2, 4]), min_size=1, max_size=3),
)
@few
def test_convolutions_over_a_ring_of_rows_equal_the_reference(  # noqa: PLR0917
    seed: int,
    size: tuple[int, int],
    channels: int,
    kernel: tuple[int, int],
    edges: list[int],
    widths: list[int],
) -> None:
    rows = kernel[0]
    stride = min(kernel) if channels % 2 == 0 else 2  # windows begin at words
    b = Builder(seed, (*size, channels))
    padding = Padding(*(min(edge, rows - 1) for edge in edges))
    maps = [b.conv(f"conv{i}", b.input, n, rows, stride, padding) for i, n in enumerate(widths)]
    program = b.program(*maps)
    step, *others = make_plan(program, ROOMY).steps
    assert step.kernel.name in {"heads", "winograd"}
    assert not others
    check(program, random_programs.image(program), *extremes(program))


@pytest.mark.parametrize("size", [(40, 56), (43, 47), (64, 32), (17, 20)])
@pytest.mark.parametrize("channels", [4, 3])
def test_a_convolution_streamed_into_rnnpool_equals_the_two_apart(
    size: tuple[int, int], channels: int
) -> None:
    b = Builder(sum(size), (*size, 1))
    stem = b.conv("stem", b.input, channels, 3, 2, relu=channels == 4)
    program = b.program(b.pool("pool", stem, 8, 4))
    check(program, random_programs.image(program), *extremes(program))


@given(
    seed=seeds,
    channels=st.integers(1, 5),
    patch=st.integers(2, 8),
    stride=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    extra=st.integers(0, 2),
    units=st.sampled_from([(16, 16), (8, 8), (4, 6), (16, 8)]),
    dense=st.booleans(),
    repeat=st.integers(0, 1),
)
@few
def test_rnnpool_equals_the_reference(  # noqa: PLR0917
    seed: int,
    channels: int,
    patch: int,
    stride: int,
    grid: tuple[int, int],
    extra: int,
    units: tuple[int, int],
    dense: bool,
    repeat: int,
) -> None:
    rows, columns = (patch + (n - 1) * stride + min(extra, stride - 1) for n in grid)
    b = Builder(seed, (rows, columns, channels))
    y = b.pool("pool", b.input, patch, stride, units, dense=dense, repeat=repeat)
    check(b.program(y))


@given(
    seed=seeds,
    patch=st.integers(2, 9),
    stride=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    units=st.sampled_from([(16, 16), (8, 4), (4, 6), (6, 16), (5, 4)]),
    dense=st.booleans(),
    table_in_flash=st.booleans(),
)
@few
def test_rnnpool_that_keeps_summaries_equals_the_reference(  # noqa: PLR0917
    seed: int,
    patch: int,
    stride: int,
    grid: tuple[int, int],
    units: tuple[int, int],
    dense: bool,
    table_in_flash: bool,
) -> None:
    rows, columns = (patch + (n - 1) * stride for n in grid)
    b = Builder(seed, (rows, columns, 3))
    program = b.program(b.pool("pool", b.input, patch, stride, units, dense=dense))
    choices = Choices(keeps_summaries=True, summary_table_in_flash=table_in_flash)
    plan = place(program, ROOMY, choices)
    held = {name.partition("/")[2] for name in plan.buffers}
    assert ("row_products" in held) == (units[0] % 2 != 0)
    assert "row_table" in held
    assert ("summary_table" in held) != table_in_flash
    x = random_programs.image(program, 1)
    assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


@given(seed=seeds, patch=st.integers(2, 8), stride=st.integers(1, 8), dense=st.booleans())
@few
def test_sweeps_that_patches_share_give_what_each_patch_alone_gives(
    seed: int, patch: int, stride: int, dense: bool
) -> None:
    b = Builder(seed, (patch + 2 * stride, patch + 3 * stride, 3))
    y = b.pool("pool", b.input, patch, stride, (16, 8), dense=dense, repeat=0)
    program = b.program(y)
    pool = program.operators[0]
    assert isinstance(pool, RNNPool)
    x = random_programs.image(program, 1)
    shared = run_program(program, x).reshape(y.shape)
    pixels = x.astype(np.float64) - program.input.zero_point
    for py, px in np.ndindex(y.shape[:2]):
        window = pixels[py * stride :, px * stride :][:patch, :patch]
        assert np.array_equal(shared[py, px], pool_patch(pool, window))


def pool_patch(pool: RNNPool, patch: Whole) -> Int8:
    """One patch's summary, (channels,), as the paper's algorithm 1 defines it."""
    rows = [sweep(pool.row, row.T) for row in patch]
    columns = [sweep(pool.row, patch[:, j].T) for j in range(patch.shape[1])]
    parts = [rows, rows[::-1], columns, columns[::-1]]
    h = np.concatenate([sweep(pool.summary, np.stack(p, axis=-1)) for p in parts])
    offset = np.tile(pool.offset.astype(np.int64), 4)
    y: Int8 = np.clip((h.astype(np.int64) + offset) >> pool.shift, -128, 127).astype(np.int8)
    return y


@given(
    seed=seeds,
    channels=st.sampled_from([1, 2, 3, 4, 8]),
    patch=st.integers(1, 4),
    grid=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    extra=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    units=st.sampled_from([1, 2, 3, 4, 6, 16, 20]),
    along=st.sampled_from(["columns", "rows"]),
    index_bits=st.integers(5, 12),
    extreme=st.booleans(),
)
@few
def test_a_gru_sweep_equals_the_reference(  # noqa: PLR0917
    seed: int,
    channels: int,
    patch: int,
    grid: tuple[int, int],
    extra: tuple[int, int],
    units: int,
    along: Literal["columns", "rows"],
    index_bits: int,
    extreme: bool,
) -> None:
    rows, columns = (n * patch + min(more, patch - 1) for n, more in zip(grid, extra, strict=True))
    b = Builder(seed, (rows, columns, channels), extremes=extreme)
    program = b.program(b.sweep("sweep", b.input, units, patch, along, index_bits))
    check(program, random_programs.image(program), *extremes(program))


@pytest.mark.parametrize(("tables", "weights"), [(False, True), (True, False), (True, True)])
def test_a_gru_sweep_that_reads_flash_equals_the_reference(tables: bool, weights: bool) -> None:
    b = Builder(3, (9, 13, 4))
    vertical = b.sweep("vertical", b.input, 6, 2, "columns")
    program = b.program(b.sweep("horizontal", vertical, 6, 1, "rows"))
    plan = place(program, ROOMY, Choices(tables_in_flash=tables, weights_in_flash=weights))
    assert ("vertical/table" in plan.buffers, "vertical/weights" in plan.buffers) == (
        not tables,
        not weights,
    )
    x = random_programs.image(program)
    assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


@pytest.mark.parametrize("channels", [3, 8])
def test_a_renet_over_its_own_input_equals_the_reference(channels: int) -> None:
    b = Builder(0, (25, 33, 3))
    x = b.conv("stem", b.input, channels, 3, 1, relu=True)
    vertical = b.sweep("vertical", x, 6, 4, "columns")
    program = b.program(b.conv("last", b.sweep("horizontal", vertical, 6, 1, "rows"), 4))
    plan = make_plan(program, ROOMY)
    assert [s.kernel.name for s in plan.steps[1:3]] == ["renet", "renet"]
    stem, swept = (plan.buffers[name] for name in ("stem", "vertical"))
    assert stem.offset <= swept.offset < stem.end
    check(program, random_programs.image(program), *extremes(program))


@given(seed=seeds, rows=sides, columns=sides, channels=st.sampled_from([1, 3, 8, 32, 64]))
@few
def test_l2_normalisation_equals_the_reference(
    seed: int, rows: int, columns: int, channels: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    program = b.program(b.norm("norm", b.input))
    zero = np.full(program.input.shape, program.input.zero_point, np.int8)
    check(program, random_programs.image(program), zero, *extremes(program))


@given(seed=seeds, rows=sides, columns=sides, channels=st.integers(2, 6), groups=st.integers(1, 6))
@few
def test_max_out_equals_the_reference(
    seed: int, rows: int, columns: int, channels: int, groups: int
) -> None:
    b = Builder(seed, (rows, columns, channels))
    check(b.program(b.maxout("most", b.input, min(groups, channels))))


@given(
    seed=seeds,
    rows=st.integers(3, 12),
    columns=st.integers(3, 12),
    channels=st.sampled_from([1, 3, 4, 8, 20]),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 4),
    shift=st.integers(0, 3),
    extreme=st.booleans(),
    data=st.data(),
)
@few
def test_poolings_equal_the_reference(  # noqa: PLR0917
    seed: int,
    rows: int,
    columns: int,
    channels: int,
    window: tuple[int, int],
    stride: int,
    shift: int,
    extreme: bool,
    data: st.DataObject,
) -> None:
    down, across = (st.integers(0, n // 2) for n in window)
    padding = Padding(*[data.draw(edge) for edge in (down, across, down, across)])
    b = Builder(seed, (rows, columns, channels), extremes=extreme)
    average = b.pool2d("average", b.input, "average", window, stride, padding, shift)
    best = b.pool2d("best", b.input, "max", window, stride, padding)
    program = b.program(average, best)
    check(program, random_programs.image(program), *extremes(program))


@pytest.mark.parametrize("size", [(7, 7), (16, 16), (17, 19), (1, 1)])
@pytest.mark.parametrize("channels", [5, 8])
def test_a_global_average_equals_the_reference(size: tuple[int, int], channels: int) -> None:
    b = Builder(0, (*size, channels))
    program = b.program(b.pool2d("average", b.input, "average", size, shift=1))
    check(program, random_programs.image(program), *extremes(program))


def test_poolings_over_their_own_inputs_equal_the_reference() -> None:
    b = Builder(0, (24, 20, 8))
    x = b.pool2d("best", b.input, "max", (3, 3), 1, Padding(1, 1, 1, 1))
    x = b.pool2d("average", x, "average", (3, 2), 1, Padding(1, 1, 1, 0))
    program = b.program(b.pool2d("whole", x, "average", x.shape[:2]))
    assert make_plan(program, ROOMY).arena_bytes < 2 * program.input.bytes
    check(program, random_programs.image(program), *extremes(program))
