"""Where builds go, for users with and without a home."""

import tempfile
from pathlib import Path

import pytest

from hil import paths


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HIL_CACHE", "XDG_CACHE_HOME", "HIL_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_builds_go_below_the_home_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.cache() == tmp_path / ".cache/rnnpool-hil"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert paths.cache() == tmp_path / "xdg/rnnpool-hil"
    monkeypatch.setenv("HIL_CACHE", "/elsewhere")
    assert paths.cache() == Path("/elsewhere")


def test_a_home_that_cannot_be_written_to_is_replaced_by_a_folder_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    place = paths.cache()
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    assert paths.cache() == place


def test_a_folder_of_others_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setattr("os.access", lambda *_: False)
    place = paths.cache()
    assert place.parent == tmp_path
    place.rmdir()
    place.symlink_to(tmp_path / "of_another")
    assert paths.cache() == Path("/nowhere/.cache/rnnpool-hil")  # which the build then refuses


def test_a_user_that_the_system_lacks_has_a_home_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert paths.home() == tmp_path
    assert paths.cache().parent == tmp_path
    assert paths.cache().stat().st_mode & 0o777 == 0o700
    assert paths.configuration().is_relative_to(tmp_path)
