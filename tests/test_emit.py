"""The emitted sources: a whole model compiled for this machine equals the integer reference."""

import re
from pathlib import Path

import cortex_m4
import numpy as np
import pytest
import random_programs
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from native import ROOMY, NativeModel, compile_program, run_program
from random_programs import Builder

from hil.build import firmware
from hil.compiler import emit, reference
from hil.compiler.kernels.kernel import Choices
from hil.compiler.operators.conv2d import Conv2D, Residual
from hil.compiler.plan import Plan, make_plan, place
from hil.compiler.program import Program
from hil.config import board
from hil.errors import BuildError
from hil.paths import FIRMWARE

_WORD = re.compile(r"\w+", re.ASCII)


@pytest.fixture(scope="module")
def program() -> Program:
    return random_programs.face_m4(seed=1)


@pytest.fixture(scope="module")
def compiled(program: Program) -> tuple[NativeModel, Plan]:
    return compile_program(program)


def test_every_output_of_face_m4_equals_the_reference(
    program: Program, compiled: tuple[NativeModel, Plan]
) -> None:
    x = random_programs.image(program)
    expected = reference.run(program, x)
    assert expected.shape == (18_000,)
    assert expected.std() > 10
    assert np.array_equal(compiled[0].run(x), expected)


def test_a_second_run_on_another_image_is_not_touched_by_the_first(
    program: Program, compiled: tuple[NativeModel, Plan]
) -> None:
    for seed in (2, 3):
        x = random_programs.image(program, seed)
        assert np.array_equal(compiled[0].run(x), reference.run(program, x))


@pytest.mark.parametrize("band", [1, 2, 4])
@pytest.mark.parametrize("in_flash", [False, True])
def test_no_choice_of_the_schedule_changes_a_value(band: int, in_flash: bool) -> None:
    small = random_programs.face_m4(seed=5, rows=72, columns=64)
    choices = Choices(band, tables_in_flash=in_flash, weights_in_flash=in_flash)
    x = random_programs.image(small)
    y = run_program(small, x, place(small, ROOMY, choices))
    assert np.array_equal(y, reference.run(small, x))


def test_layers_bear_the_names_of_the_steps(compiled: tuple[NativeModel, Plan]) -> None:
    model, plan = compiled
    assert model.layer_names() == [step.name for step in plan.steps]


def test_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        small = random_programs.face_m4(seed=4, rows=48, columns=48)
        emit.write(small, make_plan(small, ROOMY), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_changed_weight_changes_the_outputs() -> None:
    x = None
    outputs = []
    for change in (0, 90):
        small = random_programs.face_m4(seed=4, rows=48, columns=48)
        stem = small.operators[0]
        assert isinstance(stem, Conv2D)
        stem.weight[0, 1, 1, 0] = change
        x = random_programs.image(small)
        outputs.append(compile_program(small)[0].run(x))
        assert np.array_equal(outputs[-1], reference.run(small, x))
    assert not np.array_equal(outputs[0], outputs[1])


def test_a_residual_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    b = Builder(0, (4, 4, 4))
    out = b.conv("wide", b.input, 4, residual=b.input)
    conv = b.operators[0]
    assert isinstance(conv, Conv2D)
    object.__setattr__(conv, "residual", Residual(b.input, 2**30, 20))
    program = b.program(out)
    with pytest.raises(BuildError, match="wide: its residual"):
        emit.write(program, make_plan(program, ROOMY), tmp_path)


WORDS = ["memcpy", "int8_t", "main", "0", "stages", "matmul", "a*/b", 'a"?\\', "größe", "INT32_MIN"]


def words(streamed: int) -> tuple[Program, Plan]:
    """Layers of several kernels, named as C, libc, the firmware or nobody names things."""
    b = Builder(5, (9, 8, 4))
    x = b.input
    for index, word in enumerate(WORDS):
        kernel = 3 if index % 2 else 1
        x = b.conv(word, x, 4 if index < 8 else 3, kernel, relu=bool(index % 3))
    program = b.program(x, name='a network called "main" */')
    return program, place(program, ROOMY, Choices(streamed=streamed))


@pytest.mark.parametrize("streamed", [0, 4])
def test_layers_may_be_named_as_things_in_c(streamed: int) -> None:
    program, plan = words(streamed)
    x = random_programs.image(program)
    model, _ = compile_program(program, plan)
    assert np.array_equal(model.run(x), reference.run(program, x))
    assert model.layer_names() == WORDS


def test_layers_may_be_named_as_things_in_assembly() -> None:
    program, plan = words(0)
    x = random_programs.image(program)
    (y,) = cortex_m4.run_program(program, x, plan=plan)
    assert np.array_equal(y, reference.run(program, x))


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.b", "a_b"), ("a.weights", "a"), ("a", "a_weights"), ("é", "ü")],
)
def test_two_layers_of_one_name_in_c_are_refused_by_name(
    first: str, second: str, tmp_path: Path
) -> None:
    b = Builder(5, (4, 4, 4))
    program = b.program(b.conv(second, b.conv(first, b.input, 4), 4))
    with pytest.raises(BuildError, match=f"the layers ({first} and {second}|{second} and {first})"):
        emit.write(program, make_plan(program, ROOMY), tmp_path)


def test_no_name_of_the_firmware_begins_as_those_of_layers_do(tmp_path: Path) -> None:
    """Names of layers are net_ and the name, behind a word where they are functions or strips."""
    program, plan = words(4)
    emit.write(program, plan, tmp_path)
    written = {word for path in tmp_path.iterdir() for word in _WORD.findall(path.read_text())}
    heads = {word.partition("net_")[0] + "net_" for word in written if "net_" in word}
    assert heads == {"net_", "run_net_", "row_net_", "strip_net_", "Lnet_"}
    image = firmware.build(tmp_path, board.load("stm32f439"), firmware.find_toolchain("zig"))
    with image.elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        linked = {symbol.name for symbol in table.iter_symbols()} - written
    sources = {path for ending in ("*.c", "*.h", "*.S") for path in FIRMWARE.rglob(ending)}
    ours = {word for path in sources for word in _WORD.findall(path.read_text(encoding="utf-8"))}
    assert len(linked) > 50
    assert "matmul" in ours
    assert [word for word in linked | ours if word.startswith(tuple(heads))] == []
