"""Files that are made once and kept in the user's cache, under a name that says what of."""

import contextlib
import errno
import glob
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hil import files
from hil.build.kept import KINDS, SCRATCH, note_use, tidy
from hil.errors import BuildError

_DIGEST_DIGITS = 16
_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


def digest(
    words: Iterable[str], roots: Iterable[Path], suffixes: frozenset[str] | None = None
) -> str:
    """Return a name for what is made of words and of all files in some folders.

    Args:
        words: compiler, version, flags and whatever else decides the outcome.
        roots: folders, in this order; neither where they stand nor when they were written counts.
        suffixes: of the files that count; None for all.

    Returns:
        32 hexadecimal digits.
    """
    found = hashlib.sha256("\0".join(words).encode())
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and (suffixes is None or path.suffix in suffixes):
                content = path.read_bytes()
                found.update(f"\0{path.relative_to(root).as_posix()} {len(content)}\0".encode())
                found.update(content)
    return found.hexdigest()[:32]


def made_once(path: Path, make: Callable[[Path], Path], *, anew: bool = False) -> Path:
    """Return a file of the cache; make it where it is not there yet, or no longer as it was made.

    The file's name gains a digest of its content, which is compared at every use. It is renamed
    into place, so that no process ever reads half of one; whoever makes the same in parallel
    publishes the same, or another that is as good. When something is made, what was long unused
    goes.

    Args:
        path: where it is kept, before its name gains the digest.
        make: makes it in the scratch folder that it is given, and returns where.
        anew: make it, whatever is there.

    Returns:
        The file's own path.

    Raises:
        BuildError: the cache cannot be written; and what `make` raises.
    """
    there = None if anew else next(found(path), None)
    if there is not None:
        note_use(there)
        return there
    with written(path.parent, "HIL_CACHE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = _made(path, make)
    if path.parent.name in KINDS:
        tidy(path.parent.parent)
    return kept


def found(path: Path) -> Iterator[Path]:
    """Yield the files that are there under a name of the cache and as they were made.

    Args:
        path: as `made_once` takes it.
    """
    for kept in _named_so(path):
        if _content(path, kept) is not None:
            yield kept


def content(path: Path) -> bytes | None:
    """Return what is kept under a name of the cache, as it was made; None where there is nothing.

    Args:
        path: as `made_once` takes it.
    """
    for kept in _named_so(path):
        if (whole := _content(path, kept)) is not None:
            note_use(kept)
            return whole
    return None


def keep(path: Path, data: bytes) -> None:
    """Keep what is quickly made again. The disk need not hold it: its name says what it is to be.

    Args:
        path: as `made_once` takes it.
        data: the file's content.

    Raises:
        BuildError: the cache cannot be written.
    """
    with written(path.parent, "HIL_CACHE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=SCRATCH, dir=path.parent, delete=False) as file:
            partial = Path(file.name)
        try:
            partial.write_bytes(data)
            partial.replace(_named(path, data))
        finally:
            partial.unlink(missing_ok=True)


def _named_so(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}"))


def place(kept: Path) -> Path:
    """Return the name that `made_once` was given for a file that it has kept."""
    return kept.with_name(f"{Path(kept.stem).stem}{kept.suffix}")


@contextlib.contextmanager
def written(folder: Path, variable: str) -> Iterator[None]:
    """Turn a failure to write while the block runs into a BuildError; on a full disk, how full.

    Args:
        folder: where the block writes.
        variable: of the environment, that names another place.
    """
    try:
        yield
    except OSError as error:
        what, hint = f"{folder} cannot be written: {error}", f"name another place with {variable}"
        if error.errno in _NO_RIGHT:
            raise BuildError(what, hint=hint, stage="files") from error
        free = f"{files.free_bytes(folder):,} B are free there"
        raise BuildError(f"{what}; {free}", hint=f"free some, or {hint}", stage="files") from error


def _made(path: Path, make: Callable[[Path], Path]) -> Path:
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=path.parent) as scratch:
        made = make(Path(scratch))
        kept = _named(path, made.read_bytes())
        with made.open("rb") as file:
            files.sync(file.fileno())  # before its name says that the disk holds it
        made.replace(kept)
    return kept


def _named(path: Path, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]
    return path.with_name(f"{path.stem}.{digest}{path.suffix}")


def _content(path: Path, kept: Path) -> bytes | None:
    """Return a file that has the content that its name says; one that has not is deleted."""
    try:
        data = kept.read_bytes()
    except OSError:  # another process may tidy up meanwhile
        return None
    if _named(path, data) == kept:
        return data
    with contextlib.suppress(OSError):
        kept.unlink()
    return None
