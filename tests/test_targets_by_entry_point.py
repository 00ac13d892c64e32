"""Targets of other packages: found by entry point, imported when asked for, refused by name."""

import sys
from pathlib import Path

import pytest

from hil import targets
from hil.errors import UsageError

JIG = """
from hil.targets.base import Target

class JigTarget(Target):
    name = "my-jig"
    timing = "silicon"

    def open(self): ...
    def flash(self, image): ...
    def reset(self): ...
    def serial(self): ...
    def close(self): ...
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that distributions are put into."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, entry_points: str, code: str = JIG, module: str = "jig_of_mine") -> None:
    """Put a distribution there as pip does: a module, and its metadata."""
    sys.modules.pop(module, None)
    (site / f"{module}.py").write_text(code)
    information = site / f"{module}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[hil.targets]\n{entry_points}\n")


def test_a_target_of_another_package_is_listed_unimported_and_found(site: Path) -> None:
    install(site, "my-jig = jig_of_mine:JigTarget")
    assert "my-jig" in targets.names()
    assert "my-jig" in targets.Names()
    assert "jig_of_mine" not in sys.modules
    assert targets.find("my-jig").__name__ == "JigTarget"


def test_our_own_targets_are_there_without_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_entries", list)
    assert targets.names() == ["emulator", "probe", "renode"]
    assert targets.find("emulator").name == "emulator"


def test_our_own_targets_are_registered_as_anybodys() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    for name, value in targets._OURS.items():
        assert f'{name} = "{value}"' in text


def test_an_unknown_target_lists_those_of_other_packages_too(site: Path) -> None:
    install(site, "my-jig = jig_of_mine:JigTarget")
    with pytest.raises(UsageError, match=r"unknown target 'jig'\n.*emulator, my-jig, probe"):
        targets.find("jig")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named 'a_package"),
        ("raise OSError('no licence')", "OSError: no licence"),
        ("", "AttributeError: .*JigTarget"),
    ],
)
def test_a_target_that_fails_to_import_is_told_by_name_with_the_reason(
    site: Path, code: str, reason: str
) -> None:
    install(site, "my-jig = jig_of_mine:JigTarget", code)
    with pytest.raises(UsageError, match=f"target 'my-jig' cannot be imported from jig.*{reason}"):
        targets.find("my-jig")


def test_what_is_no_target_is_refused(site: Path) -> None:
    install(site, "my-jig = jig_of_mine:JigTarget", "class JigTarget: name = 'my-jig'")
    with pytest.raises(UsageError, match="not a class derived from hil"):
        targets.find("my-jig")


def test_a_target_under_another_name_than_its_own_is_refused(site: Path) -> None:
    install(site, "jig = jig_of_mine:JigTarget")
    with pytest.raises(UsageError, match="'jig' calls itself 'my-jig'"):
        targets.find("jig")


def test_two_packages_cannot_share_a_name(site: Path) -> None:
    install(site, "probe = jig_of_mine:JigTarget")
    with pytest.raises(UsageError, match=r"several packages offer a target 'probe': hil.*, jig_of"):
        targets.find("probe")
