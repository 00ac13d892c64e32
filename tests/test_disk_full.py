"""A disk that is full, at results, build folder or cache: named, and nothing lost that need not be.

A limit on the size of files stands for it: the kernel refuses the same calls in the same place.
"""

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import report_rows

from hil import files
from hil.build.once import made_once, written
from hil.errors import BuildError, UsageError
from hil.results import details, table
from hil.results.store import Store


@contextmanager
def room_for(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, the cache and the home, in one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("tmp", "cache", "home"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_file_that_finds_no_room_leaves_the_old_one_and_names_path_and_bytes(
    tmp_path: Path,
) -> None:
    files.replace(tmp_path / "a.csv", "old")
    with room_for(100), pytest.raises(OSError, match=r"for 5,000 B.*a\.csv") as caught:
        files.replace(tmp_path / "a.csv", "x" * 5000)
    assert caught.value.errno == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_the_disk_holds_a_file_before_its_name_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted(descriptor: int) -> None:
        happened.append("fsync")
        sync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        happened.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", renamed)
    table.write(report_rows.rows(), tmp_path / "results.csv")
    details.write(report_rows.DETAILS, tmp_path / "results.csv")
    made_once(tmp_path / "native" / "a.so", lambda scratch: _made(scratch, 10))
    assert happened[:3] == ["fsync", "rename", "fsync"]  # the file, its name, the folder
    assert happened[3:6] == ["fsync", "rename", "fsync"]
    assert happened[6:8] == ["fsync", "rename"]


def _made(scratch: Path, size: int) -> Path:
    (scratch / "made").write_bytes(b"x" * size)
    return scratch / "made"


def test_rows_without_room_for_them_are_kept_elsewhere_and_it_is_said_where(
    elsewhere: Path,
) -> None:
    (elsewhere / "results").write_text("a file where the folder should be")
    store = Store.beside(elsewhere / "results" / "results.csv", "20260101T000000-abcdef")
    with pytest.raises(UsageError, match=r"cannot be written: .* for [\d,]+ B") as caught:
        store.write(report_rows.rows())
    kept = elsewhere / "tmp" / "hil-results" / "20260101T000000-abcdef.csv"
    assert f"they are kept in {kept}" in str(caught.value)
    assert table.load(kept) == report_rows.rows()


def test_a_third_place_is_tried_where_the_second_has_no_room_either(elsewhere: Path) -> None:
    (elsewhere / "results").write_text("")
    (elsewhere / "tmp" / "hil-results").write_text("")
    with pytest.raises(UsageError, match="kept in") as caught:
        Store.beside(elsewhere / "results" / "results.csv", "run").write(report_rows.rows())
    assert str(elsewhere / "cache" / "hil-results" / "run.csv") in str(caught.value)


def test_no_room_anywhere_is_said_with_the_places(elsewhere: Path) -> None:
    store = Store.beside(elsewhere / "results.csv", "run")
    with room_for(200), pytest.raises(UsageError, match="nor is there room in") as caught:
        store.write(report_rows.rows())
    for name in ("tmp", "cache", "home"):
        assert str(elsewhere / name) in str(caught.value)


def test_a_full_cache_is_a_build_error_that_says_what_is_free(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "native" / "a.so"
    with (
        room_for(1000),
        pytest.raises(BuildError, match=r"native cannot be written.*[\d,]+ B are free") as caught,
    ):
        made_once(place, lambda scratch: _made(scratch, 5000))
    assert "HIL_CACHE" in caught.value.hint
    assert list(place.parent.iterdir()) == []


def test_a_full_folder_of_builds_is_a_build_error_that_names_tmpdir(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(BuildError) as caught, written(tmp_path, "TMPDIR"):
        (tmp_path / "model.c").write_bytes(bytes(1000))
    assert str(tmp_path) in caught.value.what
    assert "TMPDIR" in caught.value.hint


def test_free_bytes_are_those_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert files.free_bytes(tmp_path / "not" / "yet") > 0
