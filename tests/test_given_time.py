"""A silence is judged by the time that the emulated core was given, not by a loaded machine's."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from hil.config import board
from hil.link.client import Device
from hil.targets.emulator.given_time import GivenTime
from hil.targets.emulator.target import EmulatedTarget


def wait(tasks: Path, thread: int, waited_ns: str) -> None:
    folder = tasks / str(thread)
    folder.mkdir(exist_ok=True)
    (folder / "schedstat").write_text(f"123 {waited_ns} 7\n")


def test_time_in_which_the_core_s_thread_waits_for_a_processor_does_not_count(
    tmp_path: Path,
) -> None:
    seconds = 1000.0
    wait(tmp_path, 7, "5000000000")
    clock = GivenTime(7, lambda: seconds, tmp_path)
    assert clock() == 0.0
    seconds = 1100.0
    assert clock() == 100.0
    wait(tmp_path, 7, "45000000000")
    assert clock() == 60.0
    wait(tmp_path, 7, "104000000000")
    assert clock() == 10.0  # a tenth of the wall's at least
    (tmp_path / "7" / "schedstat").unlink()  # the thread has ended: no jump
    assert clock() == 10.0
    wait(tmp_path, 7, "nonsense")
    assert clock() == 10.0
    plain = GivenTime(8, lambda: seconds, tmp_path)  # the system does not say
    seconds = 1200.0
    assert plain() == 100.0


def test_the_emulated_board_s_clock_is_that_of_its_core_s_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.targets.emulator.given_time._TASKS", tmp_path)
    with EmulatedTarget(board.load("stm32f439")) as target:
        (core,) = (one for one in threading.enumerate() if one.name == "emulated core")
        assert core.native_id is not None
        first = time.monotonic()
        clock = target.clock()
        wait(tmp_path, core.native_id, "5000000000000")
        given = clock()
        assert 0 < given <= (time.monotonic() - first) * 0.1
        assert Device(target.serial(), timeout_s=1.0, clock=target.clock())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system has no /proc")
def test_linux_says_how_long_a_thread_waited() -> None:
    words = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    assert len(words) == 3, os.uname()
    assert all(int(word) >= 0 for word in words)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system has no /proc")
def test_the_system_s_file_is_opened_once_and_let_go(tmp_path: Path) -> None:
    wait(tmp_path, 7, "0")
    file = str(tmp_path / "7" / "schedstat")
    given = GivenTime(7, lambda: 0.0, tmp_path)
    given()
    assert _opened().count(file) == 1
    del given
    assert file not in _opened()


def _opened() -> list[str]:
    """Return the files that this process has open."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.append(str(one.readlink()))
    return found
