"""Files that are made once and kept in the user's cache, under a name that says what of."""

import contextlib
import glob
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from hil.build.kept import KINDS, SCRATCH, note_use, tidy

_DIGEST_DIGITS = 16


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


def made_once(path: Path, make: Callable[[Path], Path]) -> Path:
    """Return a file of the cache; make it where it is not there yet, or no longer as it was made.

    The file's name gains a digest of its content, which is compared at every use. It is renamed
    into place, so that no process ever reads half of one; whoever makes the same in parallel
    publishes the same, or another that is as good. When something is made, what was long unused
    goes.

    Args:
        path: where it is kept, before its name gains the digest.
        make: makes it in the scratch folder that it is given, and returns where.

    Returns:
        The file's own path.
    """
    for kept in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}")):
        if _is_whole(path, kept):
            note_use(kept)
            return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=path.parent) as scratch:
        made = make(Path(scratch))
        kept = _named(path, made.read_bytes())
        _sync(made)
        made.replace(kept)
    if path.parent.name in KINDS:
        tidy(path.parent.parent)
    return kept


def _named(path: Path, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]
    return path.with_name(f"{path.stem}.{digest}{path.suffix}")


def _is_whole(path: Path, kept: Path) -> bool:
    """Whether a file has the content that its name says; one that has not is deleted."""
    try:
        whole = _named(path, kept.read_bytes()) == kept
    except OSError:  # another process may tidy up meanwhile
        return False
    if not whole:
        with contextlib.suppress(OSError):
            kept.unlink()
    return whole


def _sync(path: Path) -> None:
    """Have the disk hold a file before its name says that it does."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
