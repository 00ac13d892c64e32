"""The lock of a physical board, among real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.errors import LockError, Verdict
from hil.targets import lock

KEY = "066BFF303435554157103522"
HOLD = """
import sys
from hil.targets import lock
with lock.held(sys.argv[1], name="desk-1", why="a soldering iron", wait_s=60, tell=print):
    print("held", flush=True)
    {then}
"""


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "locks"))


@contextmanager
def another_process(then: str = "sys.stdin.read()") -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the board."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def take(wait_s: float = 20.0, key: str = KEY) -> None:
    with lock.held(key, name="desk-1", why="a test", wait_s=wait_s, tell=print):
        pass


def test_a_board_that_another_process_holds_is_not_taken_and_the_error_says_who() -> None:
    with another_process() as process:
        with pytest.raises(LockError, match="a soldering iron") as caught:
            take(wait_s=0.3)
        assert caught.value.verdict is Verdict.LOCK
        assert f"process {process.pid} of " in caught.value.what
        assert not caught.value.is_worth_retry
        assert process.poll() is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_board_is_free_however_its_holder_was_ended(how: signal.Signals) -> None:
    with another_process() as process:
        process.send_signal(how)
        process.wait(120)
        take(wait_s=0)
        assert lock.holder(KEY) is None


def test_who_waits_is_told_of_the_holder_and_gets_the_board_when_it_is_free() -> None:
    told: list[str] = []
    with another_process() as process:

        def tell(text: str) -> None:
            told.append(text)
            process.stdin.close()  # type: ignore[union-attr]

        with lock.held(KEY, name="desk-1", why="a test", wait_s=60, tell=tell):
            mine = lock.holder(KEY)
            assert mine is not None
            assert (mine.pid, mine.why) == (os.getpid(), "a test")
    assert "desk-1, held by process" in told[0]
    assert "a soldering iron" in told[0]


def test_the_lock_goes_when_the_block_ends_by_an_error() -> None:
    with (
        pytest.raises(KeyError),
        lock.held(KEY, name="desk-1", why="a test", wait_s=0, tell=print),
    ):
        raise KeyError
    assert lock.holder(KEY) is None
    take(wait_s=0)


def test_boards_have_locks_of_their_own_and_one_board_one_lock_in_any_case() -> None:
    with lock.held(KEY, name="desk-1", why="a test", wait_s=0, tell=print):
        take(key="remote:localhost:5555", wait_s=0)
        with pytest.raises(LockError):
            take(key=KEY.lower(), wait_s=0)


def test_a_record_of_one_who_died_is_no_holder() -> None:
    take()
    (path,) = lock.directory().glob("*.lock")
    path.write_text(json.dumps(vars(lock.Holder.here("died here"))))
    assert lock.holder(KEY) is None


def test_other_users_may_open_a_lock_but_not_remove_it() -> None:
    old = os.umask(0o077)
    try:
        take()
    finally:
        os.umask(old)
    (path,) = lock.directory().glob("*.lock")
    assert path.stat().st_mode & 0o777 == 0o666
    assert lock.directory().stat().st_mode & 0o7777 == 0o1777


def test_a_link_in_a_locks_place_is_refused(tmp_path: Path) -> None:
    take()
    (path,) = lock.directory().glob("*.lock")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LockError, match=lock.VARIABLE):
        take()
