"""Where in the source an address of an image is."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hil.build import symbols
from hil.build.image import content_digest, refusals
from hil.errors import BuildError

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.dwarfinfo import DWARFInfo
    from elftools.dwarf.lineprogram import LineProgram

_THUMB = 1


class Places:
    """Names the places of an image.

    Args:
        elf: the image.

    Raises:
        BuildError: the file cannot be read as an ELF.
    """

    def __init__(self, elf: Path) -> None:
        self._elf = elf
        self._symbols = symbols.read(elf)

    def function(self, address: int) -> str:
        """Return the name of the function that holds an address, empty where none does."""
        at = address & ~_THUMB
        held = (one for one in self._symbols if one.address <= at < one.address + one.bytes)
        return next((one.name for one in held), "")

    def describe(self, address: int) -> str:
        """Return an address with its function, file and line, as far as the image knows them."""
        name, where = self.function(address), self.line(address)
        return f"{address:#010x}{f' in {name}' if name else ''}{f' at {where}' if where else ''}"

    def line(self, address: int) -> str:
        """Return the file and line of an address, empty where the image says nothing of it.

        What it says may be damaged: then it says nothing.
        """
        with suppress(BuildError):
            return _line(self._elf, content_digest(self._elf), address & ~_THUMB)
        return ""


@lru_cache(maxsize=64)
def _line(elf: Path, _content: str, at: int) -> str:
    with suppress(BuildError), refusals(elf):
        return next((str(row) for row in _rows_of(elf, at) if row.start <= at < row.end), "")
    return ""


@dataclass(frozen=True)
class _Row:
    """Addresses from `start` to below `end`, which a line of a source became."""

    start: int
    end: int
    program: "LineProgram"
    file: int
    line: int

    def __str__(self) -> str:
        return f"{_file(self.program, self.file)}:{self.line}"


def _rows_of(elf: Path, at: int) -> Iterator[_Row]:
    """Yield the rows of the units that may hold an address; to decode all takes a second."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as stream:
        file = ELFFile(stream)
        if not file.has_dwarf_info():
            return
        dwarf = file.get_dwarf_info()
        for unit in dwarf.iter_CUs():
            if not _may_hold(dwarf, unit, at):
                continue
            if program := dwarf.line_program_for_CU(unit):
                yield from _rows_of_program(program)


def _may_hold(dwarf: "DWARFInfo", unit: "CompileUnit", at: int) -> bool:
    """Whether a unit's ranges of addresses hold one; true where it tells of none."""
    from elftools.dwarf.ranges import BaseAddressEntry

    told = unit.get_top_DIE().attributes
    lists = dwarf.range_lists()
    if "DW_AT_ranges" not in told or lists is None:
        return True
    base = told["DW_AT_low_pc"].value if "DW_AT_low_pc" in told else 0
    for entry in lists.get_range_list_at_offset(told["DW_AT_ranges"].value, cu=unit):
        if isinstance(entry, BaseAddressEntry):
            base = entry.base_address
            continue
        begin = 0 if getattr(entry, "is_absolute", False) else base
        if begin + entry.begin_offset <= at < begin + entry.end_offset:
            return True
    return False


def _rows_of_program(program: "LineProgram") -> Iterator[_Row]:
    before = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before is not None:
            yield _Row(before.address, state.address, program, before.file, before.line)
        before = None if state.end_sequence else state


def _file(program: "LineProgram", number: int) -> str:
    header = program.header
    index = number if header.version >= 5 else number - 1  # DWARF 5 counts files from 0
    file = header["file_entry"][index]
    folders = header["include_directory"]
    folder = file.dir_index if header.version >= 5 else file.dir_index - 1
    path = folders[folder] if 0 <= folder < len(folders) else b""
    parts = [part.decode() if isinstance(part, bytes) else str(part) for part in (path, file.name)]
    return "/".join(part for part in parts if part)
