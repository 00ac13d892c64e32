"""MLPerf Tiny images: their protocol, their time between laps, and the table of images."""

import csv
import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import thumb

from hil import cli
from hil.config import board as kinds
from hil.errors import ProtocolError, SilenceError, UsageError
from hil.studies.mlperf import boards, validate
from hil.studies.mlperf.measure import INPUT_BYTES, measure, runners_window, short_windows
from hil.studies.mlperf.protocol import Image
from hil.targets.emulator.target import EmulatedTarget

_SCRIPT = """
SECTIONS {
    . = 0x08000000;
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
    .bss 0x20000000 (NOLOAD) : { *(.bss*) *(.data*) }
    /DISCARD/ : { *(.ARM*) }
}
"""
LOOP_US = 4000 * 3 / 4  # 4000 turns of 3 cycles at 4 MHz


class FakePort:
    """A port with an image behind it that answers each command with lines."""

    timeout: float | None = None

    def __init__(self, answers: Mapping[str, Sequence[str]], greeting: bytes = b"") -> None:
        self._answers = answers
        self._out = bytearray(greeting)
        self.commands: list[str] = []
        self.late = b""
        self.loses_first = False
        self.rested = True
        self.us: Callable[[int], int] = lambda inferences: 1_500_000 * inferences

    def read(self, size: int = 1, /) -> bytes:
        data = bytes(self._out[:size])
        del self._out[:size]
        return data

    def write(self, b: bytes, /) -> int:
        assert self.rested, "the image is not back at waiting"
        assert not self._out, "the end of the last answer has not been taken"
        self.rested = False
        command = b.decode().removesuffix("%")
        self.commands.append(command)
        self._out, self.late = bytearray(self.late), b""
        if self.loses_first:
            self.loses_first = False
            return len(b)
        lines = [*self._answers.get(command.split()[0], ()), "m-ready"]
        if command.startswith("infer "):
            until = 100 + self.us(int(command.split()[1]))
            lines = [line.replace("LAST", str(until)) for line in lines]
        self._out += "".join(f"{line}\r\n" for line in lines).encode()
        return len(b)

    def rest(self) -> None:
        """Note that the image has had time to go back to waiting."""
        self.rested = True


def image_of(answers: Mapping[str, Sequence[str]]) -> tuple[Image, FakePort]:
    port = FakePort(answers)
    return Image(port, port.rest, deadline_s=0.05), port


GOOD: dict[str, Sequence[str]] = {
    "name": ["m-name-dut-[stand-in]"],
    "profile": ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"],
    "db": ["m-load-done"],
    "infer": ["m-lap-us-100", "m-lap-us-LAST", "m-infer-done", "m-results-[0.1,0.9]"],
}


def test_the_time_of_a_window_is_from_lap_to_lap() -> None:
    image, port = image_of(GOOD)
    window = image.infer(3, warm_ups=2)
    assert (window.inferences, window.us, window.results) == (3, 4_500_000, "0.1,0.9")
    assert port.commands == ["infer 3 2"]


def test_the_input_goes_in_commands_of_32_bytes() -> None:
    image, port = image_of(GOOD)
    image.load(bytes(range(70)))
    assert port.commands[0] == "db load 70"
    assert [len(command) - 3 for command in port.commands[1:]] == [64, 64, 12]


def test_the_runners_window_has_ten_seconds() -> None:
    image, port = image_of(GOOD)
    timed = measure(image, runners_window, None)
    assert port.commands[-1] == "infer 7 1"  # of 1.5 s each
    assert timed.us == 1_500_000
    assert (timed.model, timed.windows[1].inferences) == ("kws01", 7)
    assert f"db load {INPUT_BYTES['kws01']}" in port.commands


def test_a_window_that_comes_out_short_is_taken_again() -> None:
    image, port = image_of(GOOD)
    port.us = lambda inferences: 600_000 + 1_400_000 * inferences  # the print of the first lap
    timed = measure(image, runners_window, None)
    assert [window.inferences for window in timed.windows] == [1, 5, 7]
    assert timed.windows[-1].us == 10_400_000


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        ({"infer": ["m-lap-us-1"]}, ProtocolError, "1 time stamps for a run, not 2"),
        ({"db": []}, ProtocolError, "does not say m-load-done after 490 B"),
        ({"profile": ["m-model-[resnet]"]}, UsageError, "'resnet', of which no input is known"),
        ({"name": ["e-[Unknown command: name]"]}, ProtocolError, "'name' with 'e-"),
    ],
)
def test_an_image_that_answers_otherwise_is_told(
    answers: dict[str, Sequence[str]], error: type[Exception], complaint: str
) -> None:
    image, _ = image_of(GOOD | answers)
    with pytest.raises(error, match=complaint):
        measure(image, short_windows, None)


@pytest.mark.parametrize("greeting", [b"m-init-done\r\nm-ready\r\n", b"y\r\n", b"m-ready\r\n"])
@pytest.mark.parametrize("loses_first", [False, True])
def test_a_greeting_that_comes_late_is_no_answer(greeting: bytes, loses_first: bool) -> None:
    image, port = image_of(GOOD)
    port.late, port.loses_first = greeting, loses_first and b"m-ready" in greeting
    asked = 1 + port.loses_first
    timed = measure(image, short_windows, None)
    assert port.commands[: asked + 1] == ["name"] * asked + ["profile"]
    assert "m-name-dut-[stand-in]" in timed.said
    assert timed.us == 1_500_000


