"""The one reader of TOML files: what a file says, checked against what it may say."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from hil.errors import UsageError
from hil.files import read_text

MOST_BYTES = 1 << 20
"""Of a file: a hundred times the longest here."""

_Shape = TypeVar("_Shape")
Keys: TypeAlias = tuple[str | int, ...]
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WORDS = (("`object`", "a table"), ("`array`", "a list"), ("`str`", "a string"))


class Entries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the shapes that files and their tables have: no entry but those named."""


def read(path: Path, shape: type[_Shape]) -> _Shape:
    """Read a TOML file.

    Args:
        path: the file.
        shape: a class derived from `Entries`, whose fields say types and ranges.

    Raises:
        UsageError: the file cannot be read, is no TOML, or says what the shape does not allow; the
            error names file, line and key, what was expected, and the keys there are.
    """
    try:
        text = read_text(path, MOST_BYTES)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of 4301 digits, lists 1000 deep
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    try:
        return msgspec.convert(found, shape)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise _complaint(path, text, found, shape, str(error)) from error


def _complaint(
    path: Path, text: str, found: dict[str, Any], shape: type[Any], error: str
) -> UsageError:
    what, _, where = error.rpartition(" - at `$")
    if not what:
        what, where = error, ""
    keys = _keys(where.rstrip("`"))
    known = _known(msgspec.inspect.type_info(shape), keys)
    unknown, missing = _UNKNOWN.fullmatch(what), _MISSING.fullmatch(what)
    if unknown:
        return _told(path, text, (*keys, unknown[1]), "is not an entry there", known)
    if missing:
        lacks = "the file lacks it" if not keys else f"{_spelt(keys)} lacks it"
        return _told(path, text, (*keys, missing[1]), f"is needed: {lacks}", known, at=keys)
    for word, plain in _WORDS:
        what = what.replace(word, plain)
    if what.startswith("Invalid enum value"):
        what = f"expected {_choices(msgspec.inspect.type_info(shape), keys)}"
    said = what[:1].lower() + what[1:].replace("`", "")
    return _told(path, text, keys, f"{_value(found, keys)}: {said}", known)


def _told(
    path: Path,
    text: str,
    keys: Keys,
    what: str,
    known: Sequence[str],
    *,
    at: Keys | None = None,
) -> UsageError:
    line = _line(text, keys if at is None else at)
    where = f"{path}:{line}" if line else str(path)
    return UsageError(
        f"{where}: {_spelt(keys)} {what}", hint=f"known: {', '.join(known)}" if known else ""
    )


def _keys(where: str) -> Keys:
    """Return the keys of a path such as `.memory[1].bytes`."""
    found = re.findall(r"\[(\d+)\]|\.([^.\[]+)|\[(\.\.\.)\]", where)
    return tuple(int(number) if number else name or dots for number, name, dots in found)


def _spelt(keys: Keys) -> str:
    """Spell the way to an entry: `clock.hz`, `memory[1].bytes`."""
    spelt = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return spelt.removeprefix(".") or "the file"


def _value(found: Any, keys: Keys) -> str:
    """Return what the file says there, unless it is a table."""
    for key in keys:
        if key == "...":
            return "has a wrong entry"
        found = found[key]
    if isinstance(found, dict):
        return "is wrong"
    shown = repr(found)
    return f"= {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _known(shape: msgspec.inspect.Type, keys: Keys) -> list[str]:
    """Return the entries of the last table on the way that the keys say."""
    fields: list[str] = []
    for there in _way(shape, keys):
        for one in there:
            if isinstance(one, msgspec.inspect.StructType):
                fields = [field.encode_name for field in one.fields]
    return fields


def _choices(shape: msgspec.inspect.Type, keys: Keys) -> str:
    """Say what an entry of a few words may be."""
    said: list[str] = []
    for one in _way(shape, keys)[-1]:
        if isinstance(one, msgspec.inspect.LiteralType):
            said += [repr(value) for value in one.values]
        elif isinstance(one, msgspec.inspect.IntType):
            said.append("an int")
    return " or ".join(said)


def _way(shape: msgspec.inspect.Type, keys: Keys) -> list[Sequence[msgspec.inspect.Type]]:
    """Return what may stand at each step from the file to an entry, as far as the shape says."""
    way: list[Sequence[msgspec.inspect.Type]] = [_each(shape)]
    for key in keys:
        inner: list[msgspec.inspect.Type] = []
        for one in way[-1]:
            if isinstance(key, int) and isinstance(one, msgspec.inspect.ListType):
                inner += _each(one.item_type)
            elif isinstance(one, msgspec.inspect.StructType):
                inner += (t for f in one.fields if f.encode_name == key for t in _each(f.type))
        way.append(inner)
    return way


def _each(shape: msgspec.inspect.Type) -> Sequence[msgspec.inspect.Type]:
    return shape.types if isinstance(shape, msgspec.inspect.UnionType) else (shape,)


def _line(text: str, keys: Keys) -> int | None:
    """Return the line where an entry stands, or the table it would stand in; None if unclear."""
    if not keys:
        return None
    table: list[str | int] = []
    counts: dict[tuple[str | int, ...], int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*(\[\[?)\s*([\w.\- ]+?)\s*\]", line)
        if heading:
            table = [*heading[2].split(".")]
            if heading[1] == "[[":
                counts[tuple(table)] = counts.get(tuple(table), -1) + 1
                table.append(counts[tuple(table)])
            if tuple(table) == keys[: len(table)]:
                best = number
            if tuple(table) == keys:
                return number
        entry = re.match(r"\s*([\w-]+)\s*=", line)
        if entry and (*table, entry[1]) == keys[: len(table) + 1]:
            return number
    return best
