"""Places of a labgrid farm in an inventory."""

from pathlib import Path

import pytest

from hil.config import inventory
from hil.errors import ProbeError, UsageError
from hil.targets import labgrid

PLACE = """\
[[board]]
name = "farm-1"
kind = "nucleo_f439zi"
labgrid = { place = "nucleo-1", coordinator = "farm:20408" }
"""


def load(folder: Path, text: str) -> tuple[inventory.Unit, ...]:
    file = folder / "boards.toml"
    file.write_text(text, encoding="utf-8")
    return inventory.load(file)


def test_a_place_is_read_and_written(tmp_path: Path) -> None:
    (unit,) = load(tmp_path, PLACE)
    assert (unit.place, unit.coordinator) == ("nucleo-1", "farm:20408")
    assert unit.is_remote
    assert str(unit) == "farm-1 (place nucleo-1)"
    assert inventory.text(unit) + "\n" == PLACE


def test_several_places_are_several_boards(tmp_path: Path) -> None:
    other = PLACE.replace("farm-1", "farm-2").replace("nucleo-1", "nucleo-2")
    assert [unit.name for unit in load(tmp_path, PLACE + other)] == ["farm-1", "farm-2"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('probe = "066AFF"', "either a probe or a place"),
        ('port = { device = "/dev/ttyACM0" }', "says itself where the port is"),
    ],
)
def test_a_place_says_probe_and_port_itself(tmp_path: Path, more: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load(tmp_path, PLACE + more)


def test_a_board_without_probe_and_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either a probe or a place"):
        load(tmp_path, '[[board]]\nname = "a"\nkind = "stm32f439"\n')


def test_a_client_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (unit,) = load(tmp_path, PLACE)
    with (
        pytest.raises(ProbeError, match="there is no labgrid-client") as error,
        labgrid.acquired(unit, wait_s=0, tell=print),
    ):
        pytest.fail("it was taken")
    assert "pipx install labgrid" in (error.value.hint or "")
