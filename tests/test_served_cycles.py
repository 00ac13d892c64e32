"""Cycles on the path of a physical board: with a debugger, behind one, and after a power cycle."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_model

from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board
from hil.link.client import Device
from hil.targets import lock, ports
from hil.targets.emulator.serve import Served, served
from hil.targets.probe import ServedTarget

INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
BOARD = boards.load("stm32f439")
PATIENCE_S = 60.0
DBGMCU_CR = 0xE004_2004
BY_FIRMWARE, BY_DEBUGGER = 1, 7  # DBG_SLEEP; and DBG_STOP and DBG_STANDBY, as pyOCD sets them


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    model = tiny_model.write(tmp_path_factory.mktemp("model") / "model")
    return build(model, BOARD, find_toolchain("zig"))


@contextmanager
def powered(folder: Path) -> Iterator[tuple[Served, Board]]:
    """Serve a board that keeps its flash; its power goes when the block ends."""
    flash = folder / "flash"
    with served(BOARD, "kept", port=0, link=folder / "tty", flash_file=flash) as one:
        yield one, replace(BOARD, units=(one.unit,), lock_wait_s=PATIENCE_S)


def cycles(device: Device, image: Image) -> tuple[int, ...]:
    device.expect(image)
    device.load_input(INPUT)
    run = device.run()
    assert device.outputs() == tiny_model.expected(INPUT)
    return run.cycles, *(layer.cycles for layer in run.layers)


def test_cycles_are_the_same_attached_detached_and_detached_after_a_power_cycle(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "locks"))
    with powered(tmp_path) as (board, kind):
        with ServedTarget(kind) as target:
            target.flash(image)
            target.reset()
            attached = cycles(Device(target.serial(), timeout_s=PATIENCE_S), image)
        # The target has let go of probe and port: a port of our own, and nobody on the debug port.
        with closing(ports.open_exclusively(board.unit.port, BOARD.baud)) as port:
            detached = cycles(Device(port, timeout_s=PATIENCE_S), image)
        before = board.emulated.chip.bus.read(DBGMCU_CR, 1)[0]
    with powered(tmp_path) as (board, _):
        with closing(ports.open_exclusively(board.unit.port, BOARD.baud)) as port:
            after_power_cycle = cycles(Device(port, timeout_s=PATIENCE_S), image)
        after = board.emulated.chip.bus.read(DBGMCU_CR, 1)[0]
    assert attached == detached == after_power_cycle
    assert (before, after) == (BY_DEBUGGER, BY_FIRMWARE)
