"""Start-up code of a chip that an installed package brings."""

import shutil
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import tiny_model

from hil.build import chips
from hil.build.firmware import build, find_toolchain
from hil.config import board as boards
from hil.errors import BuildError, ProbeError
from hil.paths import FIRMWARE
from hil.targets import chips as known_chips
from hil.targets.emulator import chips as emulated_chips


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose entry point offers a chip like ours, under another name."""
    folder = tmp_path / "chips_of_others" / "like_f4"
    shutil.copytree(FIRMWARE / "chips" / "stm32f4", folder)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("like_f4", "chips_of_others.like_f4", chips.GROUP)
    monkeypatch.setattr(chips, "entry_points", lambda **_: [point])
    return folder


def test_a_chip_of_an_installed_package_is_built_from_its_folder(
    package: Path, tmp_path: Path
) -> None:
    model = tiny_model.write(tmp_path / "model")
    board = replace(boards.load("stm32f439"), chip="like_f4")
    assert chips.folder("like_f4") == package
    assert build(model, board, find_toolchain("zig")).footprint.flash_code_bytes > 0
    with (package / "clock.c").open("a", encoding="utf-8") as stream:
        stream.write('\n#error "a clock of others"\n')
    with pytest.raises(BuildError, match="a clock of others"):
        build(model, board, find_toolchain("zig"))


def test_a_chip_that_is_none_is_told(package: Path) -> None:
    with pytest.raises(
        BuildError, match=r"chip stm32h7 in firmware/chips\n  known: like_f4, stm32"
    ):
        chips.folder("stm32h7")
    for source in package.glob("*.c"):
        source.unlink()
    with pytest.raises(BuildError, match="like_f4 is no package with C sources"):
        chips.folder("like_f4")


@pytest.mark.parametrize(
    "module", ["no_package_of_that_name", "no_package.of_that_name", "json.tool"]
)
def test_an_entry_point_without_a_package_is_told(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("lost", module, chips.GROUP)
    monkeypatch.setattr(chips, "entry_points", lambda **_: [point])
    with pytest.raises(BuildError, match="is no package with C sources"):
        chips.folder("lost")


def test_a_package_offers_an_emulated_chip_and_what_a_debugger_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emulated = EntryPoint("like_l4", "hil.targets.emulator.chips.stm32l4.chip:Stm32L4", "")
    facts = EntryPoint("like_l4", "hil.targets.chips.stm32l4:CHIP", "")
    monkeypatch.setattr(emulated_chips, "entry_points", lambda **_: [emulated])
    monkeypatch.setattr(known_chips, "entry_points", lambda **_: [facts])
    assert emulated_chips.find("like_l4") is emulated_chips.find("stm32l4")
    assert known_chips.find("like_l4") is known_chips.find("stm32l4")


@pytest.mark.parametrize("value", ["no_package:Chip", "json:no_such", "json:dumps"])
def test_what_is_offered_and_is_no_chip_is_told(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (emulated_chips, known_chips):
        monkeypatch.setattr(kind, "entry_points", lambda **_: [EntryPoint("odd", value, "")])
        with pytest.raises(ProbeError, match=r"chip odd.*(cannot be imported|is no)|is no"):
            kind.find("odd")


def test_a_chip_that_is_not_emulated_is_told() -> None:
    with pytest.raises(ProbeError, match="has no chip stm32h7\n  emulated: stm32f4, stm32l4"):
        emulated_chips.find("stm32h7")
