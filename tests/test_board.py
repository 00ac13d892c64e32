from pathlib import Path

import pytest
from made_boards import with_sram, without_ccm

from hil.compiler.plan.budget import RUNTIME_BYTES, Budget
from hil.config import board
from hil.errors import UsageError
from hil.paths import BOARDS

TEXT = (BOARDS / "stm32f439.toml").read_text(encoding="utf-8")


def test_the_stm32f439_has_the_memories_of_its_data_sheet() -> None:
    chip = board.load("stm32f439")
    assert chip.ccm is not None
    assert (chip.flash.bytes, chip.sram.bytes, chip.ccm.bytes) == (2 << 20, 192 << 10, 64 << 10)
    assert chip.ccm.holds(0x1000_FFFF)
    assert not chip.ccm.holds(0x1001_0000)
    assert [one.name for one in chip.memories] == ["flash", "ccm", "sram1", "sram2", "sram3"]
    assert len(chip.flash_sectors) == 24


def test_ram_side_by_side_is_one_region_and_ccm_another() -> None:
    chip = board.load("stm32f439")
    assert [one.name for one in chip.regions] == ["flash", "ccm", "sram"]
    assert chip.sram.end == 0x2003_0000
    assert chip.memory("sram2") == chip.memories[3]
    assert chip.memory("sram4") is None


def test_a_board_without_ccm_plans_in_sram_less_what_the_runtime_needs() -> None:
    chip = without_ccm(board.load("stm32f439"))
    assert chip.ccm is None
    assert Budget.of(chip) == Budget((192 << 10) - RUNTIME_BYTES, 0, 2 << 20)
    assert Budget.of(with_sram(chip, 1024)).sram_bytes == 0


def test_an_unknown_board_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown board 'stm32f999'\n  known: .*stm32f439"):
        board.load("stm32f999")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("hz = 168_000_000", 'hz = "168 MHz"', r":\d+: clock.hz = '168 MHz': expected int, got"),
        ("[clock]", "[clok]", r"clok is not an entry there\n  known: description, chip, cpu"),
        ("hse_hz", "hs_hz", r":\d+: clock.hs_hz is not an entry there\n  known: hz, hse_hz"),
        (
            "bytes = 65_536\nuses",
            "bytes = -1\nuses",
            r":\d+: memory\[0\]\.bytes = -1: expected int",
        ),
        ("bytes = 65_536\nuses", 'bytes = 65_536\nsize = "x"\nuses', r"memory\[0\]\.size is not"),
        (
            "unique_id",
            "uniqueid",
            r":\d+: probe.uniqueid is not an entry there\n  known: unique_id",
        ),
        ("baud = 1_000_000", "", r"link.baud is needed: link lacks it"),
        ('tx = "PA9"', 'tx = "A9"', r":\d+: link.tx = 'A9': expected a string matching regex"),
        ('tx = "PA9"', 'tx = "PA16"', r"link.tx = 'PA16'"),
        ('uart = "usart1"', 'uart = "usart3"', r"link.*usart3 is there twice"),
        (
            "also = [",
            'forbidden = ["PD9"]\nalso = [',
            r"link.*usart3 is on PD9, which is forbidden",
        ),
        ("also = [", 'also = [{ uart = "uart4" },', r"link.also\[0\].tx is needed"),
        ("0x2001_C000", "0x2001_B000", r"the memories 'sram1' and 'sram2' overlap"),
        ('"sram2"', '"sram1"', r"two of \[\[memory\]\] are named 'sram1'"),
        ("bytes = 2_097_152", "bytes = 1_048_576", r"memory\[1\].*its sectors have 2,097,152 B"),
        ("wait_states = 5 ", "", r"memory\[1\].*flash needs all of sectors, programs_bytes and wa"),
        (
            '["data"]',
            '["date"]',
            r":\d+: memory\[0\]\.uses\[0\] = 'date': expected 'code' or 'data' or 'dma'",
        ),
        ("0x1000_0000", "0xFFFF_FFFF", r"reaches past the last address"),
        ("clock]", "clock", r"is not valid TOML"),
    ],
)
def test_a_wrong_board_file_is_told_by_file_line_and_key(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in TEXT
    (tmp_path / "wrong.toml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"wrong\.toml.*{complaint}"):
        board.load("wrong", tmp_path)


def test_a_board_is_also_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    assert board.load(str(path)).name == "mine"
    with pytest.raises(UsageError, match="there is no file"):
        board.load(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("name", ["my board", 'my"board', "b" * 32, "-b"])
def test_a_board_has_a_name_that_the_firmware_can_say(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(UsageError, match="is no name of a board"):
        board.load(str(path))


def test_the_desk_overrides_probe_and_port() -> None:
    desk = board.load("stm32f439").on_desk(probe_id="0668FF", port=None)
    assert (desk.probe_id, desk.port) == ("0668FF", "")
