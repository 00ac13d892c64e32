"""Strangers' programs in the hands of Python and of `hil emulate`'s options."""

import io
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import thumb
from emulated import USART1
from stranger_programs import COUNTER, EXIT, says

from hil import cli
from hil.build.image import read_segments
from hil.emulator import Emulator, Reason
from hil.errors import BuildError, FirmwareFault, UsageError
from hil.studies.programs import files, verdicts
from hil.studies.programs.console import Console

Make = Callable[..., Emulator]
FLASH = 0x0800_0000
ENABLE = "\n movw r1, #0x200c\n str r1, [r0, #12]\n"
ECHO = f"""
function start
{USART1}{ENABLE}
again:
 ldr r1, [r0]
 tst r1, #0x20
 beq again
 ldr r1, [r0, #4]
 adds r1, #1
 str r1, [r0, #4]
wait:
 ldr r2, [r0]
 tst r2, #0x80
 beq wait
 b again
"""
"""Sends the byte behind the one that came in."""
SLEEPS = """
function start
 ldr r0, =0xE000E010
 ldr r1, =0x00FFFFFF
 str r1, [r0, #4]
 movs r1, #7
 str r1, [r0]
 movs r5, #0
again:
 wfi
 b again
function tick
 ldr r4, =0x20000100
 ldr r5, [r4]
 adds r5, #1
 str r5, [r4]
 bx lr
"""
"""Counts wraps of SysTick, each 16,777,216 cycles: about a second at 16 MHz."""
BUTTON = """
function start
 ldr r0, =0x40023830
 movs r1, #1
 str r1, [r0]
 ldr r1, [r0]
 ldr r0, =0x40020000
 ldr r1, =0xA8000400
 str r1, [r0]
again:
 ldr r1, [r0, #16]
 and r1, r1, #1
 lsls r1, r1, #5
 str r1, [r0, #20]
 b again
"""
"""PA5 follows PA0."""


def test_a_program_runs_to_a_function_and_its_variables_are_read(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(COUNTER))
    for count in range(3):
        stopped = board.run(to="tick")
        assert (stopped.reason, board.word(0x2000_0100)) == (Reason.REACHED, count)
        assert "in tick" in stopped.where
    assert board.register("r5") == 2
    board.write(0x2000_0100, 7)
    assert board.read(0x2000_0100) == bytes([7, 0, 0, 0])


def test_cycles_between_two_places_repeat(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(COUNTER))
    board.run(to="tick")
    spans = [board.cycles_between("tick", "tick") for _ in range(3)]
    assert spans[0] == spans[1] == spans[2] > 5


def test_bytes_go_in_and_out(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(ECHO))
    uart = board.uart("usart1")
    uart.send("HAL")
    stopped = board.run(text="IBM", seconds=1.0)
    assert (stopped.reason, uart.text) == (Reason.SAID, "IBM")
    assert board.run(text="never", seconds=0.01).reason is Reason.TIME


def test_a_byte_comes_in_at_its_time(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(ECHO))
    board.at(0.25, lambda: board.uart("USART1").send(b"A"))
    assert board.run(text="B", seconds=1.0).reason is Reason.SAID
    assert 0.25 < board.seconds < 0.26


def test_a_sleeping_core_skips_to_the_next_event(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(SLEEPS))
    assert board.run(seconds=60.5).reason is Reason.TIME  # of its own: a moment of the host's
    assert board.word(0x2000_0100) == 57  # 60.5 s of 16 MHz in spans of 2^24 cycles
    assert board.seconds == pytest.approx(60.5, abs=1e-5)


def test_pins_are_driven_watched_and_read(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(BUTTON))
    seen: list[tuple[float, bool]] = []
    board.watch("PA5", lambda level: seen.append((board.seconds, level)))
    board.drive("PA0", level=False)
    board.at(0.010, lambda: board.drive("PA0", level=True))
    board.at(0.020, lambda: board.drive("PA0", level=False))
    board.run(seconds=0.03)
    assert [level for _, level in seen] == [True, False]
    assert [when for when, _ in seen] == pytest.approx([0.010, 0.020], abs=1e-4)
    assert not board.level("PA5")


def test_faults_are_planted(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(COUNTER + "function hard\n b .\nfunction nmi\n b .\n"))
    board.run(to="tick")
    board.flip(0x2000_0100, 31)
    assert board.word(0x2000_0100) >> 31 == 1
    board.raise_exception("NMI")
    assert "in nmi" in board.run(seconds=0.001).where
    board.reset()
    assert board.run(to="tick").reason is Reason.REACHED
    events: list[str] = []
    board.on_event = events.append
    board.brown_out()
    assert events == ["reset: brown-out"]
    assert board.run(to="start").reason is Reason.REACHED


