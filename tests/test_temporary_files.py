"""Folders of temporary files: gone when their block ends, and swept when that was killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hil import files

_HOLDS = """
from hil import files
with files.scratch() as folder:
    (folder / "model.c").write_text("x")
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_when_its_block_ends(temporary: Path) -> None:
    with files.scratch() as folder:
        (folder / "a").write_text("x")
        assert temporary in folder.parents
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not(
    temporary: Path,
) -> None:
    command = [sys.executable, "-c", _HOLDS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip()).parent
        assert files.sweep(older_than_s=0) == []
        assert folder.is_dir()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert folder.is_dir()
        assert files.sweep() == []  # it is too young: its maker may be about to lock it
        assert files.sweep(older_than_s=0) == [folder]
    assert list(temporary.iterdir()) == []


def test_nothing_of_others_is_swept(temporary: Path) -> None:
    (temporary / "hil-results").mkdir()  # rows that found no room elsewhere
    (temporary / "hil-results" / "run.csv").write_text("rows")
    (temporary / "other-1").mkdir()
    (temporary / "other-1" / files.LOCK).write_text("")
    (temporary / "hil-file").write_text("")
    (temporary / "hil-link").symlink_to(temporary / "other-1")
    long_ago = time.time() - 1e6
    for path in temporary.iterdir():
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    assert files.sweep(older_than_s=0) == []
    assert (temporary / "other-1").is_dir()
    assert (temporary / "hil-results" / "run.csv").is_file()
