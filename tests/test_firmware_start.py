"""The built firmware's first milliseconds on an emulated chip that is as strict as silicon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import tiny_model

from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board
from hil.errors import BootError
from hil.link.client import Device
from hil.run import core_clock, plausible
from hil.targets.debugger import Debugger
from hil.targets.emulator import powered, serial_urls
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.target import EmulatedTarget, _find_probe

INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
BOARD = boards.load("stm32f439")
CRYSTAL = replace(BOARD, clock_source="hse", hse_hz=8_000_000)
DBGMCU_CR = 0xE004_2004
IDLE_S = 0.15


def image_for(board: Board, directory: Path) -> Image:
    return build(tiny_model.write(directory / "model"), board, find_toolchain("zig"))


def test_a_clock_from_outside_gives_the_same_speed(tmp_path: Path) -> None:
    board = replace(BOARD, clock_source="hse-bypass", hse_hz=25_000_000)
    image = image_for(board, tmp_path)
    with EmulatedTarget(board) as target:
        target.flash(image)
        target.reset()
        Device(target.serial(), timeout_s=120).expect(image)
        assert target.emulated.chip.rcc.core_hz == board.clock_hz
        assert target.emulated.chip.broken == ""


def test_a_clock_that_never_comes_is_a_boot_error_that_names_it(tmp_path: Path) -> None:
    image = image_for(CRYSTAL, tmp_path)
    with EmulatedTarget(replace(CRYSTAL, hse_hz=16_000_000)) as target:
        target.flash(image)
        target.reset()
        with pytest.raises(BootError, match="the PLL never locks"):
            Device(target.serial(), timeout_s=120).expect(image)


@pytest.mark.parametrize("source", ["hse", "hse-bypass"])
@pytest.mark.parametrize("hse_hz", [8_000_000, 0])
def test_without_its_crystal_it_runs_as_fast_from_the_internal_oscillator(
    tmp_path: Path, source: Literal["hse", "hse-bypass"], hse_hz: int
) -> None:
    board = replace(CRYSTAL, clock_source=source)
    image = image_for(board, tmp_path)
    with EmulatedTarget(replace(board, hse_hz=hse_hz)) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=120)
        device.expect(image)
        device.load_input(INPUT)
        assert device.run().cycles > 0
        assert target.emulated.chip.rcc.core_hz == board.clock_hz
        assert target.emulated.chip.broken == ""
        plausible.check_clock(board, target.debugger)
        assert core_clock.falls_back(board, target.debugger) is (hse_hz == 0)
        assert not core_clock.falls_back(BOARD, target.debugger)


def test_every_iteration_begins_with_empty_caches(tmp_path: Path) -> None:
    model = tiny_model.write(tmp_path / "model")
    source = (model / "model.c").read_text(encoding="utf-8")
    changed = source.replace("model_input_survives = false", "model_input_survives = true")
    (model / "model.c").write_text(changed, encoding="utf-8")
    image = build(model, BOARD, find_toolchain("zig"))
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=120)
        device.expect(image)
        device.load_input(INPUT)
        run = device.run(iterations=3)
        assert run.least_cycles == run.most_cycles


@contextmanager
def powered_board(flash: Path) -> Iterator[EmulatedBoard]:
    emulated = EmulatedBoard(BOARD, "start", make_clock=default_clock, flash_file=flash)
    powered.add(emulated)
    try:
        yield emulated
    finally:
        powered.remove(emulated)
        emulated.power_off()


def measured(emulated: EmulatedBoard, image: Image) -> list[int]:
    """Return each layer's cycles, and how far the counter stayed behind in a while of idleness."""
    chip = emulated.chip
    port = serial_urls.open_port(emulated.unique_id, BOARD.uart)
    try:
        device = Device(port, timeout_s=120)
        device.expect(image)
        device.load_input(INPUT)
        layers = [layer.cycles for layer in device.run().layers]

        def behind() -> int:
            with chip.paused():
                return (chip.clock.now() - chip.dwt.registers[4].read()) & 0xFFFF_FFFF

        before = behind()
        emulated.line("usart1").receive(1, IDLE_S)
        return [*layers, behind() - before]
    finally:
        port.close()


def test_cycles_are_the_same_with_a_debugger_behind_one_and_after_a_power_cycle(
    tmp_path: Path,
) -> None:
    image, flash = image_for(BOARD, tmp_path), tmp_path / "flash"
    with powered_board(flash) as emulated:
        debugger = Debugger(BOARD, _find_probe("start"), hint="")
        debugger.open()
        debugger.program(image.segments)
        debugger.reset()
        attached = measured(emulated, image)
        debugger.close()
        detached = measured(emulated, image)
        assert emulated.chip.bus.read(DBGMCU_CR, 1) == b"\x07"
    with powered_board(flash) as emulated:
        after_power_cycle = measured(emulated, image)
        left = emulated.chip.bus.read(DBGMCU_CR, 1)
    assert attached == detached == after_power_cycle
    assert attached[-1] == 0
    assert left == b"\x01"
