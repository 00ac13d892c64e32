"""The start-up code, drivers and linker script of a chip, by the name that a board's file says.

A package of others adds a chip by an entry point of the group `hil.chips`, named as the chip is,
whose value is the package with the files of a folder of `firmware/chips`:
`stm32g4 = "my_chips.stm32g4"`.
"""

from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from hil.errors import BuildError
from hil.paths import FIRMWARE

GROUP = "hil.chips"
_OURS = FIRMWARE / "chips"


def names() -> list[str]:
    """Chips that firmware can be built for."""
    ours = [path.name for path in _OURS.iterdir() if _has_sources(path)]
    return sorted({*ours, *(point.name for point in entry_points(group=GROUP))})


def folder(name: str) -> Path:
    """Return the folder of a chip's sources.

    Raises:
        BuildError: there is no such chip (the error lists those there are), or what an installed
            package offers for it is no folder with C sources.
    """
    if _has_sources(_OURS / name):
        return _OURS / name
    point = next((one for one in entry_points(group=GROUP) if one.name == name), None)
    if point is None:
        raise BuildError(
            f"no start-up code for the chip {name} in firmware/chips",
            hint=f"known: {', '.join(names())}; an entry point of {GROUP} adds one",
            stage="toolchain",
        )
    found = _folder_of(point)
    if found is None or not _has_sources(found):
        raise BuildError(
            f"the chip {name}: {point.value} is no package with C sources",
            hint="it needs the files that firmware/chips/stm32f4 has",
            stage="toolchain",
        )
    return found


def _has_sources(folder: Path) -> bool:
    return next(folder.glob("*.c"), None) is not None


def _folder_of(point: EntryPoint) -> Path | None:
    try:
        spec = find_spec(point.module)
    except ImportError:
        return None
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None
