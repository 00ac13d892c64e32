"""What a program's files put where: ELF, Intel HEX and plain binaries, one or several."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hil.build.image import Segment, read_segments
from hil.errors import BuildError, UsageError

_HEX, _BINARY = {".hex", ".ihex", ".ihx"}, {".bin"}
_MOST_BYTES = 64 << 20
_AT, _AND = "@", "+"


def read(names: Sequence[str | Path], base: int) -> tuple[Segment, ...]:
    """Return what all files together put into memory, by rising address.

    Args:
        names: of the files; `app.bin@0x08004000` says where a binary belongs.
        base: where a binary belongs that does not say.

    Raises:
        BuildError: a file cannot be read, or is damaged.
        UsageError: two files put something at one address, or a name is not understood.
    """
    found: list[tuple[Segment, Path]] = []
    for name in names:
        path, at = split(name)
        found += [(segment, path) for segment in _segments(path, base if at is None else at)]
    found.sort(key=lambda one: one[0].address)
    for (before, first), (after, second) in pairwise(found):
        if after.address < before.end:
            raise UsageError(
                f"{first} and {second} both have something at {after.address:#010x}",
                hint="say where a binary belongs: file.bin@0x08004000",
            )
    return tuple(segment for segment, _ in found)


def split(name: str | Path) -> tuple[Path, int | None]:
    """Take a file's address off its name, where it has one. Raises UsageError."""
    text = str(name)
    path, at, number = text.rpartition(_AT)
    if not at or Path(text).exists():
        return Path(text), None
    try:
        return Path(path), int(number, 0)
    except ValueError as error:
        raise UsageError(
            f"{text}: {number!r} is no address", hint="such as file.bin@0x08004000"
        ) from error


def joined(text: str) -> tuple[str, ...]:
    """Return the files of one program, such as those of "boot.hex+app.bin@0x08010000"."""
    parts = tuple(text.split(_AND))
    return parts if all(parts) and not split(text)[0].exists() else (text,)


def elf_of(names: Sequence[str | Path]) -> Path | None:
    """Return the last file that can name functions and variables; None where none can."""
    elves = [path for path, _ in map(split, names) if path.suffix.lower() not in _HEX | _BINARY]
    return elves[-1] if elves else None


def _segments(path: Path, base: int) -> tuple[Segment, ...]:
    kind = path.suffix.lower()
    if kind in _HEX:
        return _of_hex(path)
    if kind in _BINARY:
        data = _content(path)
        if not data:
            raise BuildError(f"{path} is empty")
        return (Segment(base, data),)
    return read_segments(path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > _MOST_BYTES:
        raise BuildError(f"{path} has more than {_MOST_BYTES:,} B: no program for this chip")
    return data


def _of_hex(path: Path) -> tuple[Segment, ...]:
    from intelhex import IntelHex, IntelHexError

    try:
        contents = IntelHex(io.StringIO(_content(path).decode("ascii")))
        ranges = contents.segments()
        return tuple(Segment(at, contents.tobinstr(start=at, size=end - at)) for at, end in ranges)
    except (IntelHexError, UnicodeDecodeError, ValueError, TypeError, LookupError) as error:
        raise BuildError(f"{path} is no Intel HEX file that can be read: {error}") from error
