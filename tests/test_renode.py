"""The Renode target, against a stand-in that fails as asked and, where there is one, the real."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import renodes
import tiny_model
from serial import SerialException, serial_for_url

from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board
from hil.errors import FlashError, MeasurementError, ProbeError, UsageError
from hil.link.client import Device
from hil.targets import find
from hil.targets.renode import target as renode_target
from hil.targets.renode.monitor import Monitor
from hil.targets.renode.target import RenodeTarget

INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
BOARD = boards.load("stm32f439")
SOON_S = 60.0


def board_with(renode: str) -> Board:
    return BOARD.on_desk(probe_id=None, port=None, renode=renode)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    model = tiny_model.write(tmp_path_factory.mktemp("model"))
    return build(model, BOARD, find_toolchain("zig"))


@contextmanager
def greeted(renode: str, image: Image) -> Iterator[tuple[RenodeTarget, Device]]:
    with RenodeTarget(board_with(renode)) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=SOON_S)
        device.expect(image)
        yield target, device


def failure(renode: str, image: Image) -> MeasurementError:
    """Return the error with which a run ends."""
    with pytest.raises(MeasurementError) as caught:
        run(renode, image)
    return caught.value


def run(renode: str, image: Image) -> bytes:
    with greeted(renode, image) as (_, device):
        device.load_input(INPUT)
        device.run()
        return device.outputs()


def test_a_model_runs_in_renode(tmp_path: Path, image: Image) -> None:
    with greeted(renodes.stand_in(tmp_path), image) as (target, device):
        device.load_input(INPUT)
        assert [layer.cycles for layer in device.run().layers] == [1000, 2000]
        assert device.outputs() == tiny_model.expected(INPUT)
        assert target.version == "1.16.1.6550"


def test_it_is_found_by_name_and_counts_instructions() -> None:
    assert find("renode") is RenodeTarget
    assert RenodeTarget.timing_version() == "instructions"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "dies at start",
            "[probe at start-up] Renode ended with status 2; it last said: stand-in:",
        ),
        ("old", "[probe at start-up] this is Renode 1.14.0.1, and 1.16 or later is needed"),
        ("ports taken", "[probe at start-up] Renode takes no port for the UART: There was"),
        ("refuses elf", "[flash at load] Renode refuses 'machine Reset': There was"),
        ("dies on load", "[probe at load] Renode ended with status 3; it last said:"),
        ("dies while running", "[link at input loaded] the serial port failed: Renode ended with"),
        ("garbage only", "[link at reset] the board cannot be understood"),
    ],
)
def test_a_fault_is_told_with_its_stage(
    fault: str, told: str, tmp_path: Path, image: Image
) -> None:
    assert str(failure(renodes.stand_in(tmp_path, fault), image)).startswith(told)


def test_what_renode_said_as_it_died_is_told(tmp_path: Path, image: Image) -> None:
    error = failure(renodes.stand_in(tmp_path, "dies while running"), image)
    assert "status 3; " in error.what
    assert error.what.endswith("stand-in: the core was lost")


@pytest.mark.parametrize(("fault", "stage"), [("silent", "start-up"), ("no prompt", "prompt")])
def test_a_renode_that_does_not_answer_is_given_up(fault: str, stage: str, tmp_path: Path) -> None:
    monitor = Monitor((renodes.stand_in(tmp_path, fault),))
    try:
        with pytest.raises(ProbeError, match="in time") as caught:
            monitor.start(deadline_s=2.0)
    finally:
        monitor.close()
    assert caught.value.stage == stage


def test_a_load_that_does_not_end_is_given_up(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renode_target, "_LOAD_DEADLINE_S", 0.5)
    error = failure(renodes.stand_in(tmp_path, "hangs on load"), image)
    assert error.stage == "load"
    assert "'machine Reset' in time" in error.what


def test_a_line_that_is_broken_off_is_closed_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uart = renode_target._UartSocket(
            f"socket://127.0.0.1:{server.getsockname()[1]}", Monitor(("renode",))
        )
        line, _ = server.accept()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()  # with a reset, as of a process that was killed
        underneath = uart._socket
        with pytest.raises(SerialException):
            uart.read(1)
        uart.close()
    assert underneath.fileno() == -1


def test_noise_before_the_firmware_speaks_is_passed_over(tmp_path: Path, image: Image) -> None:
    noisy = renodes.stand_in(tmp_path, "garbage first")
    assert run(noisy, image) == tiny_model.expected(INPUT)


def test_the_uart_is_a_terminal_that_nobody_else_opens(tmp_path: Path, image: Image) -> None:
    with greeted(renodes.stand_in(tmp_path), image) as (target, _):
        assert isinstance(target.serial(), renode_target._UartTerminal)
        with pytest.raises(SerialException):
            serial_for_url(target.serial().port, exclusive=True)


def test_a_renode_without_terminals_has_its_uart_on_a_port_and_says_so(
    tmp_path: Path, image: Image
) -> None:
    told: list[str] = []
    target = RenodeTarget(board_with(renodes.stand_in(tmp_path, "no terminal")))
    target.progress = told.append
    with target:
        target.flash(image)
        target.reset()
        assert Device(target.serial(), timeout_s=SOON_S).expect(image).model == "tiny"
    assert any("listens on every interface" in text for text in told)


def test_the_head_of_an_exception_is_kept_and_not_only_its_end(
    tmp_path: Path, image: Image
) -> None:
    told = str(failure(renodes.stand_in(tmp_path, "dies of an exception"), image))
    assert "Fatal error:; System.Exception: the core was lost; " in told
    assert "Frame39" in told
    assert "Frame20" not in told


def test_renode_has_a_home_of_settings_and_a_history_of_its_own(
    tmp_path: Path, process_note: Path
) -> None:
    with RenodeTarget(board_with(renodes.stand_in(tmp_path))):
        scratch = noted(process_note).scratch
        assert (scratch / "seen").read_text() == str(scratch)
        assert (scratch / "config").read_text() == f"[general]\nhistory-path = {scratch}/history\n"


def test_two_renodes_at_once_share_nothing(
    tmp_path: Path, image: Image, process_note: Path
) -> None:
    with greeted(renodes.stand_in(tmp_path), image) as (first, one):
        of_first = noted(process_note)
        with greeted(renodes.stand_in(tmp_path), image) as (second, other):
            assert of_first.scratch != noted(process_note).scratch
            assert first.serial().port != second.serial().port
            for device in (one, other):
                device.load_input(INPUT)
            for device in (other, one):
                device.run()
                assert device.outputs() == tiny_model.expected(INPUT)
        assert of_first.scratch.is_dir()
        assert runs(of_first.number)


def test_a_port_that_somebody_took_is_replaced(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = renode_target._free_port
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        ports = iter([somebody.getsockname()[1], choose()])
        monkeypatch.setattr(renode_target, "_free_port", lambda: next(ports))
        with greeted(renodes.stand_in(tmp_path, "no terminal"), image):
            assert next(ports, None) is None


def test_an_image_that_is_flashed_again_runs_again(tmp_path: Path, image: Image) -> None:
    with greeted(renodes.stand_in(tmp_path), image) as (target, device):
        target.flash(image)
        target.reset()
        assert device.expect(image).model == "tiny"


def test_a_board_without_a_description_for_renode_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="has no description for Renode"):
        RenodeTarget(replace(BOARD, name="unknown")).open()


def test_closing_a_target_that_is_not_open_is_harmless() -> None:
    target = RenodeTarget(BOARD)
    target.close()
    with pytest.raises(ProbeError, match="not open"):
        target.reset()


@pytest.fixture
def process_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in notes its process and its scratch folder."""
    note = tmp_path / "process"
    monkeypatch.setenv("HIL_STAND_IN_PID", str(note))
    return note


