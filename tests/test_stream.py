"""Steps that run row by row, on this machine: their results, and the rows that are kept."""

import numpy as np
import pytest
import random_programs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from native import ROOMY, run_program
from random_programs import Builder

from hil.compiler import reference
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Budget, Plan, make_plan, place
from hil.compiler.plan.schedule import schedule
from hil.compiler.plan.stream import can_stream
from hil.compiler.program import Padding, Program
from hil.errors import MemoryLimitError


def face_quant(seed: int, rows: int = 52, columns: int = 56) -> Program:
    """Face-Quant in small: two convolutions, heads on their map, a pooling, blocks, heads."""
    b = Builder(seed, (rows, columns, 3), full_range=True)
    stem = b.conv("stem.1", b.conv("stem.0", b.input, 4, 3, 2, relu=True), 4, 3, relu=True)
    near = b.norm("norms.0", stem)
    conf = b.conv("conf.0", b.conv("conf.0.reduce", near, 8, 3, 2, relu=True), 4, 3)
    loc = b.conv("loc.0", b.conv("loc.0.reduce", near, 8, 3, 2, relu=True), 4, 3)
    most = b.maxout("max_out", conf, 3)
    x = b.pool("pool", stem, 8, 4, (8, 8), dense=True)
    x = b.inverted_residual("blocks.0", x, 16)
    x = b.inverted_residual("blocks.1", x, 16)
    far = b.inverted_residual("blocks.2", x, 24, 2)
    second = [b.conv("conf.1", far, 2, 3), b.conv("loc.1", far, 4, 3)]
    return b.program(most, second[0], loc, second[1], name="face_quant")


DEPTHS = range(1, len(schedule(face_quant(0), Choices())) + 1)


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_depth_of_streaming_changes_a_value(depth: int) -> None:
    program = face_quant(seed=3)
    plan = place(program, ROOMY, Choices(streamed=depth))
    for seed in (1, 2):
        x = random_programs.image(program, seed)
        assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


@pytest.mark.parametrize("band", [1, 2, 4])
def test_bands_of_a_streamed_pooling_change_no_value(band: int) -> None:
    program = face_quant(seed=4)
    plan = place(program, ROOMY, Choices(band, tables_in_flash=True, streamed=max(DEPTHS)))
    x = random_programs.image(program)
    assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


def test_every_kind_of_step_but_the_plain_block_can_stream() -> None:
    b = Builder(5, (40, 44, 1), full_range=True)
    x = b.pool("pool", b.conv("stem", b.input, 4, 3, 2, relu=True), 6, 4)
    x = b.pool2d("largest", b.conv("wide", b.conv("one", x, 16), 32, 7), "max", (2, 2), 1)
    x = b.conv("odd", b.conv("deep", x, 32, 3, depthwise=True), 5, 3)
    x = b.maxout("best", b.norm("norm", x), 2)
    x = b.pool2d("mean", x, "average", (x.shape[0], x.shape[1]))
    program = b.program(x)
    steps = schedule(program, Choices())
    assert {step.kernel.name for step in steps if can_stream(step)} == {
        "rnnpool", "pointwise", "windowed", "pool2d", "conv2d", "l2norm",
        "maxout",
    }  # fmt: skip
    plan = place(program, ROOMY, Choices(streamed=len(steps)))
    image = random_programs.image(program)
    assert np.array_equal(run_program(program, image, plan), reference.run(program, image))


@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(9, 20),
    kernel=st.integers(1, 4),
    strides=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    edges=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
@settings(
    phases=(Phase.generate,),
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
def test_any_window_stride_and_padding_may_stream(
    seed: int, rows: int, kernel: int, strides: list[int], edges: list[int]
) -> None:
    b = Builder(seed, (rows, 11, 2))
    pad = Padding(*(min(edge, kernel - 1) for edge in edges))
    x = b.conv("first", b.input, 4, kernel, strides[0], pad)
    same = b.conv("same", x, 4, 3, residual=x)
    y = b.pool2d("pool", same, "max", (2, 1), strides[1])
    program = b.program(y, same)
    plan = place(program, ROOMY, Choices(streamed=3))
    image = random_programs.image(program)
    assert np.array_equal(run_program(program, image, plan), reference.run(program, image))


def test_only_the_rows_under_a_window_are_kept() -> None:
    b = Builder(0, (60, 16, 2), full_range=True)
    x = b.conv("first", b.input, 4, 3, 2, relu=True)
    x = b.inverted_residual("block", x, 4)
    program = b.program(b.conv("last", x, 4, 5))
    plan = place(program, ROOMY, Choices(streamed=3))
    assert plan.strips == {"input": 2, "first": 2, "block.project": 3, "last": 1}


def test_a_map_that_is_read_later_is_whole() -> None:
    program = face_quant(0)
    plan = place(program, ROOMY, Choices(streamed=2))
    assert plan.strips["stem.1"] == program.operators[1].output.shape[0]


def needed(program: Program, *, streams: bool) -> Plan:
    return make_plan(program, ROOMY, "ram", streams=streams)


def test_an_image_that_does_not_fit_is_streamed_without_being_asked() -> None:
    program = face_quant(1, rows=160, columns=160)
    resident, streamed = (needed(program, streams=s).ram_bytes for s in (False, True))
    assert streamed < resident
    tight = Budget(streamed + 4096, 0)
    with pytest.raises(MemoryLimitError, match="more than"):
        make_plan(program, tight, streams=False)
    assert make_plan(program, tight).streams
    assert not make_plan(program, ROOMY).streams


def test_what_fits_no_way_says_what_it_lacks() -> None:
    with pytest.raises(MemoryLimitError, match="more than the 4,096 B there are"):
        make_plan(face_quant(1), Budget(4096, 4096))
