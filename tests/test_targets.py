"""Targets: the emulated board as the harness uses it, and a probe that is not there."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import serial
import thumb
from emulated import BOARD, USART1
from made_boards import with_flash
from pyocd.core import exceptions

from hil import targets
from hil.build.image import Footprint, Image, Segment, read_segments
from hil.config import inventory
from hil.config.board import Board
from hil.errors import FlashError, LinkError, LockError, ProbeError, UsageError
from hil.studies.boards import blink
from hil.targets import choice, lock, ports, probes
from hil.targets.base import Target
from hil.targets.debugger import Debugger
from hil.targets.emulator import powered
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4
from hil.targets.emulator.target import EmulatedTarget, _find_probe
from hil.targets.probe import ProbeTarget

ECHO = f"""
function start
 {USART1}
 ldr r1, =0x200c
 str r1, [r0, #12]
 movs r1, #'>'
 str r1, [r0, #4]
1: ldr r1, [r0]
 lsls r2, r1, #26
 bpl 1b
 ldr r1, [r0, #4]
 adds r1, #1
 str r1, [r0, #4]
 b 1b
"""


def image_of(*segments: Segment) -> Image:
    nothing = Footprint(0, 0, 0, 0, 0, 0)
    return Image(Path("none.elf"), bytes(20), (), segments, nothing)


def echo_image() -> Image:
    return image_of(*read_segments(thumb.assemble(ECHO)))


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "locks"))


@pytest.fixture
def target() -> Iterator[EmulatedTarget]:
    with EmulatedTarget(BOARD) as opened:
        yield opened


@pytest.mark.parametrize("uid", ["", hashlib.sha256(b"one-chip").digest()[:12].hex().upper()])
def test_a_chip_of_the_unique_id_that_the_inventory_says_is_taken(uid: str) -> None:
    with powered_board("one-chip") as probe:
        debugger = Debugger(BOARD, probe, hint="", uid=uid)
        debugger.open()
        debugger.close()


@pytest.mark.parametrize(
    ("board", "uid", "said"),
    [
        (replace(BOARD, name="other", dev_id=0x413), "", "DEV_ID 0x419, other has 0x413"),
        (with_flash(BOARD, 1 << 20), "", "flash 2,097,152 B, stm32f439 has 1,048,576 B"),
        (BOARD, "00" * 12, "the inventory says 0000"),
    ],
)
def test_a_chip_that_is_not_the_boards_is_refused_before_anything_is_programmed(
    board: Board, uid: str, said: str
) -> None:
    with powered_board("another-chip") as probe:
        debugger = Debugger(board, probe, hint="", uid=uid)
        with pytest.raises(ProbeError, match=said):
            debugger.open()
        with pytest.raises(ProbeError, match="not open"):
            debugger.program([])


def test_a_core_that_answers_only_while_it_is_reset_is_connected_to_so() -> None:
    told: list[str] = []
    ladder = ({"frequency": 4_000_000}, {"connect_mode": "under-reset"})
    with powered_board("asleep") as probe:
        connect = probe.connect

        def connect_in_reset(protocol: Any = None) -> None:
            if not probe.is_reset_asserted():
                raise exceptions.TransferError("no ACK received")
            connect(protocol)

        probe.connect = connect_in_reset
        once = Debugger(BOARD, probe, hint="")
        with pytest.raises(ProbeError, match="Target not detected"):
            once.open()
        once.close()
        debugger = Debugger(BOARD, probe, hint="", ladder=ladder, tell=told.append)
        debugger.open()
        assert debugger.read(0x0800_0000, 4) == b"\xff" * 4
        debugger.close()
    assert len(told) == 1
    assert told[0].endswith("; connecting otherwise")


def test_a_board_blinks_so_that_people_find_it() -> None:
    seen: list[int] = []
    with powered_board("blinks") as probe:
        debugger = Debugger(BOARD, probe, hint="")
        debugger.open()

        def look(seconds: float) -> None:
            assert 0.1 < seconds < 1
            assert int.from_bytes(debugger.read(0x4002_0400, 4), "little") >> 14 & 3 == 1
            seen.append(int.from_bytes(debugger.read(0x4002_0414, 4), "little"))

        blink.blink(replace(BOARD, led="PB7"), debugger, look)
        debugger.close()
    assert seen == [1 << 7, 0] * 6


@contextmanager
def powered_board(unique_id: str) -> Iterator[Any]:
    """The probe of an emulated board."""
    emulated = EmulatedBoard(BOARD, unique_id, make_clock=default_clock)
    powered.add(emulated)
    try:
        yield _find_probe(unique_id)
    finally:
        powered.remove(emulated)
        emulated.power_off()


def test_an_unknown_target_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="emulator, probe"):
        targets.find("nothing")


@pytest.mark.parametrize("name", targets.names())
def test_every_target_says_its_name_and_the_pedigree_of_its_counts(name: str) -> None:
    kind = targets.find(name)
    assert kind.name == name
    assert kind.timing in {"silicon", "modelled", "instructions"}
    assert kind.timing_version()


def test_a_program_is_flashed_reset_and_talked_to(target: EmulatedTarget) -> None:
    target.flash(echo_image())
    target.reset()
    port: Any = target.serial()
    port.timeout = 20
    assert port.read(1) == b">"
    assert port.write(b"hello") == 5
    assert port.read(5) == b"ifmmp"


def test_flash_leaves_the_core_halted(target: EmulatedTarget) -> None:
    target.flash(echo_image())
    assert target.emulated.chip.core.halted
    assert target.emulated.line("usart1").in_waiting() == 0


def test_flashing_the_same_image_again_erases_nothing(target: EmulatedTarget) -> None:
    image = image_of(
        *read_segments(thumb.assemble(ECHO)), Segment(0x0802_0000, bytes(range(256)) * 64)
    )
    target.flash(image)
    before = target.emulated.chip.clock.run.instructions
    target.flash(image)
    # Comparing checksums takes instructions too; programming 16 KiB takes ten times as many.
    assert target.emulated.chip.clock.run.instructions - before < 500_000
    assert target.emulated.chip.bus.read(0x0802_0000, 256) == bytes(range(256))


def test_another_image_replaces_the_first(target: EmulatedTarget) -> None:
    for value in (0x55, 0xAA):
        target.flash(image_of(Segment(0x0800_0000, bytes([value]) * 5000)))
        assert target.emulated.chip.bus.read(0x0800_0000, 5000) == bytes([value]) * 5000


def test_an_image_outside_the_flash_is_refused(target: EmulatedTarget) -> None:
    with pytest.raises(FlashError, match="0x081ffff0"):
        target.flash(image_of(Segment(0x081F_FFF0, bytes(17))))


def test_flash_that_does_not_keep_a_byte_is_found_by_reading_back(target: EmulatedTarget) -> None:
    # Sector 1 is protected behind the back of whoever looks at option bytes before.
    chip = target.emulated.chip
    assert isinstance(chip, Stm32F4)
    chip.options._programmed[0] &= ~(1 << 17)
    with pytest.raises(FlashError):
        target.flash(image_of(Segment(0x0800_0000, bytes(0x4100))))


def test_a_closed_target_says_so() -> None:
    closed = EmulatedTarget(BOARD)
    with pytest.raises(ProbeError, match="not open"):
        closed.reset()
    closed.close()


def test_closing_takes_the_power_and_the_port_away() -> None:
    with EmulatedTarget(BOARD) as opened:
        opened.flash(echo_image())
        opened.reset()
        unique_id = opened.emulated.unique_id
        other: Any = serial.serial_for_url(f"emulator://{unique_id}/usart1", do_not_open=True)
        opened.serial()
        other.open()
        chip = opened.emulated.chip
    assert not chip.powered
    assert unique_id not in powered.unique_ids()
    other.timeout = 20
    other.read(1)  # the greeting, if nobody had it
    with pytest.raises(serial.SerialException, match="lost its power"):
        other.write(b"x")


def test_two_boards_do_not_hear_each_other() -> None:
    with EmulatedTarget(BOARD) as one, EmulatedTarget(BOARD) as other:
        for target in (one, other):
            target.flash(echo_image())
            target.reset()
            target.serial().timeout = 20
        ports: list[Any] = [one.serial(), other.serial()]
        assert [port.read(1) for port in ports] == [b">", b">"]
        ports[0].write(b"a")
        assert ports[0].read(1) == b"b"
        ports[1].timeout = 0
        assert ports[1].read(1) == b""


# the serial port


@pytest.fixture
def port(target: EmulatedTarget) -> Any:
    target.flash(echo_image())
    target.reset()
    opened: Any = target.serial()
    opened.timeout = 20
    assert opened.read(1) == b">"
    return opened


def test_a_read_times_out_with_what_there_is(port: Any) -> None:
    port.write(b"ab")
    assert port.read(2) == b"bc"
    port.timeout = 0.05
    assert port.read(1) == b""


def test_in_waiting_counts_and_reset_drops_what_has_arrived(port: Any) -> None:
    port.write(b"abc")
    port.read(1)
    while port.in_waiting < 2:
        port.timeout = 0.01
        port.read(0)
    port.reset_input_buffer()
    assert port.in_waiting == 0


def test_a_closed_port_refuses(port: Any) -> None:
    port.close()
    with pytest.raises(serial.SerialException):
        port.read(1)


@pytest.mark.parametrize("url", ["emulator://nobody/usart1", "emulator:///usart1"])
def test_a_url_without_a_board_is_refused(target: EmulatedTarget, url: str) -> None:
    target.serial()
    with pytest.raises(serial.SerialException, match="no emulated board"):
        serial.serial_for_url(url)


def test_a_url_with_an_unknown_port_lists_those_there_are(target: EmulatedTarget) -> None:
    target.serial()
    with pytest.raises(serial.SerialException, match="usart1, usart2, usart3"):
        serial.serial_for_url(f"emulator://{target.emulated.unique_id}/uart9")


# a real probe


def a_probe(unique_id: str) -> Any:
    return SimpleNamespace(unique_id=unique_id, description=f"probe {unique_id}")


def test_without_a_probe_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "connected", list)
    with pytest.raises(ProbeError, match="no debug probe is connected") as caught:
        ProbeTarget(BOARD).open()
    assert "--hil-target=emulator" in caught.value.hint


def test_the_emulated_board_is_no_real_probe(target: EmulatedTarget) -> None:
    ids = [one.unique_id for one in probes.connected()]
    assert target.emulated.unique_id not in ids


def test_the_only_probe_is_taken() -> None:
    only = a_probe("066A")
    assert probes.choose([only], "") is only


def test_a_probe_is_chosen_by_its_whole_unique_id_in_any_case() -> None:
    one, other = a_probe("066A"), a_probe("066AFF")
    assert probes.choose([one, other], "066a") is one
    with pytest.raises(ProbeError, match="066AFF"):
        probes.choose([other], "066A")


def test_several_probes_need_a_choice() -> None:
    with pytest.raises(ProbeError, match=r"1 [(]probe 1[)], 2 [(]probe 2[)]") as caught:
        probes.choose([a_probe("1"), a_probe("2")], "", "nucleo_f439zi")
    assert "--hil-probe" in caught.value.hint
    assert 'kind = "nucleo_f439zi"\nprobe = "2"' in caught.value.hint


def test_a_serial_port_that_cannot_be_opened_is_a_link_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports, "LATE_S", 0.0)
    absent = ProbeTarget(replace(BOARD, probe_id="066A", port="/dev/no-such-port"))
    with pytest.raises(LinkError, match="/dev/no-such-port"):
        absent.serial()


def test_a_chips_unique_id_is_read_through_the_debugger(target: EmulatedTarget) -> None:
    memory = target.emulated.unique_id.encode()
    assert Target.unique_id(target) == hashlib.sha256(memory).digest()[:12].hex()
    assert target.unique_id() == ""


def test_the_unique_id_of_an_unknown_chip_is_empty(target: EmulatedTarget) -> None:
    target.debugger._board = replace(BOARD, chip="another")
    assert Target.unique_id(target) == ""


# what stands for the board


ENTRY = inventory.Unit(name="desk-1", kind=BOARD.name, probe="066A")


def test_by_default_it_is_the_emulated_board_where_nobody_named_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "connected", lambda: [a_probe("066A")])
    chosen = choice.choose("named", BOARD)
    assert (chosen.kind, "no inventory" in chosen.why) == (EmulatedTarget, True)


@pytest.mark.parametrize("name", ["named", "auto"])
def test_a_connected_board_of_the_inventory_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    board = replace(BOARD, units=(replace(ENTRY, name="desk-0", probe="066B"), ENTRY))
    monkeypatch.setattr(probes, "connected", lambda: [a_probe("066a")])
    chosen = choice.choose(name, board)
    assert (chosen.kind, chosen.why) == (ProbeTarget, "desk-1 (probe 066A) is connected")
    monkeypatch.setattr(probes, "connected", list)
    chosen = choice.choose(name, board)
    assert (chosen.kind, "not connected: desk-0" in chosen.why) == (EmulatedTarget, True)


@pytest.mark.parametrize("name", ["named", "auto", "probe"])
def test_a_board_that_is_named_and_absent_fails(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(probes, "connected", list)
    board = BOARD.on_desk(probe_id="desk-1", port=None, units=[ENTRY])
    with pytest.raises(ProbeError, match="no probe '066A' is connected"):
        choice.choose(name, board).kind(board).open()


def test_a_board_is_not_held_any_more_when_it_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "connected", list)
    board = replace(BOARD, units=(ENTRY,))
    with pytest.raises(ProbeError, match="no probe"):
        ProbeTarget(board).open()
    assert lock.holder(ENTRY.probe) is None


def test_a_board_that_others_use_gives_way_to_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(ENTRY, name="desk-2", probe="066B")
    monkeypatch.setattr(probes, "connected", lambda: [a_probe("066A"), a_probe("066B")])
    taken: list[str] = []

    def find(unit: inventory.Unit) -> Any:
        taken.append(unit.name)
        raise ProbeError("far enough")

    monkeypatch.setattr(probes, "find", find)
    with lock.held("066A", name="desk-1", why="a test", wait_s=0, tell=print):
        with pytest.raises(ProbeError, match="far enough"):
            ProbeTarget(replace(BOARD, units=(ENTRY, other))).open()
        with pytest.raises(LockError, match="held for 0 s"):
            ProbeTarget(replace(BOARD, units=(ENTRY,), lock_wait_s=0)).open()
    assert taken == ["desk-2"]


# its serial port


def a_port(device: str, number: str, location: str) -> Any:
    return SimpleNamespace(device=device, serial_number=number, location=location)


PORTS = [a_port("/dev/ttyACM0", "066A", "1-1.1"), a_port("/dev/ttyACM1", "066B", "1-1.2")]


@pytest.mark.parametrize(
    ("unit", "device"),
    [
        (ENTRY, "/dev/ttyACM0"),
        (replace(ENTRY, port_serial="066b"), "/dev/ttyACM1"),
        (replace(ENTRY, port_location="1-1.2"), "/dev/ttyACM1"),
        (replace(ENTRY, port="socket://farm:4000"), "socket://farm:4000"),
    ],
)
def test_a_serial_port_is_found_by_what_the_inventory_says(
    monkeypatch: pytest.MonkeyPatch, unit: inventory.Unit, device: str
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: PORTS)
    assert ports.find(unit) == device


def test_serial_ports_of_one_number_are_refused_with_all_their_locations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clones = [*PORTS, a_port("/dev/ttyACM2", "066A", "1-1.3")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: clones)
    with pytest.raises(LinkError, match=r"several serial ports have .*066A.*1-1\.1.*1-1\.3"):
        ports.find(ENTRY)


def test_a_serial_port_in_use_is_refused_and_its_user_named() -> None:
    master, slave = os.openpty()
    device = os.ttyname(slave)
    os.close(slave)
    with (
        contextlib.closing(ports.open_exclusively(device, 115_200)),
        pytest.raises(LinkError, match=f"in use by .*process {os.getpid()}"),
    ):
        ports.open_exclusively(device, 115_200)
    ports.open_exclusively(device, 115_200).close()
    os.close(master)


def test_modem_manager_is_named_where_it_runs(tmp_path: Path) -> None:
    assert "ModemManager" not in ports.hint(tmp_path)
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "comm").write_text("ModemManager\n")
    assert "ModemManager (process 4711)" in ports.hint(tmp_path)


def test_a_loaded_machine_does_not_end_the_flash_algorithm_of_an_emulated_board(
    target: EmulatedTarget,
) -> None:
    options = target.debugger._session.options
    limits = [name for name in options_of_pyocd() if name.startswith("flash.timeout.")]
    assert len(limits) >= 5
    assert all(options.get(name) >= 300 for name in limits)


def options_of_pyocd() -> list[str]:
    from pyocd.core.options import OPTIONS_INFO

    return list(OPTIONS_INFO)


def test_connecting_reads_no_description_of_the_chip_s_registers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes longer than to program a small image; a script of the user's is left in charge."""
    read: list[object] = []
    monkeypatch.setattr(
        "pyocd.coresight.coresight_target.SVDLoader",
        lambda place, _: SimpleNamespace(load=lambda: read.append(place)),
    )
    with EmulatedTarget(BOARD):
        assert read == []
    monkeypatch.setattr("pyocd.core.session.Session.delegate", SimpleNamespace())
    with EmulatedTarget(BOARD):
        assert len(read) == 1
