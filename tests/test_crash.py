"""A crash is told with its place in the source and its callers; a run's files stay beside them."""

import re
from pathlib import Path

import pytest
import tiny_model
from compilers import COMPILERS

from hil.build.calls import LR, PC, SP, Calls
from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.errors import FirmwareFault
from hil.link.client import Device
from hil.link.transcript import _MOST_LINES, Transcript
from hil.run import crash
from hil.run.artefacts import PLAN, SOURCES, Artefacts
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f439")
INNER = """
__attribute__((noinline)) static int divided(int by) { return 100 / by + (int)model_name[0]; }
__attribute__((noinline)) static int outer(int by) { return divided(by) + 1; }
"""
CALL = "volatile int zero = 0; zero = outer(zero); "


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_crash_names_its_line_and_every_caller(tmp_path: Path, compiler: str) -> None:
    image = _crashing(tmp_path, compiler)
    shown = tmp_path / "build/hil/tiny/firmware.elf"
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=120)
        device.expect(image)
        device.load_input(bytes(tiny_model.INPUT_BYTES))
        with pytest.raises(FirmwareFault, match="division by zero") as caught:
            device.run()
        assert target.debugger is not None
        core = crash.again(image, bytes(tiny_model.INPUT_BYTES), device, target.debugger)
        crash.explain(caught.value, image.elf, core, shown)
        device.hello()  # the board lives on
    told = str(caught.value).splitlines()
    lines = [line for line in told if line.startswith(("  at 0x", "  called from 0x"))]
    functions = [re.search(r" in (\w+) at \S+\.c:\d+$", line) for line in lines]
    names = [found[1] if found else "" for found in functions]
    assert names[:3] == ["divided", "outer", "first"], told
    assert names[-1] == "start", told
    assert told[-1].strip() == f"the image is {shown}"


def _crashing(folder: Path, compiler: str) -> Image:
    model = tiny_model.write(folder / "model")
    path = model / "model.c"
    before, signature, after = path.read_text(encoding="utf-8").partition("static void first(void)")
    assert signature, "the tiny model has no layer `first`"
    body = after.replace("{", "{ " + CALL, 1)
    path.write_text(before + INNER + signature + body, encoding="utf-8")
    return build(model, BOARD, find_toolchain(compiler))


def test_callers_are_left_out_where_the_stack_cannot_be_read(tmp_path: Path) -> None:
    image = _crashing(tmp_path, "zig")
    calls = Calls(image.elf)
    lost = dict.fromkeys(range(16), 0) | {SP: 0x2000_0000, LR: 0xFFFF_FFFF, PC: 0x0800_0000}
    assert calls.chain(lost, lambda _: None)[0] == 0x0800_0000


def test_damaged_tables_say_nothing_of_callers(tmp_path: Path) -> None:
    path = tmp_path / "no.elf"
    path.write_bytes(b"\x7fELF" + bytes(60))
    registers = dict.fromkeys(range(16), 0) | {PC: 0x0800_0100, LR: 0x0800_0201}
    assert Calls(path).chain(registers, lambda _: None) == [0x0800_0100, 0x0800_0200]


def test_a_transcript_keeps_the_beginning_and_the_end_of_a_long_conversation() -> None:
    transcript = Transcript(lambda: 0.0)
    for number in range(2 * _MOST_LINES + 5):
        transcript.sent("Load", number % 255 + 1, bytes([number % 256]) * 100)
    lines = transcript.text().splitlines()
    assert len(lines) == 2 * _MOST_LINES + 2
    assert lines[_MOST_LINES + 1] == "... 5 frames left out"
    assert lines[1].endswith("Load #1  100 B: " + "00 " * 24 + "...")


def test_files_that_cannot_be_written_are_told_and_cost_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder is to be")
    told: list[str] = []
    kept = Artefacts(tmp_path / "taken", told.append)
    kept.keep_sources(tmp_path)
    kept.keep_transcript(Transcript(lambda: 0.0))
    assert [line.startswith(f"{tmp_path}/taken cannot be written") for line in told] == [True, True]


def test_what_an_earlier_run_has_left_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    for name in (PLAN, "outputs.npy", f"{SOURCES}/model.c", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of yesterday")
    Artefacts(tmp_path, lambda _: None).forget()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
