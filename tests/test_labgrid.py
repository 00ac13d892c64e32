"""Boards of a labgrid farm: a real coordinator and exporter on loopback, a served board behind."""

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from emulated import BOARD
from test_boards_served import echoes, serving

from hil.config.inventory import Unit
from hil.errors import LockError, ProbeError
from hil.targets import choice, labgrid, lock
from hil.targets.probe import ServedTarget

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "build" / "labgrid" / "bin"  # where CI installs it, apart from our own packages
PATH = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"

pytestmark = pytest.mark.skipif(
    shutil.which(labgrid.CLIENT, path=PATH) is None,
    reason="labgrid is not installed: pipx install labgrid",
)


@dataclass(frozen=True)
class Farm:
    """A coordinator.

    Attributes:
        address: host and port.
    """

    address: str

    def client(self, *arguments: str, user: str = "") -> str:
        """Run labgrid's client, as a user."""
        command = [labgrid.CLIENT, "-x", self.address, *arguments]
        environment = {**os.environ, "PATH": PATH, "LG_USERNAME": user or getpass.getuser()}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def unit(self, place: str) -> Unit:
        return Unit(
            "farm-1", "stm32f439", f"labgrid:{place}", place=place, coordinator=self.address
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    environment = {**os.environ, "PATH": PATH}
    with log.open("w") as said:
        # The coordinator keeps its places in the current folder.
        process = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=said, stderr=said
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=120)


@contextmanager
def bridged(tty: str) -> Iterator[int]:
    """A TCP port that passes on what a serial port says and hears."""
    from serial import serial_for_url

    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def pass_on() -> None:
            server.settimeout(0.2)
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                port: Any = serial_for_url(tty, baudrate=115_200, timeout=0.02)  # as `echoes`
                client.settimeout(0.02)
                with client, port:
                    while not ended.is_set():
                        try:
                            heard = client.recv(4096)
                        except TimeoutError:
                            heard = None
                        if heard == b"":
                            break
                        port.write(heard or b"")
                        client.sendall(port.read(port.in_waiting))

        thread = threading.Thread(target=pass_on)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            ended.set()
            thread.join(timeout=120)


@pytest.fixture(scope="module", autouse=True)
def _own_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        patch.setenv(lock.VARIABLE, str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Places `board`, which is whole, and `bare`, which offers no probe."""
    folder = tmp_path_factory.mktemp("farm")
    address = f"127.0.0.1:{free_port()}"
    with serving(folder) as desk, bridged(desk.unit.port) as port:
        _, host, probe_port = desk.unit.probe.split(":")
        (folder / "exporter.yaml").write_text(
            f"board:\n"
            f"  NetworkSerialPort: {{host: 127.0.0.1, port: {port}, protocol: raw}}\n"
            f"  pyocd: {{cls: NetworkService, address: {host}, username: '', port: {probe_port}}}\n"
            f"bare:\n"
            f"  NetworkSerialPort: {{host: 127.0.0.1, port: {port}, protocol: raw}}\n"
        )
        coordinator = ["labgrid-coordinator", "-l", address]
        exporter = ["labgrid-exporter", "-c", address, "-n", "desk", str(folder / "exporter.yaml")]
        farm = Farm(address)
        with running(coordinator, folder / "coordinator.log"):
            until(lambda: is_listening(farm.address), farm)
            with running(exporter, folder / "exporter.log"):
                until(lambda: "desk/board/NetworkService" in farm.client("resources"), farm)
                for place in ("board", "bare"):
                    farm.client("-p", place, "create")
                    farm.client("-p", place, "add-match", f"desk/{place}/*")
                yield farm


def is_listening(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=60).close()
    except OSError:
        return False
    return True


def until(condition: Any, farm: Farm) -> None:
    for _ in range(60):
        with suppress(AssertionError):  # the client says so while the coordinator starts
            if condition():
                return
        threading.Event().wait(0.5)
    pytest.fail(f"the farm at {farm.address} does not get ready")


def test_a_board_of_a_farm_is_flashed_reset_and_talked_to(farm: Farm) -> None:
    board = BOARD.on_desk(probe_id=None, port=None, units=(farm.unit("board"),))
    chosen = choice.choose("named", board)
    assert (chosen.kind, chosen.why) == (
        ServedTarget,
        "farm-1 (place board) is connected; it is an emulated board in another process",
    )
    with chosen.kind(board) as target:
        assert "acquired: " in farm.client("-p", "board", "show")
        assert echoes(target)  # type: ignore[arg-type]
    assert "acquired: None" in farm.client("-p", "board", "show")


def test_a_place_that_others_hold_is_waited_for_and_not_taken(farm: Farm) -> None:
    farm.client("-p", "board", "acquire", user="bob")
    told: list[str] = []
    try:
        with (
            pytest.raises(LockError, match=r"is already acquired by .*/bob"),
            labgrid.acquired(farm.unit("board"), wait_s=4, tell=told.append),
        ):
            pytest.fail("it was taken")
        assert not labgrid.is_free(farm.unit("board"))
    finally:
        farm.client("-p", "board", "release", user="bob")
    assert told
    assert told[0].startswith("waiting: ")


def test_a_place_that_the_user_held_before_stays_held(farm: Farm) -> None:
    told: list[str] = []
    farm.client("-p", "board", "acquire")
    try:
        with labgrid.acquired(farm.unit("board"), wait_s=0, tell=told.append) as unit:
            assert unit.probe.startswith("remote:127.0.0.1:")
            assert unit.port.startswith("socket://127.0.0.1:")
        assert "stays acquired" in told[0]
        assert "acquired: None" not in farm.client("-p", "board", "show")
    finally:
        farm.client("-p", "board", "release")


def test_a_place_that_lacks_a_probe_is_told_and_let_go(farm: Farm) -> None:
    with (
        pytest.raises(ProbeError, match="the place bare offers NetworkSerialPort") as error,
        labgrid.acquired(farm.unit("bare"), wait_s=0, tell=print),
    ):
        pytest.fail("it was taken")
    assert "pyocd server" in (error.value.hint or "")
    assert "acquired: None" in farm.client("-p", "bare", "show")


def test_a_place_that_is_not_there_is_told(farm: Farm) -> None:
    with (
        pytest.raises(ProbeError, match=r"nowhere cannot be acquired: .* matches nothing"),
        labgrid.acquired(farm.unit("nowhere"), wait_s=0, tell=print),
    ):
        pytest.fail("it was taken")


def test_a_coordinator_that_is_not_there_is_told() -> None:
    with (
        pytest.raises(ProbeError, match=r"cannot be acquired: .*Could not connect"),
        labgrid.acquired(Farm(f"127.0.0.1:{free_port()}").unit("a"), wait_s=0, tell=print),
    ):
        pytest.fail("it was taken")
