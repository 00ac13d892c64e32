"""Numbers that the firmware's headers and the compiler share are stated once, in the headers."""

import re
from pathlib import Path

import cortex_m4
import numpy as np
import pytest
import random_programs
from native import ROOMY, run_program
from random_programs import Builder

from hil import limits
from hil.compiler import emit, reference
from hil.compiler.plan import make_plan
from hil.compiler.program import Program
from hil.errors import BuildError
from hil.limits import limit
from hil.paths import FIRMWARE

PAGE = Path(__file__).parent.parent / "docs" / "protocol.md"


def test_a_limit_is_what_its_header_says() -> None:
    stated = {name: value for path in limits.HEADERS for name, value in limits.read(path).items()}
    assert len(stated) >= 10
    assert {name: limit(name) for name in stated} == stated


def test_an_unknown_limit_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BuildError, match=r"HEADS_MOST_EARS; known are .*HEADS_MOST_PARTS"):
        limit("HEADS_MOST_EARS")


@pytest.mark.parametrize("line", ["MOST = 1 << 4,", "MOST = 16", "most = 16,", "", "MOST = 0x10,"])
def test_a_header_that_cannot_be_read_is_no_header_of_limits(tmp_path: Path, line: str) -> None:
    header = tmp_path / "limits.h"
    header.write_text(f"enum {{\n    LEAST = 1,\n    {line}\n}};\n", encoding="utf-8")
    with pytest.raises(BuildError, match="no `NAME = number,`"):
        limits.read(header)


def test_no_other_file_of_the_firmware_states_a_limit() -> None:
    names = {name for path in limits.HEADERS for name in limits.read(path)}
    for path in sorted(FIRMWARE.rglob("*.[ch]*")):
        if path not in limits.HEADERS and path.is_file():
            stated = set(re.findall(r"\b(\w+) = \d", path.read_text(encoding="utf-8")))
            assert not stated & names, path


def test_the_page_on_the_link_says_how_many_layers_can_be_counted() -> None:
    assert f"room to count {limit('MODEL_MOST_LAYERS')} layers" in PAGE.read_text(encoding="utf-8")


def pooled(units: tuple[int, int]) -> Program:
    b = Builder(1, (6, 6, 2))
    return b.program(b.pool("pool", b.input, 4, 2, units, repeat=0))


@pytest.mark.parametrize("units", [(128, 4), (4, 128)])
def test_cells_of_as_many_units_as_there_is_room_for_equal_the_reference(
    units: tuple[int, int],
) -> None:
    assert max(units) == limit("FASTGRNN_MOST_UNITS")
    program = pooled(units)
    x = random_programs.image(program)
    assert np.array_equal(run_program(program, x), reference.run(program, x))


@pytest.mark.parametrize("units", [(129, 4), (4, 129)])
def test_a_cell_of_more_units_than_there_is_room_for_is_refused_by_name(
    units: tuple[int, int],
) -> None:
    with pytest.raises(BuildError, match=r"pool has 129 units.*room for 128\n.*FASTGRNN_MOST_UNI"):
        make_plan(pooled(units), ROOMY)


@pytest.mark.parametrize("inputs", [32, 34])
def test_pixels_of_many_channels_are_widened_within_their_room(inputs: int) -> None:
    """Cells of 32 inputs have code that takes widened pixels; those of 34 go through plain C."""
    assert limit("FASTGRNN_MOST_WIDENED_INPUTS") == 32
    b = Builder(1, (6, 6, inputs))
    program = b.program(b.pool("pool", b.input, 4, 2, (16, 16), repeat=0))
    x = random_programs.image(program)
    (y,) = cortex_m4.run_program(program, x)
    assert np.array_equal(y, reference.run(program, x))


def chain(layers: int) -> Program:
    b = Builder(1, (2, 2, 2))
    x = b.input
    for index in range(layers):
        x = b.maxout(f"layer{index}", x, 1)
    return b.program(x)


def test_as_many_layers_as_can_be_counted_are_emitted_and_no_more(tmp_path: Path) -> None:
    most = limit("MODEL_MOST_LAYERS")
    for layers in (most, most + 1):
        program = chain(layers)
        plan = make_plan(program, ROOMY)
        assert len(plan.steps) == layers
        if layers == most:
            emit.write(program, plan, tmp_path)
            continue
        with pytest.raises(BuildError, match=rf"random has {layers} layers.*room for {most}\n"):
            emit.write(program, plan, tmp_path)


def normalised(channels: int) -> Program:
    b = Builder(1, (1, 1, channels))
    return b.program(b.norm("norm", b.input))


def test_a_sum_of_as_many_squares_as_fit_equals_the_reference_and_more_are_refused(
    tmp_path: Path,
) -> None:
    most = limit("L2NORM_MOST_CHANNELS")
    program = normalised(most)
    for value in (-128, 127):
        x = np.full(program.input.shape, value, np.int8)
        assert np.array_equal(run_program(program, x), reference.run(program, x))
    program = normalised(most + 1)
    with pytest.raises(BuildError, match=r"norm has 32,769 channels"):
        emit.write(program, make_plan(program, ROOMY), tmp_path)


def test_convolutions_share_a_product_up_to_as_many_as_there_is_room_for() -> None:
    most = limit("HEADS_MOST_PARTS")
    b = Builder(1, (6, 7, 4))
    program = b.program(*(b.conv(f"head{i}", b.input, 2, 3) for i in range(most + 1)))
    assert [len(step.outputs) for step in make_plan(program, ROOMY).steps] == [most, 1]
    x = random_programs.image(program)
    assert np.array_equal(run_program(program, x), reference.run(program, x))
