"""What the firmware has room for: numbers that its headers state, read from there."""

import re
from functools import cache
from pathlib import Path

from hil.errors import BuildError
from hil.paths import FIRMWARE

HEADERS = (FIRMWARE / "kernels" / "kernel_limits.h", FIRMWARE / "runtime" / "runtime_limits.h")

_LINE = re.compile(r"\s*([A-Z][A-Z0-9_]*) = ([1-9][0-9]*),\s*(/\*.*\*/)?")


def limit(name: str) -> int:
    """Return a limit by its name in C.

    Raises:
        BuildError: no header states it.
    """
    known = _all()
    if name not in known:
        headers = " or ".join(f"{path.parent.name}/{path.name}" for path in HEADERS)
        raise BuildError(
            f"no limit of the firmware is called {name}; known are {', '.join(sorted(known))}",
            hint=f"state it in firmware/{headers}",
        )
    return known[name]


def check_limit(layer: str, what: str, count: int, name: str) -> None:
    """Refuse a layer that exceeds a limit.

    Args:
        layer: its name in the model.
        what: is counted, in the plural.
        count: how many the layer has.
        name: the limit's.

    Raises:
        BuildError: there are more than the limit.
    """
    if count > limit(name):
        raise BuildError(
            f"{layer} has {count:,} {what}, and the firmware has room for {limit(name):,}",
            hint=f"make the layer smaller, or raise {name} in {_header_of(name)}",
        )


def _header_of(name: str) -> str:
    path = next(path for path in HEADERS if name in read(path))
    return f"firmware/{path.parent.name}/{path.name}"


@cache
def _all() -> dict[str, int]:
    return {name: value for path in HEADERS for name, value in read(path).items()}


def read(header: Path) -> dict[str, int]:
    """Return the constants of a header's one enumeration.

    Raises:
        BuildError: a line of it is no `NAME = number,`.
    """
    text = header.read_text(encoding="utf-8")
    body = text.partition("enum {\n")[2].partition("};")[0]
    found: dict[str, int] = {}
    for line in body.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise BuildError(f"{header}: {line.strip()!r} is no `NAME = number,`")
        found[match[1]] = int(match[2])
    return found
