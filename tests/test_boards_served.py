"""A served board, met through its probe server and serial port as one on a desk is."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from emulated import BOARD
from test_targets import echo_image, image_of

from hil import cli
from hil.build.image import Segment
from hil.config import inventory
from hil.config.board import Board
from hil.config.inventory import Unit
from hil.errors import LockError, PortError, ProbeError
from hil.results import table
from hil.targets import choice, lock, ports, probes
from hil.targets.base import Target
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.probe import ProbeTarget, ServedTarget

HIL = (sys.executable, "-c", "import sys; from hil.cli import main; sys.exit(main(sys.argv[1:]))")
ENTRY_LINES = 6
OPEN = """
import pathlib
import sys
from hil.config import board, inventory
from hil.targets.probe import ServedTarget
units = inventory.load(pathlib.Path(sys.argv[1]))
kind = board.load("stm32f439").on_desk(probe_id=None, port=None, units=units)
"""
HOLD = f"""{OPEN}
with ServedTarget(kind) as target:
    target.debugger._probe.lock()
    print("open", flush=True)
    sys.stdin.read()
"""
STAGES = f"""{OPEN}
import signal
from hil.build.image import Segment
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as hil.plugin does
print("connecting", flush=True)
with ServedTarget(kind) as target:
    print("flashing", flush=True)
    target.serial()
    target.debugger.program([Segment(0x08020000, bytes(1 << 17))])
    target.reset()
    print("running", flush=True)
    while True:
        target.serial().read(1)
