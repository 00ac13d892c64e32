"""Files read within a limit, written whole or not at all, and temporary ones that do not stay."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SCRATCH = "hil-"
"""How folders of temporary files begin."""

LOCK = ".lock"
"""In such a folder; whoever works in it holds it."""


def read_text(path: Path, most_bytes: int) -> str:
    """Read a text in UTF-8; a file without end is read no further than the limit.

    Args:
        path: of the file.
        most_bytes: that it may have.

    Raises:
        OSError: it cannot be read, or is larger. UnicodeDecodeError: it is no text.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} B", str(path))
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none by a name that no system takes."""
    try:
        return path.is_file()
    except OSError:  # too long, or behind a folder that this user may not enter
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; there is none by a name that no system takes."""
    try:
        return path.is_dir()
    except OSError:
        return False


def exists(path: Path) -> bool:
    """Whether there is a file or folder; there is none by a name that no system takes."""
    try:
        return path.exists()
    except OSError:
        return False


def why_not_writable(path: Path) -> str:
    """Say why a file cannot be written; nothing where it can.

    Args:
        path: of the file; its folder need not be there yet.
    """
    if path.is_dir():
        return f"{path} is a folder"
    there = next(one for one in path.absolute().parents if exists(one))
    if not there.is_dir():
        return f"{there} is no folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"no right to write to {there}"


def replace(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, have the disk hold it, then put it there in one step.

    So a reader meets the old file or the new one, after a crash of the machine too.

    Args:
        path: of the file; its folder is made where there is none.
        content: all of it; a text goes in UTF-8.

    Raises:
        OSError: it cannot be written; the error says how many bytes it was to have.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns():x}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            sync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        what = f"{error.strerror or error}, for {len(data):,} B"
        raise OSError(error.errno, what, str(path)) from error
    _sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Have the disk hold what was written to an open file. Raises OSError where that fails."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what stands there is no disk
            raise


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems have no such thing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Return the bytes that are free where a path stands, or would stand."""
    there = next((one for one in (path, *path.parents) if one.is_dir()), Path("/"))
    facts = os.statvfs(there)
    return facts.f_bavail * facts.f_frsize


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder for temporary files while the block runs; `sweep` removes it if that is killed.

    Raises:
        OSError: there is no room for it.
    """
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
        work = Path(folder, "work")
        work.mkdir()
        with Path(folder, LOCK).open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel, however the process ends
            yield work


def sweep(older_than_s: float = 60.0) -> list[Path]:
    """Remove what killed runs have left among the temporary files; return the folders.

    Only folders of this user go that hold a lock file which nobody holds.

    Args:
        older_than_s: a folder that was made just now may not be locked yet.
    """
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{SCRATCH}*")):
        with suppress(OSError):
            facts = folder.lstat()
            lately = facts.st_mtime > time.time() - older_than_s
            if lately or facts.st_uid != os.getuid() or not stat.S_ISDIR(facts.st_mode):
                continue
            with (folder / LOCK).open("r+", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            removed.append(folder)
    return removed