def test_what_cannot_be_is_told_by_name(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble(COUNTER))
    with pytest.raises(UsageError, match="has no symbol 'tack'") as told:
        board.run(to="tack")
    assert told.value.hint == "like it: tick"
    with pytest.raises(UsageError, match="unknown UART 'usart9'"):
        board.uart("usart9")
    with pytest.raises(UsageError, match="no pin 'PZ1'"):
        board.drive("PZ1", level=True)
    with pytest.raises(UsageError, match="nothing can be read or written at 0x70000000"):
        board.read(0x7000_0000)
    with pytest.raises(UsageError, match="unknown exception"):
        board.raise_exception("Fire")
    with pytest.raises(UsageError, match="unknown board"):
        emulated_board(thumb.assemble(COUNTER), board="avr")


def test_a_program_that_does_not_come_there_is_told(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble("function start\n udf 0\nfunction there\n bx lr"))
    with pytest.raises(FirmwareFault, match="did not come to there"):
        board.cycles_between("start", "there")
    stopped = board.run(host_seconds=60)
    assert stopped.reason is Reason.FAULT
    assert "locked up" in stopped.fault


def test_a_program_that_goes_on_for_ever_is_given_up(emulated_board: Make) -> None:
    board = emulated_board(thumb.assemble("function start\n b ."))
    assert board.run(host_seconds=0.1).reason is Reason.HOST_TIME
    assert board.run(seconds=0.01).reason is Reason.TIME


def as_binary(source: str) -> bytes:
    (segment,) = read_segments(thumb.assemble(source))
    return segment.data


def as_hex(data: bytes, address: int) -> str:
    from intelhex import IntelHex

    contents, text = IntelHex(), io.StringIO()
    contents.frombytes(data, offset=address)
    contents.write_hex_file(text)
    return text.getvalue()


def test_hex_and_binaries_run_as_the_elf_does(tmp_path: Path, emulated_board: Make) -> None:
    data = as_binary(COUNTER)
    (tmp_path / "a.bin").write_bytes(data)
    (tmp_path / "a.hex").write_text(as_hex(data, FLASH), encoding="ascii")
    counted = []
    for name in (thumb.assemble(COUNTER), tmp_path / "a.bin", f"{tmp_path / 'a.hex'}"):
        board = emulated_board(name)
        board.run(seconds=0.001)
        counted.append((board.word(0x2000_0100), board.cycles))
    assert counted[0] == counted[1] == counted[2]
    assert counted[0][0] > 0


def test_several_files_make_one_program(tmp_path: Path, emulated_board: Make) -> None:
    """A bootloader that jumps to an application at an offset."""
    application = tmp_path / "app.bin"
    application.write_bytes(b"\x01\x30\xfd\xe7")  # adds r0, #1; b .-2: both Thumb
    boot = thumb.assemble("function start\n movs r0, #0\n ldr r1, =0x08010001\n bx r1\n")
    board = emulated_board(boot, f"{application}@0x08010000")
    assert board.run(to=0x0801_0000).reason is Reason.REACHED
    assert board.run(seconds=0.001).reason is Reason.TIME
    assert board.register("r0") > 10
    with pytest.raises(UsageError, match="both have something at 0x08000000"):
        emulated_board(boot, application)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.hex", b":0000000", "is no Intel HEX file"),
        ("a.hex", b"\xff\xfe", "is no Intel HEX file"),
        ("a.bin", b"", "is empty"),
        ("a.elf", b"no", "a.elf"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BuildError, match=said):
        files.read([tmp_path / name], FLASH)


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'here' is no address"):
        files.read([f"{tmp_path}/a.bin@here"], FLASH)


def test_an_elf_without_sections_loads_by_its_segments(tmp_path: Path) -> None:
    path = thumb.assemble(COUNTER)
    data = bytearray(path.read_bytes())
    data[32:36] = bytes(4)  # where its sections are listed
    data[48:52] = bytes(4)  # and how many
    (tmp_path / "bare.elf").write_bytes(data)
    whole, bare = read_segments(path), read_segments(tmp_path / "bare.elf")
    at = whole[0].address
    held = next(one for one in bare if one.address <= at < one.end)
    assert held.data[at - held.address :][: len(whole[0].data)] == whole[0].data


def test_voices_are_told_apart_once_there_are_two() -> None:
    written = bytearray()
    console = Console(written.extend)
    console.take("usart1", b"one\nha")
    console.take("usart2", b"two\n")
    console.take("usart1", b"lf\nrest")
    console.end()
    assert written == b"one\nha\n[usart2] two\n[usart1] lf\n[usart1] rest\n"


