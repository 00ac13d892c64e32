"""One image answers on whichever serial port it is greeted on, and drives no other pin."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_model

from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board
from hil.errors import BootError, FirmwareFault, LinkError
from hil.link.client import Device
from hil.targets import serial_speed
from hil.targets.emulator import serial_urls
from hil.targets.emulator.target import EmulatedTarget

INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
BOARD = boards.load("stm32f439")
DISCOVERY = boards.load("stm32f429i_disc1")
UARTS = [port.uart for port in BOARD.ports]
NOISE = bytes(i * 101 % 256 for i in range(3000))
PATIENCE_S = 60.0
INPUT_PIN, PULL_UP = 0, 1
SDRAM = 12  # the alternate function


def image_for(board: Board, directory: Path, crash: str = "") -> Image:
    model = tiny_model.write(directory / "model")
    source = model / "model.c"
    text = source.read_text(encoding="utf-8")
    assert "void model_init(void) {" in text
    text = text.replace("void model_init(void) {", "void model_init(void) {" + crash)
    source.write_text(text, encoding="utf-8")
    return build(model, board, find_toolchain("zig"))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return image_for(BOARD, tmp_path_factory.mktemp("image"))


@pytest.fixture
def target(image: Image) -> Iterator[EmulatedTarget]:
    with EmulatedTarget(BOARD) as opened:
        opened.flash(image)
        opened.reset()
        yield opened


def wired(target: EmulatedTarget, uart: str, timeout_s: float = PATIENCE_S) -> Device:
    """Return a client on the board's serial port, which is wired to a USART."""
    unique_id = target.emulated.unique_id
    return Device(serial_urls.open_port(unique_id, uart), timeout_s=timeout_s)


def speeds(target: EmulatedTarget) -> dict[str, float]:
    """Return the baud rate of every serial port of the board, by name."""
    chip = target.emulated.chip
    return {port.uart: chip.usarts[port.uart].baud(chip.rcc.core_hz) for port in target.board.ports}


@pytest.mark.parametrize("name", ["stm32f439", "nucleo_l4r5zi"])
def test_the_debugger_slows_every_port_on_which_firmware_listens(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    image = image_for(board, tmp_path)
    with EmulatedTarget(board) as opened:
        opened.flash(image)
        opened.reset()
        wired(opened, board.uart).expect(image)  # once it has set them up
        assert speeds(opened) == pytest.approx(dict.fromkeys(speeds(opened), board.baud), rel=0.02)
        serial_speed.slow(board, opened.debugger, 115_200)
        assert speeds(opened) == pytest.approx(dict.fromkeys(speeds(opened), 115_200), rel=0.01)
        assert wired(opened, board.uart).expect(image)


def drives(target: EmulatedTarget) -> list[str]:
    """Return the USARTs whose TX pin is no input."""
    ports = target.emulated.chip.ports
    modes = {
        port.uart: ports[port.tx[1]].registers[0].read() >> 2 * int(port.tx[2:]) & 3
        for port in BOARD.ports
    }
    return [uart for uart, mode in modes.items() if mode != INPUT_PIN]


def runs(device: Device, image: Image) -> int:
    """Hold a whole run to what it must give, and return its cycles."""
    device.expect(image)
    device.load_input(INPUT)
    cycles = device.run().cycles
    assert device.outputs() == tiny_model.expected(INPUT)
    return cycles


def test_one_image_runs_on_each_port_and_drives_that_one_alone(
    target: EmulatedTarget, image: Image
) -> None:
    cycles = set()
    for uart in UARTS:
        target.reset()  # behind the first, the port of the run before is known yet
        cycles.add(runs(wired(target, uart), image))
        assert drives(target) == [uart]
    assert len(cycles) == 1


def test_nothing_is_driven_before_a_whole_frame_came_in(target: EmulatedTarget) -> None:
    lines = {uart: target.emulated.line(uart) for uart in UARTS}
    for line in lines.values():
        line.send(NOISE)
        while line:
            line.receive(1, 0.01)  # until the firmware has heard all of it
    assert drives(target) == []
    assert not any(line.in_waiting() for line in lines.values())
    for port in BOARD.ports:
        gpio = target.emulated.chip.ports[port.rx[1]]
        assert gpio.registers[0x0C].read() >> 2 * int(port.rx[2:]) & 3 == PULL_UP


@pytest.mark.parametrize("uart", UARTS)
def test_noise_on_the_other_ports_changes_nothing(
    target: EmulatedTarget, image: Image, uart: str
) -> None:
    device = wired(target, uart)
    others = [target.emulated.line(one) for one in UARTS if one != uart]
    for line in others:
        line.send(NOISE)
    runs(device, image)
    for line in others:
        line.send(NOISE)
    runs(device, image)
    assert drives(target) == [uart]
    heard = device.statistics()
    assert (heard.damaged_frames, heard.framing_errors) == (0, 0)


def test_a_reset_is_told_on_the_port_that_was_talked_on_and_not_after_power_off(
    target: EmulatedTarget, image: Image
) -> None:
    device = wired(target, "usart3")
    runs(device, image)
    line = target.emulated.line("usart3")
    target.reset()
    said = line.receive(8, PATIENCE_S)
    assert said[:2] == b"\0\x02"  # a frame begins: Booted, though nobody has greeted yet
    with pytest.raises(LinkError, match="NOT_GREETED"):
        device.memory()
    assert drives(target) == ["usart3"]
    with target.emulated.chip.paused():
        ccm = BOARD.ccm
        assert ccm is not None
        target.emulated.chip.load(ccm.address, bytes(ccm.bytes))  # as power-off may leave it
    target.reset()
    assert drives(target) == []


def test_a_board_that_forbids_a_port_never_listens_there(tmp_path: Path) -> None:
    image = image_for(DISCOVERY, tmp_path)
    with EmulatedTarget(DISCOVERY) as target:
        target.flash(image)
        target.reset()
        assert runs(wired(target, "usart2"), image)
        target.reset()
        with pytest.raises(BootError, match="did not say hello"):
            wired(target, "usart3", timeout_s=2.0).expect(image)
        gpio = target.emulated.chip.ports["D"]
        assert [gpio.function(pin) for pin in (8, 9)] == [SDRAM, SDRAM]
        assert runs(wired(target, "usart1"), image)


def test_a_crash_before_any_greeting_is_told_on_the_port_that_asks(tmp_path: Path) -> None:
    image = image_for(BOARD, tmp_path, '__asm__ volatile("udf #0");')
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        with pytest.raises(FirmwareFault, match="UNDEFINSTR"):
            wired(target, "usart3").expect(image)


def test_a_chip_that_does_not_start_is_told_on_the_port_that_asks(tmp_path: Path) -> None:
    crystal = replace(BOARD, clock_source="hse", hse_hz=8_000_000)
    image = image_for(crystal, tmp_path)
    with EmulatedTarget(replace(crystal, hse_hz=16_000_000)) as target:
        target.flash(image)
        target.reset()
        with pytest.raises(BootError, match="the PLL never locks"):
            wired(target, "usart2").expect(image)
