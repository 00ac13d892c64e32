"""The cache of builds: what is kept, and what may go.

Only files in folders that builds make are counted or deleted, so that a wrong $HIL_CACHE costs
nothing else.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = (
    "firmware",
    "objects",
    "native",
    "cortex-m4",
    "test-firmware",
    "maps",
    "counts",
    "scenarios",
    "blocks",
    "evaluations",
)
ZIG = "zig"
"""What zig keeps for itself: one piece, since it takes for granted what it once made there."""
SCRATCH = "build-"
"""How folders begin in which something is being made."""
TIDIED = "tidied"
"""A file in the cache, as old as the last look for what may go."""
_DAY_S, _LOOK_AGAIN_S = 86_400.0, 3_600.0
_UNUSED_DAYS, _MOST_BYTES = 90.0, 4 << 30  # what stays without being asked for


@dataclass(frozen=True)
class Kept:
    """A file of the cache, or zig's folder in it.

    Attributes:
        used_s: when it was made or last used, in seconds since the epoch.
    """

    path: Path
    kind: str
    bytes: int
    used_s: float


def files(root: Path) -> list[Kept]:
    """Return every file that builds have left, the longest unused first."""
    found = list(_of_zig(root / ZIG))
    for kind in KINDS:
        for path, facts in _below(root / kind):
            found.append(Kept(Path(path), kind, facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda one: (one.used_s, one.path))


def _below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below a folder that is still there when it is looked at.

    Other processes build and tidy up meanwhile: `Path.rglob` would raise at a folder that goes.
    """
    left = [str(folder)]
    while left:
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError), os.scandir(left.pop()) as found:
            entries = list(found)
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    yield entry.path, entry.stat(follow_symlinks=False)


def _of_zig(folder: Path) -> Iterator[Kept]:
    sizes = [facts.st_size for _, facts in _below(folder)]
    if sizes:
        with contextlib.suppress(FileNotFoundError):
            yield Kept(folder, ZIG, sum(sizes), folder.stat().st_mtime)


def note_use(path: Path) -> None:
    """Remember that a file was used, where the cache may be written to."""
    with contextlib.suppress(OSError):
        os.utime(path)


def to_prune(
    kept: Sequence[Kept],
    now_s: float,
    *,
    older_than_days: float | None = None,
    max_bytes: int | None = None,
) -> list[Kept]:
    """Choose what goes.

    Args:
        kept: the longest unused first.
        now_s: in seconds since the epoch.
        older_than_days: what was not used for longer goes.
        max_bytes: the longest unused goes until no more is left.
    """
    oldest_s = -float("inf") if older_than_days is None else now_s - older_than_days * _DAY_S
    left = sum(one.bytes for one in kept)
    chosen = []
    for one in kept:
        if one.used_s < oldest_s or (max_bytes is not None and left > max_bytes):
            chosen.append(one)
            left -= one.bytes
    return chosen


def tidy(root: Path) -> None:
    """Delete what was not used for 90 days, the longest unused beyond 4 GiB, and broken-off builds.

    A build takes minutes; what one that was killed has left is a day old. To look through a large
    cache takes longer than most builds, so it is done once an hour.
    """
    if _looked_through_lately(root / TIDIED):
        return
    chosen = to_prune(files(root), time.time(), older_than_days=_UNUSED_DAYS, max_bytes=_MOST_BYTES)
    with contextlib.suppress(OSError):  # a cache that others own
        delete(root, chosen)
        for scratch in (one for kind in KINDS for one in (root / kind).glob(f"{SCRATCH}*")):
            if scratch.stat().st_mtime < time.time() - _DAY_S:
                shutil.rmtree(scratch, ignore_errors=True)


def _looked_through_lately(mark: Path) -> bool:
    """Whether a mark is younger than an hour; it is new from now on."""
    with contextlib.suppress(FileNotFoundError):
        if 0 <= time.time() - mark.stat().st_mtime < _LOOK_AGAIN_S:
            return True
    with contextlib.suppress(OSError):  # a cache that others own
        mark.touch()
    return False


def delete(root: Path, chosen: Sequence[Kept]) -> None:
    """Delete files, and the folders they stood in that are empty then.

    Other empty folders stay: a build that is under way may just have made one.

    Args:
        root: the cache.
        chosen: files of it.
    """
    for one in chosen:
        if one.kind == ZIG:
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
    roots = {root, *(root / kind for kind in KINDS)}
    for folder in {one.path.parent for one in chosen} - roots:
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
