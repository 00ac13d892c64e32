"""Where a program's functions and variables lie, by name."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from hil.build.image import refusals
from hil.errors import UsageError

_KINDS = {"STT_FUNC", "STT_OBJECT", "STT_NOTYPE"}
_CODE = "STT_FUNC"
_NOWHERE = {"SHN_UNDEF", "SHN_ABS", "SHN_COMMON"}


@dataclass(frozen=True)
class Symbol:
    """A function or a variable.

    Attributes:
        bytes: its size; 0 where the file does not say.
    """

    name: str
    address: int
    bytes: int


class Symbols:
    """The symbols of a program's ELF file.

    Args:
        elf: None for a program that has none, whose places are addresses alone.
    """

    def __init__(self, elf: Path | None) -> None:
        self._elf = elf
        self._by_name: dict[str, Symbol] | None = None

    def find(self, name: str) -> Symbol:
        """Return a symbol. Raises UsageError where there is none of that name."""
        known = self._read()
        if name in known:
            return known[name]
        if self._elf is None:
            raise UsageError(
                f"where {name} lies is not known: the program came without an ELF file",
                hint="name the ELF file, or give an address",
            )
        close = difflib.get_close_matches(name, known, 4)
        raise UsageError(
            f"{self._elf} has no symbol {name!r}",
            hint=f"like it: {', '.join(close)}" if close else "is it stripped, or inlined?",
        )

    def address(self, where: str | int) -> int:
        """Return an address, given itself or a symbol's name. Raises UsageError."""
        return where if isinstance(where, int) else self.find(where).address

    def _read(self) -> dict[str, Symbol]:
        if self._by_name is None:
            self._by_name = {} if self._elf is None else _symbols(self._elf)
        return self._by_name


def _symbols(elf: Path) -> dict[str, Symbol]:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    found: dict[str, Symbol] = {}
    with refusals(elf), elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if not isinstance(section, SymbolTableSection):
                continue
            for one in section.iter_symbols():
                kind = one["st_info"]["type"]
                if one.name and kind in _KINDS and one["st_shndx"] not in _NOWHERE:
                    address = one["st_value"] & ~1 if kind == _CODE else one["st_value"]
                    found.setdefault(one.name, Symbol(one.name, address, one["st_size"]))
    return found
