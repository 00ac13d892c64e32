"""The named things of a firmware image, by where they lie: functions, tables, variables."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_KINDS = {"STT_FUNC", "STT_OBJECT"}
_THUMB = 1  # lowest bit of a function's address


@dataclass(frozen=True)
class Symbol:
    """A function or variable.

    Attributes:
        section: that it lies in.
        stored: whether it occupies flash. in_ram: whether it occupies RAM.
    """

    name: str
    section: str
    address: int
    bytes: int
    stored: bool
    in_ram: bool


def read(elf: Path) -> list[Symbol]:
    """Return every symbol that has a size, by address; of several names for one place the first.

    Names that two files use for places of their own get a number behind them.

    Raises:
        BuildError: the file cannot be read as an ELF.
    """
    from hil.build.image import content_digest

    return list(_read(elf, content_digest(elf)))


@lru_cache(maxsize=4)  # of one image a run asks several times
def _read(elf: Path, _content: str) -> tuple[Symbol, ...]:
    from elftools.elf.elffile import ELFFile

    from hil.build.image import Image, refusals

    sections = {section.name: section for section in Image.read(elf).sections}
    with refusals(elf), elf.open("rb") as stream:
        found = {
            (address, size): (name, section)
            for name, section, address, size in sorted(_sized(ELFFile(stream)), reverse=True)
            if section in sections
        }
    seen: dict[str, int] = {}
    symbols = []
    for (address, size), (name, inside) in sorted(found.items()):
        count = seen[name] = seen.get(name, 0) + 1
        unique = name if count == 1 else f"{name}#{count}"
        section = sections[inside]
        symbols.append(Symbol(unique, inside, address, size, section.stored, section.in_ram))
    return tuple(symbols)


def _sized(elf: "ELFFile") -> Iterator[tuple[str, str, int, int]]:
    from elftools.elf.sections import SymbolTableSection

    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return
    names = [section.name for section in elf.iter_sections()]
    for symbol in table.iter_symbols():
        index = symbol["st_shndx"]
        if symbol["st_size"] and symbol["st_info"]["type"] in _KINDS and isinstance(index, int):
            yield symbol.name, names[index], symbol["st_value"] & ~_THUMB, symbol["st_size"]
