"""What C functions take for granted: checked on the host and on request, free otherwise."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import native
import numpy as np
import pytest
import random_programs
from compilers import GCC_AT_NIGHT
from native import ROOMY, BrokenContractError
from random_programs import Builder

from hil import paths
from hil.build import firmware, toolchain
from hil.build.firmware import Image, build, find_toolchain
from hil.compiler import emit, reference
from hil.compiler.plan import Budget, Plan, make_plan
from hil.compiler.program import Program
from hil.config import board as boards
from hil.errors import FirmwareFault
from hil.link.client import Device
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f439")
KERNELS = sorted((paths.FIRMWARE / "kernels").glob("*.c"))
_OTHER_WIDTH = re.compile(r'^#include "(\w+\.c)"', re.MULTILINE)  # one source for both
_CONTRACT = re.compile(r"\bREQUIRES\((?:[^;]|\n)*?\);")


def many_kernels() -> Program:
    b = Builder(3, (26, 30, 3))
    stem = b.conv("stem", b.input, 8, 3, 2, relu=True)
    pooled = b.pool("pool", stem, 6, 2, (8, 8))
    block = b.inverted_residual("block", b.conv("shifted", pooled, 32, shift=2), 32)
    average = b.pool2d("average", block, "average", (2, 2))
    best = b.maxout("best", b.norm("norm", average), 3)
    return b.program(b.conv("odd", best, 3))


def image_of(program: Program, directory: Path, *, contracts: bool) -> Image:
    emit.write(program, make_plan(program, Budget.of(BOARD)), directory)
    return build(directory, BOARD, replace(find_toolchain("zig"), contracts=contracts))


def firmware_of(plan: Plan, folder: Path) -> Path:
    """Copy the firmware without the kernels that a plan's image leaves out: quicker to build."""
    clone = Path(shutil.copytree(paths.FIRMWARE, folder))
    used = {f"{name}.c" for step in plan.steps for name in step.kernel.files(step)}
    for source in (clone / "kernels").glob("*.c"):
        if source.name not in used:
            source.unlink()
    return clone


def take_firmware(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "FIRMWARE", folder)
    monkeypatch.setattr(toolchain, "_TOOLCHAINS", folder / "toolchains")


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_every_kernel_states_what_it_takes_for_granted(kernel: Path) -> None:
    text = kernel.read_text(encoding="utf-8")
    if one := _OTHER_WIDTH.search(text):
        text = kernel.with_name(one[1]).read_text(encoding="utf-8")
    assert _CONTRACT.search(text)


def test_there_are_ten_contracts_in_a_thousand_lines() -> None:
    sources = [path.read_text(encoding="utf-8") for path in paths.FIRMWARE.rglob("*.[ch]")]
    contracts = sum(len(_CONTRACT.findall(source)) for source in sources)
    assert contracts >= sum(source.count("\n") for source in sources) / 100


@pytest.mark.parametrize("compiler", GCC_AT_NIGHT)
def test_contracts_leave_no_byte_in_an_image_that_does_not_check_them(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = many_kernels()
    plan = make_plan(program, Budget.of(BOARD))
    emit.write(program, plan, tmp_path / "model")
    stated = build(tmp_path / "model", BOARD, find_toolchain(compiler))
    clone = firmware_of(plan, tmp_path / "firmware")
    for path in clone.rglob("*.c"):
        text = path.read_text(encoding="utf-8")
        bare = _CONTRACT.sub(lambda found: "\n" * found[0].count("\n"), text)
        path.write_text(bare, encoding="utf-8")
        assert "REQUIRES" not in bare
    lists = clone / "CMakeLists.txt"  # what only contracts read is now unused, which is no fault
    lists.write_text(lists.read_text(encoding="utf-8").replace("-Werror", "-Wno-unused"))
    take_firmware(clone, monkeypatch)
    without = build(tmp_path / "model", BOARD, find_toolchain(compiler))
    assert stated.elf != without.elf
    assert [(s.address, programmed(stated, i)) for i, s in enumerate(stated.segments)] == [
        (s.address, programmed(without, i)) for i, s in enumerate(without.segments)
    ]


def programmed(image: Image, segment: int) -> bytes:
    """What is programmed, but for the build id, which lines of source go into."""
    return image.segments[segment].data.replace(image.build_id, bytes(len(image.build_id)))


def test_a_broken_contract_on_the_host_names_file_and_condition() -> None:
    b = Builder(0, (4, 4, 3))
    program = b.program(b.maxout("most", b.input, 0))
    x = random_programs.image(program)
    with pytest.raises(BrokenContractError, match=r"maxout\.c:\d+: 1 <= layer->groups"):
        native.run_program(program, x, make_plan(program, ROOMY))


def test_a_broken_contract_on_the_board_is_a_fault_that_names_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = Builder(0, (4, 4, 3))
    program = b.program(b.maxout("most", b.input, 0))
    plan = make_plan(program, Budget.of(BOARD))
    take_firmware(firmware_of(plan, tmp_path / "firmware"), monkeypatch)
    image = image_of(program, tmp_path / "model", contracts=True)
    named = r"broken contract, firmware/kernels/maxout\.c:\d+: 1 <= layer->groups"
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=60)
        device.expect(image)
        device.load_input(random_programs.image(program).tobytes())
        with pytest.raises(FirmwareFault, match=named):
            device.run()
        device.expect(image)


@pytest.mark.slow
def test_an_image_that_checks_contracts_computes_the_same_and_takes_longer(tmp_path: Path) -> None:
    program = many_kernels()
    x = random_programs.image(program)
    cycles = []
    for contracts in (False, True):
        image = image_of(program, tmp_path / str(contracts), contracts=contracts)
        with EmulatedTarget(BOARD) as target:
            target.flash(image)
            target.reset()
            device = Device(target.serial(), timeout_s=60)
            device.expect(image)
            device.load_input(x.tobytes())
            cycles.append(device.run(per_layer=False).cycles)
            outputs = np.frombuffer(device.outputs(), np.int8)
            assert np.array_equal(outputs, reference.run(program, x))
    assert cycles[0] < cycles[1]


def test_figures_of_images_that_check_contracts_compare_with_no_others() -> None:
    plain = find_toolchain("zig")
    checking = replace(plain, contracts=True)
    assert str(checking) == f"{plain} with contracts"
    assert checking.fingerprint != plain.fingerprint
