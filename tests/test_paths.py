"""Where builds go, for users with and without a home."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil import files, paths
from hil.build import once
from hil.errors import BuildError, UsageError
from hil.run import preflight


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


@contextmanager
def as_another() -> Iterator[None]:
    """Be a user without rights, as far as `os.access` asks, where this is root."""
    user = os.getuid()
    if user == 0:
        os.setreuid(1234, 0)
    try:
        yield
    finally:
        if user == 0:
            os.setreuid(0, 0)


def test_results_in_a_read_only_folder_are_refused_with_what_to_say_instead() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o555)
        with as_another(), pytest.raises(UsageError) as refused:
            preflight.check_writable(folder / "build/hil/results.csv")
        assert refused.value.what == f"results cannot be written: no right to write to {folder}"
        assert "--hil-csv" in refused.value.hint
        with as_another():
            assert files.why_not_writable(folder / "table.csv") == (
                f"no right to write to {folder}"
            )
        folder.chmod(0o777)
        with as_another():
            preflight.check_writable(folder / "build/hil/results.csv")


def test_a_cache_that_cannot_be_made_is_refused_and_one_that_can_be_read_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        (folder / "cache").mkdir()
        (folder / "file").touch()
        folder.chmod(0o555)
        monkeypatch.setenv("HIL_CACHE", str(folder / "none"))
        with as_another(), pytest.raises(UsageError) as refused:
            preflight.check_cache()
        assert refused.value.what == f"there is no place for builds: no right to write to {folder}"
        assert "HIL_CACHE" in refused.value.hint
        monkeypatch.setenv("HIL_CACHE", str(folder / "file"))
        with pytest.raises(UsageError, match="file is a file"):
            preflight.check_cache()
        monkeypatch.setenv("HIL_CACHE", str(folder / "cache"))
        with as_another():
            preflight.check_cache()


def test_a_right_that_lacks_is_not_told_as_a_full_disk() -> None:
    def refuse(number: int) -> str:
        with pytest.raises(BuildError) as refused, once.written(Path("/nowhere"), "HIL_CACHE"):
            raise OSError(number, "no")
        return str(refused.value)

    assert "free" not in refuse(errno.EACCES)
    assert "free some" in refuse(errno.ENOSPC)


@pytest.mark.parametrize("home", [None, "/", "/nowhere"])
def test_a_container_s_user_has_a_cache_of_its_own_whatever_its_home_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)

    def nobody(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(paths, "_may_write", lambda _: False)  # root may write everywhere
    place = paths.cache()
    assert place.parent == tmp_path
    assert place.is_dir()
    assert paths.configuration().name == "rnnpool-hil"
