"""What an image takes of the flash, before it is built."""

from pathlib import Path

import cortex_m4
import pytest
import random_programs
from native import ROOMY
from random_programs import Builder

from hil.build import firmware
from hil.compiler import emit
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Budget, make_plan, place
from hil.compiler.program import Program
from hil.config import board


def many_kinds() -> Program:
    b = Builder(3, (26, 30, 3))
    stem = b.conv("stem", b.input, 8, 3, 2, relu=True)
    pooled = b.pool("pool", stem, 6, 2, (8, 8))
    shifted = b.conv("shifted", pooled, 32, shift=2)
    block = b.inverted_residual("block", shifted, 32)
    strided = b.conv("strided", block, 6, 3, 2)
    average = b.pool2d("average", strided, "average", strided.shape[:2])
    filtered = b.conv("filtered", average, 6, depthwise=True)
    return b.program(filtered, b.conv("odd", filtered, 3))


CHOICES = [Choices(), Choices(weights_in_flash=True), Choices(panel_bytes=1500)]


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize(
    "program", [many_kinds(), random_programs.face_m4(), random_programs.face_m4(dense=True)]
)
def test_constants_are_counted_to_the_byte(program: Program, choices: Choices) -> None:
    plan = place(program, ROOMY, choices)
    for step in plan.steps:
        constants = step.kernel.code(plan.site(step)).constants
        stored = sum(constant.values.nbytes for constant in constants)
        assert step.kernel.constant_bytes(step, choices) == stored, step.name


def test_panels_keep_the_weights_narrow() -> None:
    steps = {c: place(many_kinds(), ROOMY, c) for c in CHOICES}
    whole, in_flash, panels = (plan.flash_bytes for plan in steps.values())
    kinds = {step.kernel.name for step in steps[CHOICES[2]].steps}
    assert kinds >= {"expand_filter", "pointwise_panels"}
    assert panels < whole < in_flash


@pytest.mark.parametrize("toolchain", ["zig", pytest.param("gcc", marks=pytest.mark.gcc)])
def test_the_estimate_is_a_little_above_the_image(tmp_path: Path, toolchain: str) -> None:
    if toolchain == "gcc" and not cortex_m4.has_gcc():
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    program = random_programs.face_m4()
    chip = board.load("stm32f439")
    plan = make_plan(program, Budget.of(chip))
    emit.write(program, plan, tmp_path)
    built = firmware.build(tmp_path, chip, firmware.find_toolchain(toolchain)).footprint
    assert 0 <= plan.flash_bytes - built.flash_total_bytes < 16_384
