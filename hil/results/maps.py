"""Maps of the integer reference, kept by digest, so that a change of outputs can be placed.

A baseline holds a digest of each map, not its values. The values are kept in the user's cache under
that digest, by every run of the harness on this machine, and by every revision that one measures.
"""

import contextlib
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil import paths

NOT_KEPT = (
    "which values is not known: no run on this machine has kept those before; "
    "compare with git:REV to have them"
)
_DIGITS = 12  # of a digest: 48 bits, which a CSV's float holds exactly
_FASTEST = 1
_WIDE = "int16"  # before the shape of such a map
_AXES = ("row", "column", "channel")

Map = npt.NDArray[np.int8 | np.int16]
"""(rows, columns, channels)."""


def digest(values: Map) -> int:
    """Return a digest of a map's bytes that fits a float: 48 bits of SHA-256."""
    return int(hashlib.sha256(values.tobytes()).hexdigest()[:_DIGITS], 16)


def keep(values: Map) -> int:
    """Keep a map in the cache, where that may be written to; return its digest."""
    name = digest(values)
    path = _path(name)
    with contextlib.suppress(OSError):
        if path.is_file():
            os.utime(path)
        else:
            axes = map(str, values.shape)
            shape = " ".join(axes if values.dtype == np.int8 else [_WIDE, *axes])
            _write(path, f"{shape}\n".encode() + zlib.compress(values.tobytes(), _FASTEST))
    return name


def is_kept(name: int) -> bool:
    """Whether there is a map of a digest; one that is will be kept for as long as if made now."""
    with contextlib.suppress(OSError):
        os.utime(_path(name))
        return True
    return _path(name).is_file()


def load(name: int) -> Map | None:
    """Return the map of a digest; None where it is not kept, or not whole."""
    try:
        head, _, packed = _path(name).read_bytes().partition(b"\n")
        axes = head.decode().split()
        wide = axes[:1] == [_WIDE]
        whole: Map = np.frombuffer(zlib.decompress(packed), np.int16 if wide else np.int8)
        values = whole.reshape([int(axis) for axis in axes[wide:]])
    except (OSError, ValueError, zlib.error):
        return None
    return values if digest(values) == name else None


def difference(before: int, after: int) -> str | None:
    """Say how two maps differ; None where they are not both kept.

    Args:
        before: digest of a map.
        after: digest of the other.

    Returns:
        Such as "3 of 4,800 differ, first at row 2, column 0, channel 5: 17, was 16".
    """
    old, new = load(before), load(after)
    if old is None or new is None:
        return None
    if old.shape != new.shape:
        return f"its shape is {new.shape}, was {old.shape}"
    wrong = np.argwhere(old != new)
    place = tuple(int(at) for at in wrong[0])
    where = ", ".join(f"{axis} {at}" for axis, at in zip(_AXES, place, strict=False))
    differ = "differs" if len(wrong) == 1 else "differ"
    return (
        f"{len(wrong):,} of {new.size:,} {differ}, first at {where}: {new[place]}, was {old[place]}"
    )


def _path(name: int) -> Path:
    return paths.cache() / "maps" / f"{name:0{_DIGITS}x}.z"


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step, so that no reader meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as partial:
        partial.write(content)
    Path(partial.name).replace(path)