def run(*arguments: object) -> int:
    return cli.main(["emulate", *map(str, arguments), "--max-seconds", "60"])


def test_a_program_ends_by_what_it_says_and_by_its_own_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    elf = thumb.assemble(says(b"ready\n").replace(EXIT, "\n b .\n"))
    assert run(elf, "--until", "ready") == 0
    assert capsys.readouterr().out == "ready\n"
    assert run(elf, "--for", "0.01", "--trace-events") == 0
    assert "reset: power or pin" in capsys.readouterr().err


def test_typed_input_reaches_a_port_and_bytes_are_traced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "typed").write_bytes(b"HAL")
    with (tmp_path / "typed").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        asked = ("--uart", "usart1=stdio", "--until", "IBM", "--trace-uart")
        assert run(thumb.assemble(ECHO), *asked) == 0
    said = capsys.readouterr()
    assert said.out == "IBM"
    assert "usart1 < 48 41 4c  HAL" in said.err
    assert "usart1 > 49  I" in said.err


def test_a_port_is_a_file_a_terminal_or_a_socket(tmp_path: Path) -> None:
    from hil.studies.programs import wires

    elf = thumb.assemble(ECHO)
    told: list[str] = []
    for where, talk in (("pty", _by_device), ("tcp:0", _by_socket)):
        with (
            Emulator(elf) as board,
            wires.connected(board, [f"usart1={where}"], told.append, None),
            ThreadPoolExecutor(1) as pool,
        ):
            answer = pool.submit(talk, told[-1].rpartition(" ")[2])
            assert board.run(text="B", host_seconds=60).reason is Reason.SAID
            assert answer.result(60) == b"B"
    with (
        Emulator(elf) as board,
        wires.connected(board, [f"usart1={tmp_path / 'log'}"], told.append, None),
    ):
        board.uart("usart1").send(b"xy")
        board.run(text="z", seconds=1.0)
    assert (tmp_path / "log").read_bytes() == b"yz"


def _by_device(path: str) -> bytes:
    from serial import serial_for_url

    with serial_for_url(path, 115_200, timeout=60) as port:
        port.write(b"A")
        return bytes(port.read(1))


