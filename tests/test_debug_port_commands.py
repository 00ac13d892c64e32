"""pyOCD's commands on the emulated board, each in a process of its own."""

import os
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Any

import pytest
import thumb
from emulated import USART1

PROGRAM = """
function start
 ldr r0, =0x20000100
 movs r1, #77
 str r1, [r0]
 b .
"""


CHATTY = f"""
function start
 {USART1}
 ldr r1, =0x2008
 str r1, [r0, #12]
1: str r1, [r0, #4]
 b 1b
"""


def pyocd(*arguments: str, flash: Path, **variables: str) -> str:
    environment = {**os.environ, "HIL_EMULATOR_FLASH": str(flash), **variables}
    result = subprocess.run(
        [sys.executable, "-m", "pyocd", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        cwd=flash.parent,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    return tmp_path / "board.flash"


@pytest.mark.parametrize(
    ("board", "part"), [("stm32f439", "stm32f439xi"), ("nucleo_l4r5zi", "stm32l4r5xi")]
)
def test_list_shows_the_board_and_its_target_type(board: str, part: str, flash: Path) -> None:
    listed = pyocd("list", flash=flash, HIL_EMULATOR_BOARD=board)
    assert f"emulated-{board}" in listed
    assert part in listed
    assert "\N{HEAVY MULTIPLICATION X}" not in listed  # a part that pyOCD does not know


def test_what_one_command_programs_the_next_one_runs(flash: Path) -> None:
    board = ("-u", "emulated-stm32f439")
    pyocd("load", *board, str(thumb.assemble(PROGRAM)), flash=flash)
    shown = pyocd(
        *("commander", *board, "-c", "reset", "-c", "sleep 100", "-c", "halt"),
        *("-c", "read32 0x20000100", "-c", "reg r1"),
        flash=flash,
    )
    assert "20000100:  0000004d" in shown
    assert "r1 = 0x0000004d" in shown
    pyocd("erase", *board, "--sector", "0x08000000", flash=flash)
    assert flash.read_bytes()[:0x4000] == b"\xff" * 0x4000


def test_bin_and_hex_files_are_programmed_too(flash: Path, tmp_path: Path) -> None:
    from intelhex import IntelHex

    data = bytes(range(256)) * 5
    (tmp_path / "a.bin").write_bytes(data)
    image: Any = IntelHex()
    image.frombytes(data[::-1], offset=0x0802_0000)
    image.write_hex_file(str(tmp_path / "b.hex"))
    board = ("-u", "emulated-stm32f439")
    files = (f"{tmp_path / 'a.bin'}@0x08010000", str(tmp_path / "b.hex"))
    pyocd("load", *board, *files, flash=flash)
    contents = flash.read_bytes()
    assert contents[0x1_0000 : 0x1_0000 + len(data)] == data
    assert contents[0x2_0000 : 0x2_0000 + len(data)] == data[::-1]
    pyocd("erase", *board, "--chip", flash=flash)
    assert flash.read_bytes() == b"\xff" * len(contents)


def test_a_command_ends_though_nobody_reads_what_the_firmware_sends(flash: Path) -> None:
    board, terminal = ("-u", "emulated-stm32f439"), flash.parent / "tty"
    pyocd("load", *board, str(thumb.assemble(CHATTY)), flash=flash)
    pyocd(
        *("commander", *board, "-c", "reset", "-c", "sleep 1000"),
        flash=flash,
        HIL_EMULATOR_TTY=str(terminal),
    )
    assert not terminal.is_symlink()


def test_the_board_that_a_command_powers_can_be_chosen(flash: Path) -> None:
    shown = pyocd(
        *("commander", "-u", "emulated-stm32f407g_disc1", "-c", "read32 0xE0042000"),
        flash=flash,
        HIL_EMULATOR_BOARD="stm32f407g_disc1",
    )
    assert "e0042000:  100f6413" in shown.lower()
    assert flash.stat().st_size == 1 << 20


def test_without_unicorn_pyocd_goes_without_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module("pyocd")
    plugin = import_module("hil.targets.emulator.probe").EmulatedProbePlugin()
    assert plugin.should_load()
    monkeypatch.setattr(util, "find_spec", lambda _name: None)
    assert not plugin.should_load()
