"""The planner: what is fused, what a plan holds in memory, what it refuses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import random_programs
from hypothesis import given, settings
from hypothesis import strategies as st
from native import ROOMY
from random_programs import Builder

from hil import models
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Budget, Plan, make_plan, pareto, place, table
from hil.compiler.plan.cost import estimate
from hil.compiler.plan.pack import Item, live_bytes, pack
from hil.compiler.plan.schedule import schedule
from hil.compiler.plan.stack import all_in_bytes
from hil.compiler.program import Program
from hil.compiler.synthetic import synthetic_program
from hil.config import board
from hil.errors import BuildError, MemoryLimitError, UsageError

PAPER_RAM_BYTES = 188_160  # RNNPool-Face-M4's, "188 KB": section 4.3


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    count = draw(st.integers(1, 14))
    drawn: list[Item] = []
    for index in range(count):
        first = draw(st.integers(0, 9))
        last = draw(st.integers(first, 10))
        slack = {}
        overlays = draw(st.booleans())
        if drawn and overlays:
            other = draw(st.integers(0, index - 1))
            slack[other] = draw(st.integers(-600, 600))
        drawn.append(Item(draw(st.integers(1, 1000)), first, last, slack))
    return drawn


@given(items())
@settings(max_examples=60, deadline=None)
def test_no_two_live_buffers_overlap_but_as_their_slack_allows(drawn: list[Item]) -> None:
    offsets, size = pack(drawn)
    for a, one in enumerate(drawn):
        assert 0 <= offsets[a] <= size - one.bytes
        for b, two in enumerate(drawn[:a]):
            if one.last < two.first or two.last < one.first:
                continue
            apart = offsets[a] + one.bytes <= offsets[b] or offsets[b] + two.bytes <= offsets[a]
            allowed = b in one.slack and offsets[a] <= offsets[b] + one.slack[b]
            assert apart or allowed


@given(items())
@settings(max_examples=30, deadline=None)
def test_a_packing_never_needs_less_than_what_lives_at_once(drawn: list[Item]) -> None:
    strict = [Item(i.bytes, i.first, i.last) for i in drawn]
    assert pack(strict)[1] >= live_bytes(strict)


def test_packing_the_same_buffers_twice_gives_the_same_offsets() -> None:
    drawn = [Item(100 + 7 * i, i % 5, i % 5 + i % 3) for i in range(14)]
    assert pack(drawn) == pack(drawn)


@pytest.mark.parametrize(("slack", "offset"), [({}, 112), ({0: 16}, 0)])
def test_a_buffer_lies_over_another_one_as_far_as_its_slack_allows(
    slack: dict[int, int], offset: int
) -> None:
    assert pack([Item(100, 0, 1), Item(50, 1, 2, slack)]) == ([0, offset], max(100, offset + 50))


@pytest.fixture(scope="module")
def face_plan() -> Plan:
    return make_plan(random_programs.face_m4(), Budget.of(board.load("stm32f439")))


def test_face_m4_needs_less_memory_than_the_paper_with_the_image_in_it(face_plan: Plan) -> None:
    assert face_plan.input_bytes == 76_800
    assert face_plan.arena_bytes <= 153_600 < PAPER_RAM_BYTES


def test_no_expanded_map_is_stored(face_plan: Plan) -> None:
    assert not [name for name in face_plan.offsets if name.endswith((".expand", ".depthwise"))]
    blocks = [step for step in face_plan.steps if step.kernel.name == "streamed_block"]
    assert [len(step.operators) for step in blocks] == [3, 3, 3, 3]


def test_the_outputs_stand_in_one_buffer_in_order(face_plan: Plan) -> None:
    program = random_programs.face_m4()
    at = face_plan.output_offset
    for tensor in program.output.tensors:
        assert face_plan.offsets[tensor.name] == at
        at += tensor.bytes
    assert face_plan.output_bytes == program.output.count == 18_000


def test_a_block_whose_expanded_map_is_read_elsewhere_is_not_fused() -> None:
    b = Builder(0, (6, 6, 4))
    wide = b.conv("expand", b.input, 8)
    filtered = b.conv("depthwise", wide, 8, 3, depthwise=True)
    narrow = b.conv("project", filtered, 4)
    plan = make_plan(b.program(narrow, wide), ROOMY)
    assert [s.kernel.name for s in plan.steps] == ["pointwise", "conv2d", "pointwise"]


def test_the_input_survives_where_nothing_lies_over_it() -> None:
    b = Builder(0, (4, 4, 4))
    first = b.conv("first", b.input, 4)
    kept = make_plan(b.program(b.conv("second", first, 4, residual=b.input)), ROOMY)
    assert kept.input_survives
    assert not make_plan(random_programs.face_m4(), ROOMY).input_survives


def test_the_frontier_trades_cycles_for_memory() -> None:
    program = random_programs.face_m4()
    budget = Budget.of(board.load("stm32f439"))
    points = pareto(program, budget)
    assert len(points) >= 2
    for faster, smaller in pairwise(points):
        assert faster.cycles < smaller.cycles
        assert faster.ram_bytes > smaller.ram_bytes
    assert make_plan(program, budget, "speed").ram_bytes == points[0].ram_bytes
    assert make_plan(program, budget, "ram").ram_bytes == points[-1].ram_bytes


def test_a_cap_in_bytes_is_kept_or_refused() -> None:
    program = random_programs.face_m4()
    budget = Budget.of(board.load("stm32f439"))
    points = pareto(program, budget)
    cap = points[0].all_in_bytes - 1
    assert all_in_bytes(make_plan(program, budget, cap)) <= cap
    with pytest.raises(MemoryLimitError, match="1 B more than the"):
        make_plan(program, budget, points[-1].all_in_bytes - 1)


def test_working_memory_that_does_not_fit_the_ccm_goes_to_the_sram() -> None:
    program = random_programs.face_m4()
    tight = Budget(196_608, 36_000)
    assert make_plan(program, tight).ccm_bytes <= 36_000


def test_a_model_too_large_says_which_region_lacks_how_many_bytes() -> None:
    program = random_programs.face_m4()
    with pytest.raises(MemoryLimitError, match=r"needs \d+,\d+ B of SRAM, \d+,\d+ B more than the"):
        make_plan(program, Budget(60_000, 65_536), streams=False)


@pytest.mark.parametrize("name", ["mnv1_rnnpool", "densenet121_avgpool"])
def test_a_network_too_large_for_the_board_lacks_memory_and_no_kernel(name: str) -> None:
    program = synthetic_program(models.structure(name))
    steps = schedule(program, Choices())
    assert not {"conv2d", "inverted_residual"} & {step.kernel.name for step in steps}
    with pytest.raises(MemoryLimitError) as caught:
        place(program, Budget.of(board.load("stm32f439")), Choices(weights_in_flash=True))
    assert caught.value.stage == "plan"


def wide_block() -> Program:
    b = Builder(0, (7, 7, 96))
    return b.program(b.inverted_residual("block", b.input, 96, expansion=6), name="wide")


def test_weights_that_do_not_fit_the_memory_go_through_it_by_panels() -> None:
    program = wide_block()  # of 110,592 weights, twice as many bytes in memory
    whole = make_plan(program, Budget(1 << 20, 1 << 19))
    tight = make_plan(program, Budget(100_000, 30_000))
    assert [step.kernel.name for step in whole.steps] == ["streamed_block"]
    assert [step.kernel.name for step in tight.steps] == ["expand_filter", "pointwise_panels"]
    assert all(0 < step.panel < 576 for step in tight.steps)
    assert tight.ccm_bytes <= 30_000


def test_where_no_panel_fits_weights_are_read_in_flash() -> None:
    plan = make_plan(wide_block(), Budget(120_000, 1_000))
    assert plan.choices.weights_in_flash


def test_an_image_too_large_for_the_flash_says_by_how_many_bytes() -> None:
    needed = make_plan(wide_block(), Budget(100_000, 30_000)).flash_bytes
    assert make_plan(wide_block(), Budget(100_000, 30_000, needed)).flash_bytes == needed
    with pytest.raises(MemoryLimitError, match=f"needs {needed:,} B of flash, 7 B more") as raised:
        make_plan(wide_block(), Budget(100_000, 30_000, needed - 7))
    assert (raised.value.lacking, raised.value.stage) == (7, "plan")
    assert "most of flash: block.depthwise" in str(raised.value)


def test_a_schedule_that_fits_the_flash_is_taken_where_a_faster_one_does_not() -> None:
    program = random_programs.face_m4()
    roomy = Budget(1 << 20, 40_000)
    whole = make_plan(program, roomy)
    assert not whole.choices.weights_in_flash
    small = Budget(1 << 20, 40_000, whole.flash_bytes)
    assert make_plan(program, small).flash_bytes <= whole.flash_bytes
    assert {p.plan.choices.weights_in_flash for p in pareto(program, roomy)} == {False, True}
    assert {p.plan.choices.weights_in_flash for p in pareto(program, small)} == {False}


def test_every_region_that_lacks_is_named() -> None:
    plan = make_plan(wide_block(), Budget(100_000, 30_000))
    tight = Budget(plan.arena_bytes - 9, 30_000, plan.flash_bytes - 7)
    with pytest.raises(MemoryLimitError, match="B of SRAM, 9 B more than") as raised:
        place(wide_block(), tight, plan.choices)
    assert f", and {plan.flash_bytes:,} B of flash, 7 B more than" in str(raised.value)
    assert raised.value.lacking == 16


def test_only_the_steps_that_need_most_memory_give_up_cycles() -> None:
    program = random_programs.face_m4()
    budget = Budget.of(board.load("stm32f439"))
    plan = make_plan(program, budget, 131_072)
    assert all_in_bytes(plan) <= 131_072
    saving = dict(plan.choices.apart)
    assert {"pool", "blocks.0"} <= set(saving)
    assert not any(name.startswith("blocks") and name != "blocks.0" for name in saving)
    assert saving["pool"].keeps_summaries
    fast, small = make_plan(program, budget), make_plan(program, budget, "ram")
    assert estimate(fast) < estimate(plan) < estimate(small)
    assert plan.ram_bytes < fast.ram_bytes - 30_000


def test_of_several_misses_the_nearest_is_told() -> None:
    program = random_programs.face_m4()
    budget = Budget(90_000, 30_000)
    with pytest.raises(MemoryLimitError) as raised:
        make_plan(program, budget)
    lacking = []
    for choices in (Choices(), Choices(band=4), Choices(tables_in_flash=True)):
        with pytest.raises(MemoryLimitError) as missed:
            place(program, budget, choices)
        lacking.append(missed.value.lacking)
    assert raised.value.lacking <= min(lacking)
    assert len(set(lacking)) > 1


def test_an_operator_without_a_kernel_is_named() -> None:
    from dataclasses import dataclass

    from hil.compiler.program import Operator, Output

    @dataclass(frozen=True, eq=False)
    class Fold(Operator):
        pass

    b = Builder(0, (4, 4, 4))
    out = b.tensor("out", (4, 4, 4))
    program = Program("odd", b.input, (Fold("fold", (b.input,), out, 0),), Output((out,)))
    with pytest.raises(BuildError, match="no kernel computes Fold"):
        make_plan(program, ROOMY)


def test_the_table_shows_every_buffer_over_the_steps_it_lives(face_plan: Plan) -> None:
    heads, rows = table(face_plan)
    assert heads[:4] == ["buffer", "region", "offset", "bytes"]
    assert heads[4:] == [step.name for step in face_plan.steps]
    assert {row[0] for row in rows} == set(face_plan.buffers)
    alive = np.array([[cell == "#" for cell in row[4:]] for row in rows])
    for row, live in zip(rows, alive, strict=True):
        buffer = face_plan.buffers[row[0]]
        assert list(np.flatnonzero(live)) == list(range(buffer.first, buffer.last + 1))


def test_an_image_that_the_first_step_reads_whole_is_not_streamed() -> None:
    program = synthetic_program(models.structure("renet_layer", rows=16, columns=16))
    with pytest.raises(UsageError, match=r"its first step, .* \(renet\), reads it whole"):
        make_plan(program, ROOMY, streams=True)


def test_vww_base_streams_through_an_arena_of_32_kib() -> None:
    program = synthetic_program(models.structure("vww_base"))
    plan = make_plan(program, Budget.of(board.load("stm32f439")), streams=True)
    assert plan.arena_bytes <= 32_768


def test_streamed_steps_in_ccm_leave_more_of_the_arena_at_no_cost() -> None:
    program = synthetic_program(models.structure("vww_base"))
    budget = Budget.of(board.load("stm32f439"))
    held = Choices(streamed=3, ccm_bytes=43_008, weights_in_flash=True)
    before = place(program, budget, held)
    plan = place(program, budget, replace(held, streams_in_ccm=True))
    assert plan.arena_bytes < before.arena_bytes
    assert plan.ram_bytes <= before.ram_bytes + 64
    assert estimate(plan) <= estimate(before)


def test_memory_that_lacks_without_streaming_is_told_with_what_streaming_needs() -> None:
    program = synthetic_program(models.structure("vww_maxpool"))
    small = Budget(130_000, 65_536)
    streaming = make_plan(program, small, "ram", streams=True)
    with pytest.raises(MemoryLimitError) as refused:
        make_plan(program, small, streams=False)
    assert "the image comes in row by row" in refused.value.hint
    assert f"{streaming.ram_bytes:,} B are enough" in refused.value.hint