def _by_socket(url: str) -> bytes:
    host, _, port = url.removeprefix("socket://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(b"A")
        return client.recv(1)


def test_pins_change_by_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "pins"
    script.write_text("# a button\n0.001 PA0=1\n0.002 PA0=0\n", encoding="utf-8")
    asked = ("--gpio", "PA0=0", "--gpio-script", script, "--gpio-watch", "PA5", "--for", "0.003")
    assert run(thumb.assemble(BUTTON), *asked) == 0
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["PA5=1", "PA5=0"]


PWM = """
function start
 ldr r0, =0x40023800
 movs r1, #1
 str r1, [r0, #0x30]
 movs r1, #2
 str r1, [r0, #0x40]
 ldr r0, =0x40020000
 ldr r1, =0x02000000
 str r1, [r0, #0x20]
 ldr r1, =0xA8002000
 str r1, [r0]
 ldr r0, =0x40000400
 ldr r1, =15999
 str r1, [r0, #0x2C]
 ldr r1, =4000
 str r1, [r0, #0x34]
 movs r1, #0x60
 str r1, [r0, #0x18]
 movs r1, #1
 str r1, [r0, #0x20]
 str r1, [r0]
1: {loop}
 b 1b
"""
"""A program that leaves PA6 to TIM3: high for a quarter of each millisecond."""


@pytest.mark.parametrize("loop", ["wfi", "nop"])
def test_a_pin_that_a_timer_changes_is_told_in_its_time(loop: str) -> None:
    told: list[tuple[float, bool]] = []
    with Emulator(thumb.assemble(PWM.format(loop=loop))) as board:
        board.watch("PA6", lambda level: told.append((1000 * board.seconds, level)))
        board.run(seconds=0.0028)
    assert [level for _, level in told] == [True, False] * 3
    times = [time - told[0][0] for time, _ in told]
    assert times == pytest.approx([0, 0.25, 1, 1.25, 2, 2.25], abs=2e-3)


FOLLOWER = """
function start
 ldr r0, =0x40023800
 ldr r1, =0x20000000
 str r1, [r0, #0x40]
 mov r1, #0x100
 str r1, [r0, #0x44]
 ldr r4, =0x40007400
 movs r1, #1
 str r1, [r4]
 ldr r5, =0x40012000
 str r1, [r5, #8]
1: ldr r1, =0x40000001
 str r1, [r5, #8]
2: ldr r1, [r5]
 lsls r1, r1, #30
 bpl 2b
 ldr r1, [r5, #0x4C]
 str r1, [r4, #8]
 b 1b
"""
"""A program whose DAC puts out on PA4 what its ADC reads on PA0."""


def test_a_voltage_comes_in_by_an_adc_and_out_by_the_dac(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "pins"
    script.write_text("0.001 PA0=3.3V\n0.002 PA0=0\n", encoding="utf-8")
    asked = ("--gpio", "PA0=1.65V", "--gpio-script", script, "--gpio-watch", "PA4")
    assert run(thumb.assemble(FOLLOWER), *asked, "--for", "0.003") == 0
    told = [line.partition("PA4=")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["1.6504 V", "3.3000 V", "0.0000 V"]


def test_voltages_are_applied_read_and_watched() -> None:
    told: list[float] = []
    with Emulator(thumb.assemble(FOLLOWER)) as board:
        board.watch_volts("PA4", told.append)
        board.apply("PA0", volts=1.0)
        board.run(seconds=0.0001)
        assert board.volts("PA4") == pytest.approx(1.0, abs=0.001)
        assert (board.volts("PA0"), told) == (1.0, [board.volts("PA4")])
        for pin, volts in (("PA0", 5.0), ("PA99", 1.0)):
            with pytest.raises(UsageError):
                board.apply(pin, volts=volts)
        with pytest.raises(UsageError, match="no converter drives PA0"):
            board.watch_volts("PA0", told.append)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--uart", "usart1"], "names no place"),
        (["--uart", "usart9=pty"], "unknown UART"),
        (["--uart", "usart1=tcp:x"], "is no port"),
        (["--uart", "usart1=/nowhere/file"], "cannot write /nowhere/file"),
        (["--gpio", "PA0=2"], "PIN=0, PIN=1, PIN=1.65V for the ADC, or PIN=z"),
        (["--gpio", "PA0=3.4V"], "PIN=0, PIN=1, PIN=1.65V for the ADC, or PIN=z"),
        (["--gpio", "PA16=1"], "no pin 'PA16'"),
        (["--gpio", "PA16=1V"], "no pin 'PA16'"),
        (["--gpio-script", "/nowhere"], "cannot read /nowhere"),
    ],
)
def test_wrong_wires_are_told(
    capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    assert run(thumb.assemble(COUNTER), *asked) == 2
    assert said in capsys.readouterr().err


def test_a_wrong_line_of_a_script_is_told_by_its_number(tmp_path: Path) -> None:
    from hil.studies.programs import wires

    with Emulator(thumb.assemble(COUNTER)) as board:
        for line in ("soon PA0=1", "0.5", "nan PA0=1", "0.5 PA0", "0.5 PQ0=1"):
            (tmp_path / "pins").write_text(f"0.1 PA0=1\n{line}\n", encoding="utf-8")
            with pytest.raises(UsageError):
                wires.drive_by_script(board, tmp_path / "pins")


TAP = "TAP version 14\n1..4\nok 1 - adds\nnot ok 2 - carries\nok 3 - later # SKIP no board\nok\n"
UNITY = "t.c:12:test_adds:PASS\nt.c:20:test_carries:FAIL: Expected 1 Was 2\nt.c:9:test_x:IGNORE\n"


def test_tests_that_a_program_prints_are_read() -> None:
    assert [(one.name, one.result) for one in verdicts.cases(TAP)] == [
        ("adds", "passed"),
        ("carries", "failed"),
        ("later", "skipped"),
        ("test ?", "passed"),
    ]
    assert [(one.name, one.result, one.message) for one in verdicts.cases(UNITY)] == [
        ("test_adds", "passed", "(t.c:12)"),
        ("test_carries", "failed", "Expected 1 Was 2 (t.c:20)"),
        ("test_x", "skipped", "(t.c:9)"),
    ]


@pytest.mark.parametrize(
    ("text", "status", "failures"),
    [(b"ok 1 - a\n", 0, 0), (b"ok 1 - a\nnot ok 2 - b\n", 1, 1), (b"hello\n", 1, 1)],
)
def test_a_program_s_tests_become_junit(
    tmp_path: Path, text: bytes, status: int, failures: int
) -> None:
    assert run(thumb.assemble(says(text)), "--junit", tmp_path / "junit.xml") == status
    suite = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own
    assert suite.get("failures") == str(failures)


def test_a_fault_in_a_fault_s_handler_names_the_first_one_too() -> None:
    source = """
    function start
     ldr r0, =0x60000000
     bl read
    .type read, %function
    function read
     ldr r1, [r0]
     bx lr
    function hard
     udf 0
    """
    with Emulator(thumb.assemble(source)) as board:
        fault = board.run().fault
    assert fault.startswith("the core locked up at pc 0x")
    assert "that was in the handler of HardFault, which was taken at 0x0800" in fault
    assert fault.endswith(" in read")
