"""hil-boards.toml: which physical boards there are, and what is refused."""

from pathlib import Path

import pytest

from hil.config import board, inventory
from hil.errors import UsageError

DESK = """
[[board]]
name = "desk-1"
kind = "nucleo_f439zi"
probe = "066BFF"
port = { usb_serial = "066BFF" }
uid = "0123456789ABcdef01234567"

[[board]]
name = "desk-2"
kind = "stm32f429i_disc1"
probe = "066C"
port = { usb_location = "1-1.2" }
"""
FARM = """
[[board]]
name = "desk-1"
kind = "nucleo_f439zi"
probe = "remote:farm:5555"
port = { device = "rfc2217://farm:4000" }
"""


@pytest.fixture(autouse=True)
def _no_inventory_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = inventory.FILE) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_are_no_boards() -> None:
    assert inventory.load() == ()


def test_a_file_says_each_boards_kind_probe_port_and_chip() -> None:
    one, two = inventory.load(write(DESK, "mine.toml"))
    assert (one.name, one.kind, one.probe) == ("desk-1", "nucleo_f439zi", "066BFF")
    assert (one.port_serial, one.uid) == ("066BFF", "0123456789abcdef01234567")
    assert (two.port_location, two.uid, two.source) == ("1-1.2", "", "mine.toml")


def test_the_users_file_replaces_boards_of_the_projects_and_the_option_those_of_both() -> None:
    write(DESK)
    write(FARM.replace("farm", "user"), f"config/{inventory.FILE}")
    assert [unit.probe for unit in inventory.load()] == ["remote:user:5555", "066C"]
    given = write(FARM, "given.toml")
    assert [unit.probe for unit in inventory.load(given)] == ["remote:farm:5555", "066C"]


def test_an_inventory_that_was_named_must_exist() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        inventory.load(Path("nowhere.toml"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{ usb_serial = "066BFF" }', "{}", "port.*one of usb_serial, usb_location and device"),
        ('"1-1.2"', '"1-1.2", device = "/dev/x"', "one of usb_serial"),
        ('probe = "066C"', 'probe = "066bff"', "two of ..board.. have the probe '066bff'"),
        ('"desk-2"', '"DESK-1"', "two of ..board.. have the name 'desk-1'"),
        ('probe = "066C"', 'probe = "remote:farm"', "remote:HOST:PORT"),
        ('probe = "066C"', 'probe = "remote:farm:1"', "port = { device"),
        ("cdef01234567", "", "uid"),
        ('probe = "066C"', 'prob = "066C"', "prob.* is not an entry there"),
    ],
)
def test_a_wrong_entry_is_told_with_its_line(old: str, new: str, said: str) -> None:
    assert old in DESK
    with pytest.raises(UsageError, match=said) as caught:
        inventory.load(write(DESK.replace(old, new)))
    assert f"{inventory.FILE}:" in caught.value.what


def test_two_files_may_not_give_one_probe_two_names() -> None:
    write(DESK)
    other = write(FARM.replace("desk-1", "desk-3").replace("remote:farm:5555", "066c"), "o.toml")
    with pytest.raises(UsageError, match=r"desk-2 of .* and desk-3 of o.toml have one probe"):
        inventory.load(other)


def test_a_board_has_the_physical_boards_of_its_kind() -> None:
    units = inventory.load(write(DESK))
    nucleo = board.load("nucleo_f439zi").on_desk(probe_id=None, port=None, units=units)
    assert [unit.name for unit in nucleo.units] == ["desk-1"]


def test_a_board_is_called_by_its_name_or_its_probe_in_any_case() -> None:
    units = inventory.load(write(DESK))
    assert inventory.called(units, "DESK-2") is inventory.called(units, "066c")
    with pytest.raises(UsageError, match="desk-9") as caught:
        inventory.called(units, "desk-9")
    with pytest.raises(UsageError, match="no inventory names a board") as told:
        inventory.called([], "desk-9")
    assert "hil boards list" in told.value.hint
    assert "desk-1, desk-2" in caught.value.hint


def test_what_an_error_tells_to_write_can_be_read() -> None:
    (unit,) = inventory.load(write(inventory.entry("stm32f439", "066D")))
    assert (unit.kind, unit.probe) == ("stm32f439", "066D")