"""


@dataclass(frozen=True)
class Desk:
    """A desk with one board.

    Attributes:
        file: its inventory. process: the board's.
    """

    file: Path
    process: "subprocess.Popen[str]"

    @property
    def unit(self) -> Unit:
        (unit,) = inventory.load(self.file)
        return unit

    @property
    def board(self) -> Board:
        # The speed is what the firmware of these tests makes of 16 MHz.
        return replace(BOARD, units=(self.unit,), lock_wait_s=0, baud=115_200)


@contextmanager
def serving(folder: Path, name: str = "desk-1") -> Iterator[Desk]:
    """A process that serves a board as long as the block runs."""
    command = [*HIL, "boards", "serve", name, "--tty", str(folder / "tty")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(ENTRY_LINES)]
            file = folder / "boards.toml"
            file.write_text("".join(lines), encoding="utf-8")
            yield Desk(file, process)
        finally:
            process.terminate()
    assert process.returncode in (0, -signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(lock.VARIABLE, str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with serving(tmp_path_factory.mktemp("desk")) as served:
        yield served


def echoes(target: ProbeTarget) -> bool:
    port: Any = target.serial()
    port.timeout = 20
    target.flash(echo_image())
    target.reset()
    assert port.read(1) == b">"
    port.write(b"hello")
    return bool(port.read(5) == b"ifmmp")


def test_a_board_in_another_process_is_flashed_reset_and_talked_to(desk: Desk) -> None:
    chosen = choice.choose("named", desk.board)
    assert chosen.kind is ServedTarget
    with ServedTarget(desk.board) as target:
        assert echoes(target)
        assert target.unique_id() == desk.unit.uid
        who = lock.holder(desk.unit.probe)
        assert who is not None
    assert lock.holder(desk.unit.probe) is None


@pytest.mark.parametrize(
    ("dev_id", "kind", "why"),
    [
        (BOARD.dev_id, ProbeTarget, "is connected"),
        (0x413, EmulatedTarget, "is connected, but the chip behind the probe has the DEV_ID 0x419"),
    ],
)
def test_auto_takes_the_only_board_connected_if_its_chip_is_the_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, dev_id: int, kind: type[Target], why: str
) -> None:
    found = probes.find(desk.unit)
    monkeypatch.setattr(probes, "connected", lambda: [found])
    board = replace(BOARD, dev_id=dev_id)
    chosen = choice.choose("auto", board)
    assert chosen.kind is kind
    assert why in chosen.why
    assert choice.choose("named", board).kind is EmulatedTarget
    monkeypatch.setattr(probes, "connected", lambda: [found, found])
    with pytest.raises(ProbeError, match="several probes are connected"):
        choice.choose("auto", board)
    monkeypatch.setattr(probes, "connected", list)
    assert choice.choose("auto", board).why == "no debug probe is connected"


def test_its_cycles_never_pass_as_silicons(desk: Desk) -> None:
    assert (ServedTarget.name, ServedTarget.timing) == ("probe", "modelled")
    with pytest.raises(ProbeError, match="leads to an emulated board"):
        ProbeTarget(desk.board).open()
    assert lock.holder(desk.unit.probe) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"dev_id": 0x413}, "DEV_ID 0x419, stm32f439 has 0x413"), ({"uid": "00" * 12}, "says 0000")],
)
def test_another_board_than_the_inventory_says_is_refused(
    desk: Desk, wrong: dict[str, Any], said: str
) -> None:
    board = desk.board
    if "uid" in wrong:
        board = replace(board, units=(replace(desk.unit, **wrong),))
    else:
        board = replace(board, **wrong)
    with pytest.raises(ProbeError, match=said):
        ServedTarget(board).open()


def test_two_runs_never_have_one_board(desk: Desk) -> None:
    with ServedTarget(desk.board), pytest.raises(LockError, match="held for 0 s, by process"):
        ServedTarget(desk.board).open()


def test_a_run_that_is_killed_leaves_the_board_to_the_next(desk: Desk) -> None:
    command = [sys.executable, "-c", HOLD, str(desk.file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(LockError):
            ServedTarget(desk.board).open()
        process.kill()
    with ServedTarget(desk.board) as target:
        assert echoes(target)


def test_the_commands_find_identify_and_check_the_board(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--inventory", str(desk.file))
    assert cli.main(["boards", "list", *where]) == 0
    assert "desk-1" in capsys.readouterr().out
    assert cli.main(["boards", "identify", "desk-1", *where]) == 0
    assert desk.unit.uid in capsys.readouterr().out
    report = tmp_path / "silicon-report.csv"
    kept = ("--report", str(report), "--history-dir", str(tmp_path))
    assert cli.main(["boards", "check", "desk-1", *where, *kept]) == 0
    said = capsys.readouterr().out
    looks, checklist = said.split("proves nothing of silicon:")
    began = [line for line in looks.splitlines()[:-2] if not line.startswith(" ")]
    assert {line.split()[0] for line in began} == {"ok", "-"}
    assert all(len(line) < 80 for line in said.splitlines() if str(tmp_path.parent) not in line)
    assert "-        sleep " in looks
    for name in ("probe", "sram3", "option bytes", "crystal", "serial 1,000,000 baud"):
        assert f"ok       {name} " in looks
    assert "[x] pins" in checklist
    assert "[ ] supply" in checklist
    assert "[!]" not in checklist
    assert report.read_text(encoding="utf-8").count(desk.unit.uid) > 40


def test_a_board_held_by_hand_is_let_go_by_hand(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--inventory", str(desk.file))
    command = [*HIL, "boards", "lock", "desk-1", "--why", "solder", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is yours" in process.stdout.readline()
        with pytest.raises(LockError, match="solder") as caught:
            ServedTarget(desk.board).open()
        said = f"hil boards unlock {desk.unit.probe}"
        assert said in caught.value.hint
        assert cli.main([*said.split()[1:], *where]) == 0
        assert process.wait(120) == 0
    assert "is free again; it was held by" in capsys.readouterr().out
    with ServedTarget(desk.board):
        assert cli.main(["boards", "unlock", "desk-1", *where]) == 2  # a run's is no hold by hand


def test_a_serial_port_that_is_busy_is_told_before_anything_is_erased(desk: Desk) -> None:
    board = desk.board
    with ServedTarget(board) as target:
        target.flash(echo_image())
        before = target.debugger.read(board.flash.address, 64)
    with (
        contextlib.closing(ports.open_exclusively(desk.unit.port, 9600)),
        ServedTarget(board) as target,
    ):
        with pytest.raises(PortError, match="cannot be opened"):
            target.flash(image_of(Segment(board.flash.address, bytes(64))))
        assert target.debugger.read(board.flash.address, 64) == before


@pytest.mark.parametrize("stage", ["connecting", "flashing", "running"])
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_at_any_stage_leaves_nothing_behind(
    desk: Desk, stage: str, ended_by: signal.Signals
) -> None:
    command = [sys.executable, "-c", STAGES, str(desk.file)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in {f"{stage}\n", ""}:
            pass
        threading.Event().wait(0.1)
        process.send_signal(ended_by)
        _, said = process.communicate(timeout=120)
    wanted = signal.SIGKILL if ended_by is signal.SIGKILL else signal.SIGINT
    assert process.returncode == -wanted, said
    assert lock.holder(desk.unit.probe) is None
    its_own = f"(process {desk.process.pid})"
    assert [one for one in ports.holders(desk.unit.port) if its_own not in one] == []
    with ServedTarget(desk.board) as target:
        assert target.unique_id() == desk.unit.uid


def test_a_catch_of_resets_that_a_killed_run_left_on_halts_no_firmware(desk: Desk) -> None:
    demcr, vc_corereset = 0xE000_EDFC, 1
    with ServedTarget(desk.board) as target:
        target.debugger.write(demcr, vc_corereset.to_bytes(4, "little"))
    with ServedTarget(desk.board) as target:
        assert target.debugger.read_word(demcr) & vc_corereset
        assert echoes(target)


@pytest.mark.slow
def test_the_suite_is_green_on_served_boards_as_on_those_of_a_desk_one_test_on_each_at_a_time(
    desk: Desk, tmp_path: Path
) -> None:
    scenarios = [tmp_path / f"tiny_{columns}.toml" for columns in (30, 38)]
    for path in scenarios:
        variant = f"rows = 24\ncolumns = {path.stem[-2:]}\nchannels = 3\n"
        path.write_text(f'model = "rnnpool_layer"\n[variant]\n{variant}', encoding="utf-8")
    folder = tmp_path / "other"
    folder.mkdir()
    with serving(folder, "desk-2") as other:
        file = tmp_path / "boards.toml"
        both = [one.file.read_text(encoding="utf-8") for one in (desk, other)]
        file.write_text("\n".join(both), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pytest", "--pyargs", "hil.suite", "--board=stm32f439"),
            *(f"--hil-scenario={path}" for path in scenarios),
            *(f"--hil-inventory={file}", "--hil-target=probe", "-n2"),
        ]
        answer = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        assert answer.returncode == 0, answer.stdout
        assert "hil: stm32f439 on probe: as asked for" in answer.stdout
        rows = table.load(tmp_path / "build/hil/results.csv")
        assert {row.context.scenario for row in rows} == {path.stem for path in scenarios}
        assert {row.context.board_uid for row in rows} <= {desk.unit.uid, other.unit.uid}
        assert {row.metric.name for row in rows} >= {"cycles", "output.mismatches"}
        timed = {(row.context.target, row.context.timing) for row in rows}
        assert timed == {("probe", "modelled")}
        assert lock.holder(desk.unit.probe) is lock.holder(other.unit.probe) is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_share_a_physical_board_and_emulated_ones_and_the_report_is_whole(
    desk: Desk, tmp_path: Path
) -> None:
    """One kind is on the desk, where one test at a time has it; the other is emulated."""
    scenarios = [tmp_path / f"tiny_{columns}.toml" for columns in (30, 38)]
    for path in scenarios:
        variant = f"rows = 24\ncolumns = {path.stem[-2:]}\nchannels = 3\n"
        path.write_text(f'model = "rnnpool_layer"\n[variant]\n{variant}', encoding="utf-8")
    xml = tmp_path / "junit.xml"
    command = [
        *(sys.executable, "-m", "pytest", "--pyargs", "hil.suite", "--hil-lock-wait=600"),
        *("--board=stm32f439", "--board=nucleo_f439zi", f"--hil-inventory={desk.file}"),
        *(f"--hil-scenario={path}" for path in scenarios),
        *("-n2", f"--junitxml={xml}"),
    ]
    answer = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False
    )
    assert answer.returncode == 0, answer.stdout
    assert "hil: nucleo_f439zi on emulator" in answer.stdout
    assert "hil: stm32f439 on probe" in answer.stdout
    rows = table.load(tmp_path / "build/hil/results.csv")
    measured = {
        (row.context.board, row.context.target, row.context.scenario, row.context.board_uid)
        for row in rows
        if row.metric.name == "cycles"
    }
    names = {path.stem for path in scenarios}
    assert measured == {
        *(("stm32f439", "probe", name, desk.unit.uid) for name in names),
        *(("nucleo_f439zi", "emulator", name, "") for name in names),
    }
    assert sum(row.metric.name == "cycles" for row in rows) == len(measured)
    tests = [case.attrib["name"] for case in ET.parse(xml).iter("testcase")]  # noqa: S314
    assert len(tests) == len(set(tests))
    for board, _, name, _ in measured:
        assert any(name in test and board in test for test in tests), (board, name)
    assert lock.holder(desk.unit.probe) is None
