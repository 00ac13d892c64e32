"""One user of a physical board at a time, across the processes and users of a machine.

The lock is the kernel's (`flock` on a file of `directory()`), so that it goes when its holder goes,
however it ends. The file also says who holds it and why; that record counts only while the lock is
held.
"""

import fcntl
import getpass
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from hil.errors import LockError
from hil.paths import home

VARIABLE = "HIL_LOCKS"
_PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - all users must meet at one place
_TELL_EVERY_S = 10.0
_READ_BYTES = 4096
_ENDS_WITHIN_S = 10.0
# Takes the lock for the file that it has as standard input: a lock belongs to the opened file,
# which the parent has too.
_WAIT = "import fcntl; fcntl.flock(0, fcntl.LOCK_EX)"


@dataclass(frozen=True)
class Holder:
    """Who holds a board.

    Attributes:
        since: UTC, as ISO 8601 has it.
        by_hand: whether `hil boards lock` holds it, which `hil boards unlock` may end.
    """

    pid: int
    host: str
    user: str
    why: str
    since: str
    by_hand: bool = False

    @classmethod
    def here(cls, why: str, *, by_hand: bool = False) -> "Holder":
        """Describe this process.

        Args:
            why: the board is taken, for those who wait.
            by_hand: whether a person holds it, not a run.
        """
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        return cls(os.getpid(), socket.gethostname(), _user(), why, now, by_hand)

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host} since {self.since}: {self.why}"


def directory() -> Path:
    """Return where the locks stand, for all users of the machine; $HIL_LOCKS overrides it."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    place = next((one for one in _PLACES if os.access(one, os.W_OK)), home())
    return place / "rnnpool-hil"


@contextmanager
def held(
    key: str,
    *,
    name: str,
    why: str,
    wait_s: float,
    tell: Callable[[str], None],
    by_hand: bool = False,
) -> Iterator[None]:
    """Hold a board while the block runs.

    Args:
        key: what the board is known by: its probe's full id.
        name: of the board, for messages.
        why: for those who wait meanwhile.
        wait_s: how long to wait for another holder.
        tell: told who holds it, again and again while it waits.
        by_hand: whether `hil boards unlock` may end it.

    Raises:
        LockError: it is held by another for longer, or no lock can be taken on this machine.
    """
    file = _open(_path(key))
    try:
        if not _taken(file):
            _wait(file, key, name, wait_s, tell)
        _record(file, json.dumps(asdict(Holder.here(why, by_hand=by_hand))))
        yield
        _record(file, "")
    finally:
        os.close(file)


def holder(key: str) -> Holder | None:
    """Return who holds a board; None if nobody does."""
    path = _path(key)
    if not path.exists():
        return None
    file = _open(path)
    try:
        if _taken(file, fcntl.LOCK_SH):
            return None
        return _recorded(file)
    finally:
        os.close(file)


def end_hold(key: str, name: str) -> Holder | None:
    """End a hold by hand; a board is never taken from a run.

    Args:
        key: what the board is known by.
        name: of the board, for messages.

    Returns:
        who held it, None if nobody did.

    Raises:
        LockError: a run holds it, or another user does.
    """
    who = holder(key)
    if who is None:
        return None
    if not who.by_hand or who.host != socket.gethostname():
        raise LockError(f"{name} is in use by {who}", hint="it is free when that ends")
    try:
        os.kill(who.pid, signal.SIGTERM)
    except PermissionError as error:
        raise LockError(f"{name} is held by {who}", hint=f"ask {who.user}") from error
    except ProcessLookupError:
        pass  # it has just ended, and the lock with it
    with held(key, name=name, why="hil boards unlock", wait_s=_ENDS_WITHIN_S, tell=_untold):
        return who


def _untold(text: str) -> None:
    del text


def _path(key: str) -> Path:
    plain = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:40]
    digest = hashlib.sha256(key.lower().encode()).hexdigest()[:8]
    return directory() / f"{plain}-{digest}.lock"


def _open(path: Path) -> int:
    """Open a lock's file, which every user of the machine may open."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o1777)
        # A file of another user in such a directory may be opened, but not with O_CREAT.
        flags = os.O_RDWR | os.O_NOFOLLOW
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            file = os.open(path, flags | os.O_CREAT, 0o666)
            if os.fstat(file).st_uid == os.getuid():
                os.fchmod(file, 0o666)
            return file
    except OSError as error:
        raise LockError(
            f"the lock {path} cannot be opened: {error}",
            hint=f"name a directory that all users of the boards can write with ${VARIABLE}",
        ) from error


def _taken(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(file: int, key: str, name: str, wait_s: float, tell: Callable[[str], None]) -> None:
    """Wait for the lock in a child: the kernel's wait knows no time-out, the wait for it does."""
    deadline = time.monotonic() + wait_s
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", _WAIT], stdin=file)
    try:
        while True:
            left = deadline - time.monotonic()
            who = holder(key)
            if left <= 0:
                raise _still_held(key, name, who, wait_s)
            tell(f"waiting {left:.0f} s at most for {name}, held by {who or 'nobody any more'}")
            try:
                status = child.wait(min(_TELL_EVERY_S, left))
            except subprocess.TimeoutExpired:
                continue
            if status != 0:
                raise LockError(f"waiting for {name} ended with status {status}")
            return
    finally:
        child.kill()
        child.wait()


def _still_held(key: str, name: str, who: Holder | None, wait_s: float) -> LockError:
    hint = "wait for it, or take another board with --hil-probe"
    if who is not None and who.by_hand:
        hint = f"hil boards unlock {key}, if you may; or take another board with --hil-probe"
    return LockError(f"{name} was held for {wait_s:g} s, by {who or 'nobody known'}", hint=hint)


def _record(file: int, text: str) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode(), 0)


def _recorded(file: int) -> Holder:
    """Read who holds the lock, who may be writing it just now."""
    unknown = Holder(0, "this machine", "somebody", "not said yet", "just now")
    try:
        found = json.loads(os.pread(file, _READ_BYTES, 0))
        return Holder(**{field.name: found[field.name] for field in fields(Holder)})
    except (ValueError, KeyError, TypeError):
        return unknown


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return str(os.getuid())
