"""What an image takes of the flash, before it is built."""

import subprocess
from pathlib import Path

import cortex_m4
import kernel_cases
import numpy as np
import pytest
import random_programs
from elftools.elf.elffile import ELFFile
from native import ROOMY
from random_programs import Builder

from hil.build import firmware
from hil.build.toolchain import Toolchain
from hil.compiler import emit
from hil.compiler.code.thumb import function_bytes
from hil.compiler.kernels.code_size import STAGE_BYTES, STREAM_BYTES, name_bytes
from hil.compiler.kernels.kernel import Choices
from hil.compiler.kernels.registry import FILE_BYTES, KERNELS
from hil.compiler.plan import Budget, make_plan, pareto, place
from hil.compiler.program import Program
from hil.config import board
from hil.paths import FIRMWARE
from hil.studies.bench.code_size import code_bytes, of_model, step_bytes, stream_bytes, streaming


def assembled_bytes(toolchain: Toolchain, source: Path) -> dict[str, int]:
    """Assemble kernels.S; each function's bytes, to a multiple of four."""
    built = source.with_suffix(".o")
    compiler = [str(toolchain.program), *(["cc"] if toolchain.name == "zig" else [])]
    command = [*compiler, *toolchain.flags, "-c", str(source), "-o", str(built)]
    subprocess.run(command, check=True, capture_output=True)
    with built.open("rb") as stream:
        return {
            section.name.removeprefix(".text."): -(-section["sh_size"] // 4) * 4
            for section in ELFFile(stream).iter_sections()
            if section.name.startswith(".text.")
        }


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
    whole, in_flash, panels = (
        sum(step.kernel.constant_bytes(step, choices) for step in plan.steps)
        for choices, plan in steps.items()
    )
    kinds = {step.kernel.name for step in steps[CHOICES[2]].steps}
    assert kinds >= {"expand_filter", "pointwise_panels"}
    assert panels < whole < in_flash


TOOLCHAINS = ["zig", pytest.param("gcc", marks=pytest.mark.gcc)]
ABOVE_BYTES = {"zig": 4096, "gcc": 12_288}  # gcc makes smaller code of the same C


def toolchain_of(name: str) -> Toolchain:
    if name == "gcc" and not cortex_m4.has_gcc():
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    return firmware.find_toolchain(name)


IMAGES: dict[str, tuple[Program, Choices]] = {
    "face_m4": (random_programs.face_m4(), Choices()),
    "face_m4 streamed": (random_programs.face_m4(), Choices(streamed=3)),
    "many kinds": (many_kinds(), Choices()),
    "panels": (many_kinds(), Choices(panel_bytes=1500)),
}


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
@pytest.mark.parametrize("name", IMAGES)
def test_the_estimate_is_never_below_the_image_and_close_above_it(
    tmp_path: Path, name: str, toolchain: str
) -> None:
    compiler = toolchain_of(toolchain)
    program, choices = IMAGES[name]
    chip = board.load("stm32f439")
    plan = place(program, Budget.of(chip), choices)
    emit.write(program, plan, tmp_path)
    linked = firmware.build(tmp_path, chip, compiler).footprint.flash_total_bytes
    above = plan.flash_bytes - linked
    print(f"{name}, {toolchain}: {linked:,} B, estimated {plan.flash_bytes:,} B, {above:+,} B")
    assert 0 <= above <= ABOVE_BYTES[toolchain]


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_code_is_counted_as_the_assembler_makes_it(tmp_path: Path, toolchain: str) -> None:
    compiler = toolchain_of(toolchain)
    program, choices = IMAGES["many kinds"]
    plan = place(program, ROOMY, choices)
    emit.write(program, plan, tmp_path)
    counted = {
        f"{step.name}: {name}": size
        for step in plan.steps
        for name, size in function_bytes(
            step.kernel.assembly(step.name, step.operators, step.panel)
        ).items()
    }
    assembled = assembled_bytes(compiler, tmp_path / "kernels.S")
    assert {name.partition(": ")[2]: size for name, size in counted.items()} == assembled


def test_every_kernel_says_what_its_c_takes() -> None:
    files = {file.stem for file in (FIRMWARE / "kernels").glob("*.c")}
    assert set(FILE_BYTES) == files


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_no_compiler_makes_more_of_a_kernels_c_than_is_stated(toolchain: str) -> None:
    measured = code_bytes([toolchain_of(toolchain)])
    too_much = {file: size for file, size in measured.items() if size > FILE_BYTES[file]}
    assert not too_much, "state these as code_bytes of the kernel or part"


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_no_compiler_makes_more_of_a_step_than_its_kernel_states(toolchain: str) -> None:
    cases = ((case, case.program()) for case in kernel_cases.CASES.values())
    planned = [(program, case.plan(program)) for case, program in cases]
    planned += [(program, place(program, ROOMY, how)) for program, how in IMAGES.values()
                if not how.streamed]  # fmt: skip
    measured = step_bytes(planned, [toolchain_of(toolchain)])
    assert set(measured) == {kernel.name for kernel in KERNELS}
    stated = {kernel.name: kernel.step_bytes for kernel in KERNELS}
    too_much = {kernel: size for kernel, size in measured.items() if size > stated[kernel]}
    assert not too_much, "state these as step_bytes of the kernel"


def named(name: str) -> Program:
    b = Builder(7, (9, 11, 5))
    return b.program(b.conv(name, b.input, 5, 3))


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_a_name_takes_the_bytes_that_are_counted_for_it(toolchain: str) -> None:
    compiler = toolchain_of(toolchain)
    programs = [named(name) for name in ("c", "features", "stage." * 10)]
    plans = [place(program, ROOMY, Choices()) for program in programs]
    totals = []
    for program, plan in zip(programs, plans, strict=True):
        sizes = of_model(program, plan, compiler)
        names = sum(size for section, size in sizes.items() if ".rodata.str" in section)
        assert names == name_bytes(plan.steps[0].name)
        totals.append(sum(sizes.values()))
    estimates = [plan.flash_bytes for plan in plans]
    assert np.diff(estimates).tolist() == np.diff(totals).tolist() == [8, 52]


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_no_compiler_makes_more_of_streaming_than_is_stated(toolchain: str) -> None:
    compiler = [toolchain_of(toolchain)]
    assert stream_bytes(compiler) <= STREAM_BYTES
    for program, depth in ((random_programs.face_m4(), 9), (many_kinds(), 4)):
        added = streaming(program, depth, compiler)
        assert 0 < added.each <= STAGE_BYTES
        assert 0 < added.once <= 256


@pytest.mark.gcc
def test_what_is_stated_of_a_kernels_c_is_what_compilers_make_of_it() -> None:
    both = [toolchain_of("zig"), toolchain_of("gcc")]
    assert code_bytes(both) == FILE_BYTES


def test_a_depth_of_streaming_that_the_flash_cannot_hold_leaves_the_others() -> None:
    program = random_programs.face_m4(rows=48, columns=64)
    roomy = Budget(sram_bytes=120_000, ccm_bytes=48_000)
    points = [point.plan for point in pareto(program, roomy, streams=True)]
    sizes = [plan.flash_bytes for plan in points]
    assert len({plan.choices.streamed for plan in points}) > 1
    smallest = Budget(roomy.sram_bytes, roomy.ccm_bytes, min(sizes))
    plan = make_plan(program, smallest, streams=True)
    assert plan.flash_bytes <= min(sizes)
