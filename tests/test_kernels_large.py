"""Convolutions of kernels larger than those of the paper, on the host and on the board."""

from collections.abc import Callable
from pathlib import Path

import cortex_m4
import numpy as np
import pytest
import random_programs
from native import ROOMY, run_program
from random_programs import Builder

from hil.build import firmware
from hil.compiler import emit, reference
from hil.compiler.plan import Budget, make_plan
from hil.compiler.program import Program
from hil.config import board as boards
from hil.link.client import Device
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f439")
LARGE = [17, 19, 25]


def plain(kernel: int) -> Program:
    """An odd number of outputs, which only the plain kernel takes."""
    b = Builder(kernel, (28, 28, 1))
    return b.program(b.conv("conv", b.input, 3, kernel))


def over_windows(kernel: int) -> Program:
    b = Builder(kernel, (27, 26, 1))
    return b.program(b.conv("conv", b.input, 2, kernel))


def depthwise(kernel: int) -> Program:
    b = Builder(kernel, (26, 27, 4))
    return b.program(b.conv("conv", b.input, 4, kernel, 2, depthwise=True))


def block(kernel: int) -> Program:
    b = Builder(kernel, (30, 27, 4))
    wide = b.conv("block.expand", b.input, 8, relu=True)
    filtered = b.conv("block.depthwise", wide, 8, kernel, depthwise=True, relu=True)
    return b.program(b.conv("block.project", filtered, 4, residual=b.input))


KINDS: dict[Callable[[int], Program], str] = {
    plain: "conv2d",
    over_windows: "windowed",
    depthwise: "conv2d",
    block: "inverted_residual",
}


@pytest.mark.parametrize("kernel", LARGE)
@pytest.mark.parametrize("make", KINDS)
def test_a_large_kernel_equals_the_reference(make: Callable[[int], Program], kernel: int) -> None:
    program = make(kernel)
    assert [step.kernel.name for step in make_plan(program, ROOMY).steps] == [KINDS[make]]
    x = random_programs.image(program, 1)
    assert np.array_equal(run_program(program, x), reference.run(program, x))


@pytest.mark.parametrize("kernel", LARGE)
@pytest.mark.parametrize("make", KINDS)
def test_a_large_kernel_s_cortex_m4_code_equals_the_reference(
    make: Callable[[int], Program], kernel: int
) -> None:
    program = make(kernel)
    x = random_programs.image(program, 1)
    (y,) = cortex_m4.run_program(program, x)
    assert np.array_equal(y, reference.run(program, x))


def test_a_kernel_larger_than_its_map_equals_the_reference() -> None:
    b = Builder(0, (5, 4, 2))
    program = b.program(b.conv("conv", b.input, 3, 19))
    x = random_programs.image(program, 1)
    assert np.array_equal(run_program(program, x), reference.run(program, x))


@pytest.mark.parametrize(("make", "kernel"), [(plain, 25), (block, 17)])
def test_a_large_kernel_runs_on_the_board(
    make: Callable[[int], Program], kernel: int, tmp_path: Path
) -> None:
    program = make(kernel)
    plan = make_plan(program, Budget.of(BOARD))
    emit.write(program, plan, tmp_path)
    image = firmware.build(tmp_path, BOARD, firmware.find_toolchain("zig"))
    x = random_programs.image(program, 1)
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=60)
        device.expect(image)
        device.load_input(x.tobytes())
        device.run()
        assert device.outputs() == reference.run(program, x).tobytes()
