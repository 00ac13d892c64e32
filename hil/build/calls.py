"""Who called a function of an image, by its stack: the image's own unwinding tables are read.

Source: DWARF 4 section 6.4 (call frame information); AADWARF32 for the numbers of registers.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hil.build.image import refusals
from hil.errors import BuildError

SP, LR, PC = 13, 14, 15
_MOST_CALLS = 32
_THUMB = 1

Registers = Mapping[int, int]
"""Values of R0 to R15 by number."""


class Calls:
    """Walks the stack of an image.

    Args:
        elf: the image; where its tables are damaged, nothing is known of callers.
    """

    def __init__(self, elf: Path) -> None:
        self._frames: list[tuple[int, int, list[dict[Any, Any]]]] = []
        with suppress(BuildError), refusals(elf):
            self._frames = _frames(elf)

    def chain(self, registers: Registers, read: Callable[[int], int | None]) -> list[int]:
        """Return the places that lead to where a core stands.

        Args:
            registers: of the core, as they are there.
            read: returns the word at an address; None where it cannot be read.

        Returns:
            The program counter, then each return address, from the innermost out.
        """
        now, places = dict(registers), [registers[PC]]
        while len(places) < _MOST_CALLS:
            before = self._caller(now, read, innermost=len(places) == 1)
            if before is None or before[PC] == 0:
                break
            now = before
            places.append(now[PC] & ~_THUMB)
        return places

    def _caller(
        self, now: dict[int, int], read: Callable[[int], int | None], *, innermost: bool
    ) -> dict[int, int] | None:
        """Return the registers in the function that called; None where that is not known."""
        at = (now[PC] & ~_THUMB) - (0 if innermost else 2)  # inside the call, not behind it
        row = self._row(at)
        if row is None:  # assembly: a leaf has its return address in LR
            return {**now, PC: now[LR]} if innermost and now[LR] != now[PC] else None
        rule = row["cfa"]
        if rule.reg is None or rule.reg not in now:
            return None
        frame = (now[rule.reg] + rule.offset) & 0xFFFF_FFFF
        before = {**now, SP: frame}
        for number, saved in row.items():
            if isinstance(number, int) and saved.type == "OFFSET":
                value = read(frame + saved.arg)
                if value is None:
                    return None
                before[number] = value
        if before[LR] == now[LR] and not innermost and LR not in row:
            return None
        before[PC] = before[LR]
        return before

    def _row(self, at: int) -> dict[Any, Any] | None:
        """Return the rules that hold at an address; None where the image has none."""
        for start, length, rows in self._frames:
            if start <= at < start + length:
                held = [row for row in rows if row["pc"] <= at]
                return held[-1] if held else None
        return None


def _frames(elf: Path) -> list[tuple[int, int, list[dict[Any, Any]]]]:
    from elftools.dwarf.callframe import FDE
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as stream:
        file = ELFFile(stream)
        if not file.has_dwarf_info():
            return []
        dwarf = file.get_dwarf_info()
        if not dwarf.has_CFI():
            return []
        return [
            (entry["initial_location"], entry["address_range"], entry.get_decoded().table)
            for entry in dwarf.CFI_entries()
            if isinstance(entry, FDE)
        ]