def test_closing_ends_renode_and_removes_what_it_left(tmp_path: Path, process_note: Path) -> None:
    with RenodeTarget(board_with(renodes.stand_in(tmp_path))):
        process = noted(process_note)
        assert process.scratch.is_dir()
    assert not runs(process.number)
    assert not process.scratch.exists()


def test_an_open_that_fails_leaves_nothing_behind(tmp_path: Path, process_note: Path) -> None:
    with pytest.raises(ProbeError):
        RenodeTarget(board_with(renodes.stand_in(tmp_path, "old"))).open()
    process = noted(process_note)
    assert not runs(process.number)
    assert not process.scratch.exists()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for a stranger")
def test_a_killed_harness_takes_renode_with_it(tmp_path: Path, process_note: Path) -> None:
    script = (
        "import sys; from hil.config import board\n"
        "from hil.targets.renode.target import RenodeTarget\n"
        "desk = board.load('stm32f439').on_desk(probe_id=None, port=None, renode=sys.argv[1])\n"
        "RenodeTarget(desk).open(); print('open', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, renodes.stand_in(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"open\n"
        process = noted(process_note)
        keeper = os.pidfd_open(process.keeper)
        harness.send_signal(signal.SIGKILL)
    try:
        ended, _, _ = select.select([keeper], [], [], SOON_S)
    finally:
        os.close(keeper)
    assert ended
    assert not runs(process.number)
    assert not process.scratch.exists()


@dataclass(frozen=True)
class Process:
    """A stand-in, the process that keeps it, and its scratch folder."""

    number: int
    keeper: int
    scratch: Path


def noted(note: Path) -> Process:
    number, keeper, scratch = note.read_text(encoding="utf-8").split(" ", 2)
    return Process(int(number), int(keeper), Path(scratch))


def runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


# a real Renode


def test_the_firmware_runs_in_a_real_renode_as_on_the_emulated_board(image: Image) -> None:
    with greeted(renodes.real(), image) as (_, device):
        device.load_input(INPUT)
        run = device.run()
        assert device.outputs() == tiny_model.expected(INPUT)
        assert [layer.name for layer in run.layers] == list(tiny_model.LAYERS)
        assert run.cycles == sum(layer.cycles for layer in run.layers)
        assert device.statistics().overruns == 0


def test_a_real_renode_counts_the_same_after_every_reset(image: Image) -> None:
    with greeted(renodes.real(), image) as (target, device):
        device.load_input(INPUT)
        first = device.run()
        target.flash(image)
        target.reset()
        device.expect(image)
        device.load_input(INPUT)
        assert device.run() == first


def test_a_real_renode_has_its_uart_on_a_terminal(image: Image) -> None:
    with greeted(renodes.real(), image) as (target, _):
        assert isinstance(target.serial(), renode_target._UartTerminal)


def test_a_real_renode_refuses_what_is_no_program(image: Image, tmp_path: Path) -> None:
    path = renodes.real()
    broken = tmp_path / "with space.elf"
    broken.write_bytes(b"no program")
    with RenodeTarget(board_with(path)) as target, pytest.raises(FlashError, match="ELF"):
        target.flash(replace(image, elf=broken))


def test_a_time_limit_that_a_dead_renode_s_terminal_refuses_tells_of_its_end() -> None:
    class Ended:
        def describe_end(self) -> str:
            return "Renode ended with status 1"

    master, slave = os.openpty()
    port: Any = renode_target._UartTerminal(Path(os.ttyname(slave)), 115_200, Ended())  # type: ignore[arg-type]
    os.close(master)
    os.close(slave)
    with pytest.raises(SerialException, match="Renode ended with status 1"):
        port.write_timeout = 1.0
    port.close()
