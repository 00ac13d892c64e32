"""Files that are made once and kept in the user's cache, under a name that says what of."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from hil.build.kept import note_use


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
    """Return a file of the cache; make it where it is not there yet.

    The file is renamed into place, so that no process ever reads half of one; whoever makes the
    same in parallel publishes the same bytes.

    Args:
        path: where it is kept.
        make: makes it in the scratch folder that it is given, and returns where.
    """
    if path.is_file():
        note_use(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=path.parent) as scratch:
            make(Path(scratch)).replace(path)
    return path
