from pathlib import Path

import pytest

from hil.config import board
from hil.errors import UsageError


def test_the_stm32f439_has_the_memories_of_its_data_sheet() -> None:
    chip = board.load("stm32f439")
    assert (chip.flash.bytes, chip.sram.bytes, chip.ccm.bytes) == (2 << 20, 192 << 10, 64 << 10)
    assert chip.ccm.holds(0x1000_FFFF)
    assert not chip.ccm.holds(0x1001_0000)


def test_an_unknown_board_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown board 'stm32f999'\n  known: .*stm32f439"):
        board.load("stm32f999")


def test_a_board_file_that_lacks_an_entry_names_it(tmp_path: Path) -> None:
    (tmp_path / "half.toml").write_text('description = "half a board"\n')
    with pytest.raises(UsageError, match="memory"):
        board.load("half", tmp_path)


def test_a_board_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("clock = [")
    with pytest.raises(UsageError, match=r"broken\.toml is not valid TOML"):
        board.load("broken", tmp_path)


def test_the_desk_overrides_probe_and_port() -> None:
    desk = board.load("stm32f439").on_desk(probe_id="0668FF", port=None)
    assert (desk.probe_id, desk.port) == ("0668FF", "")
