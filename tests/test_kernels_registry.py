"""Every kernel of the registry: its C, its Cortex-M4 code, its bytes, its work and its cycles."""

import cortex_m4
import numpy as np
import pytest
import random_programs
from kernel_cases import CASES
from native import run_program

from hil.compiler import reference
from hil.compiler.kernels.cycles import cycles_of
from hil.compiler.kernels.kernel import Kernel
from hil.compiler.kernels.registry import CYCLES, KERNELS
from hil.compiler.program import Int8, Program
from hil.paths import FIRMWARE

OFF = 2.0  # times that an estimate may be off, in a step of a few thousand cycles


def by_name(kernel: Kernel) -> str:
    return kernel.name


def inputs(program: Program) -> tuple[Int8, ...]:
    shape = program.input.shape
    mixed = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), shape)
    return random_programs.image(program, 1), mixed


every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=by_name)


@every_kernel
def test_a_kernel_is_named_as_its_c_file_and_has_a_case_that_it_computes(kernel: Kernel) -> None:
    assert (FIRMWARE / "kernels" / f"{kernel.name}.c").is_file()
    assert kernel.name in CASES, "tests/kernel_cases.py: add a program that it computes"
    case = CASES[kernel.name]
    assert kernel in [step.kernel for step in case.plan(case.program()).steps]


def test_no_two_kernels_have_one_name() -> None:
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS) == len(CASES)


@every_kernel
def test_a_kernel_s_c_equals_the_reference(kernel: Kernel) -> None:
    case = CASES[kernel.name]
    program = case.program()
    for x in inputs(program):
        got = run_program(program, x, case.plan(program))
        assert np.array_equal(got, reference.run(program, x))


@every_kernel
def test_a_kernel_s_cortex_m4_code_equals_the_reference(kernel: Kernel) -> None:
    case = CASES[kernel.name]
    program = case.program()
    outputs = cortex_m4.run_program(program, *inputs(program), plan=case.plan(program))
    for x, y in zip(inputs(program), outputs, strict=True):
        assert np.array_equal(y, reference.run(program, x))


@every_kernel
def test_a_kernel_counts_its_constants_to_the_byte(kernel: Kernel) -> None:
    case = CASES[kernel.name]
    plan = case.plan(case.program())
    for step in (step for step in plan.steps if step.kernel is kernel):
        stored = sum(constant.values.nbytes for constant in kernel.code(plan.site(step)).constants)
        assert kernel.constant_bytes(step, case.choices) == stored


@every_kernel
def test_a_kernel_counts_work_that_the_table_has_cycles_for(kernel: Kernel) -> None:
    case = CASES[kernel.name]
    plan = case.plan(case.program())
    for step in plan.steps:
        work = kernel.work(plan.site(step)) if step.kernel is kernel else {}
        assert set(work) <= set(CYCLES)
        assert all(count > 0 for count in work.values())


@every_kernel
def test_a_kernel_s_estimated_cycles_are_near_the_measured_ones(kernel: Kernel) -> None:
    case = CASES[kernel.name]
    program = case.program()
    plan = case.plan(program)
    measured = cortex_m4.measure(program, random_programs.image(program), plan=plan).layers
    for step, layer in zip(plan.steps, measured, strict=True):
        estimate = cycles_of(step.kernel.work(plan.site(step)), CYCLES)
        print(f"{step.kernel.name}: {layer.cycles:,} cycles, {estimate / layer.cycles - 1:+.0%}")
        if step.kernel is kernel:
            assert 1 / OFF <= estimate / layer.cycles <= OFF
