from pathlib import Path

import pytest
from renodes import executable, stand_in

from hil.errors import ProbeError, UsageError
from hil.studies import doctor
from hil.targets.renode import installation

LIST = "echo 'Package Path  Version  Renode Variant  Tags'"
ONE = f"{LIST}; echo '/opt/renode  1.16.0  dotnet-portable  default'"


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HIL_RENODE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_the_path_given_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RENODE", stand_in(tmp_path / "environment"))
    given = stand_in(tmp_path / "given")
    assert installation.find(given).command == (given,)


def test_the_environment_comes_before_renode_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = stand_in(tmp_path / "environment")
    monkeypatch.setenv("HIL_RENODE", named)
    executable(tmp_path / "bin" / "renode-run", ONE)
    assert installation.find().command == (named,)


def test_renode_run_comes_before_the_path(tmp_path: Path) -> None:
    launcher = executable(tmp_path / "bin" / "renode-run", ONE)
    stand_in(tmp_path / "bin")
    assert installation.find().command == (launcher, "exec", "--")


def test_a_renode_run_without_renode_is_not_asked_to_download_one(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "renode-run", LIST)
    with pytest.raises(ProbeError, match="no Renode yet") as caught:
        installation.find()
    assert caught.value.hint == "renode-run download"
    on_path = stand_in(tmp_path / "bin")
    assert installation.find().command == (on_path,)


def test_a_folder_stands_for_the_renode_in_it(tmp_path: Path) -> None:
    inside = stand_in(tmp_path / "portable")
    assert installation.find(str(tmp_path / "portable")).command == (inside,)


def test_a_path_without_renode_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--hil-renode names .* where no Renode"):
        installation.find(str(tmp_path))


def test_no_renode_comes_with_a_remedy() -> None:
    with pytest.raises(ProbeError, match="no Renode on this machine") as caught:
        installation.find()
    assert "renode-run download" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Renode v1.16.0.1", "1.16.0.1"),
        ("Renode, version 1.16.1.6550 (03756cb5-202611210337)", "1.16.1.6550"),
        ("Renode v2.0", "2.0"),
    ],
)
def test_versions_are_read_in_both_of_their_forms(said: str, version: str) -> None:
    assert installation.require_recent(said) == version


def test_an_older_renode_is_refused() -> None:
    with pytest.raises(ProbeError, match=r"Renode 1\.15\.3\.7, and 1\.16 or later"):
        installation.require_recent("Renode v1.15.3.7")


@pytest.mark.parametrize("said", ["", "Renode", "Renode v1", "command not found: 3"])
def test_a_version_that_cannot_be_read_is_refused(said: str) -> None:
    with pytest.raises(ProbeError, match="does not say its version"):
        installation.require_recent(said)


def test_the_doctor_tells_version_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_RENODE", stand_in(tmp_path))
    finding = next(one for one in doctor.examine() if one.name == "Renode")
    assert finding.found
    assert finding.detail == f"1.16.1.6550, {tmp_path / 'renode'}"


def test_the_doctor_tells_how_to_have_one() -> None:
    finding = next(one for one in doctor.examine() if one.name == "Renode")
    assert not finding.found
    assert finding.optional
    assert "renode-run download" in finding.remedy