def test_an_image_that_says_nothing_is_given_up() -> None:
    port = FakePort({}, greeting=b"Hello")
    with pytest.raises(SilenceError, match="its last bytes are b'Hello'"):
        Image(port, port.rest, deadline_s=0.05).wait_until_ready()


def built(folder: Path, *defined: str) -> Path:
    """Build a stand-in for a certified image, as the bytes of a flash."""
    script, elf, out = folder / "image.ld", folder / "image.elf", folder / "image.bin"
    script.write_text(_SCRIPT)
    flags = [
        *("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-Os", "-std=gnu11"),
        *("-ffreestanding", "-fno-sanitize=all", "-fno-stack-protector", "-nostdlib"),
        *("-Wl,--entry=start", "-T", str(script), *(f"-D{name}" for name in defined)),
    ]
    source = Path(__file__).with_name("mlperf_image.c")
    command = [sys.executable, "-m", "ziglang", "cc", *flags, str(source), "-o", str(elf)]
    subprocess.run(command, check=True, timeout=120)
    out.write_bytes(thumb.flash_bytes(elf))
    return out


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in that dies of a byte that comes too early."""
    return built(tmp_path_factory.mktemp("image"))


def table_of(path: Path, image: Path, **cells: str) -> Path:
    """Write a table of one image."""
    entry = replace(validate.read_table()[0], certified_us=LOOP_US, repository="host/images")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    row = asdict(replace(entry, path=image.name, sha256=digest)) | cells
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, list(row))
        rows.writeheader()
        rows.writerow(row)
    return path


def test_an_image_is_booted_and_timed_beside_its_certified_time(
    binary: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    image = tmp_path / "images" / binary.name
    image.write_bytes(binary.read_bytes())
    (found,) = validate.compare(tmp_path, table_of(tmp_path / "table.csv", image))
    assert found.benchmark == "st12-ad"
    assert found.published == LOOP_US * 120
    assert found.ratio == pytest.approx(1, abs=2 / LOOP_US)
    (tmp_path / "images" / binary.name).write_bytes(b"another")
    with pytest.raises(UsageError, match="has the sha256"):
        next(validate.compare(tmp_path, tmp_path / "table.csv"))
    image.unlink()
    with pytest.raises(UsageError, match=r"there is no .*images"):
        next(validate.compare(tmp_path, tmp_path / "table.csv"))


def test_a_run_prints_windows_time_and_cycles(
    binary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["mlperf-run", str(binary), "--banks", "1"]) == 0
    text = capsys.readouterr().out
    assert "m-name-dut-[stand-in]" in text
    assert "3 inferences in " in text
    assert "us an inference" in text
    assert "cycles at 120 MHz" in text


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_an_image_is_timed_on_a_serial_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # How long the host rests before a command is nothing to a board whose time is its own.
    image = built(tmp_path, "PATIENT")
    board = kinds.load("nucleo_l4r5zi")
    with EmulatedTarget(board) as target:
        target.debugger.program(boards.segments(image, board))
        target.reset()
        # Ready before anybody listens there, as on a desk: its greeting is no answer.
        with target.serial() as port:
            Image(port, lambda: None, deadline_s=60).wait_until_ready()
        target.emulated.open_terminal(None)
        terminal = target.emulated.terminal
        assert terminal is not None
        assert cli.main(["mlperf-run", "--port", terminal.device, "--baud", "115200"]) == 0
    text = capsys.readouterr().out
    assert "m-name-dut-[stand-in]" in text
    *_, window = (line for line in text.splitlines() if " inferences in " in line)
    inferences, us = (int(word.replace(",", "")) for word in window.split()[0:4:3])
    assert us >= 10_000_000
    assert us / inferences == pytest.approx(LOOP_US, rel=0.001)
    assert "0.25,0.75" in window


@pytest.mark.parametrize("arguments", [[], ["image.bin", "--port", "/dev/null"]])
def test_a_run_takes_an_image_or_a_port(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["mlperf-run", *arguments]) != 0
    assert "name an image for the emulated board, or --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ({"banks": "3"}, "banks is 1 or 2"),
        ({"certified_us": "soon"}, "could not convert"),
        ({"sha256": ""}, ":2: sha256 is lacking"),
    ],
)
def test_a_table_with_a_mistake_is_told_by_its_line(
    cells: dict[str, str], complaint: str, binary: Path, tmp_path: Path
) -> None:
    table = table_of(tmp_path / "table.csv", binary, **cells)
    with pytest.raises(UsageError, match=complaint):
        validate.read_table(table)


def test_the_development_set_is_two_submissions_of_four_networks() -> None:
    entries = validate.read_table()
    assert [entry.image for entry in entries] == [
        f"{submission}-{task}"
        for submission in ("st12", "bosch11")
        for task in ("ad", "ic", "kws", "vww")
    ]
    assert {entry.banks for entry in entries[:4]} == {1}
    assert {len(entry.sha256) for entry in entries} == {64}
