"""Call stacks of an emulated run as a file that speedscope.app opens as a flame graph.

The emulated core follows calls and returns itself, so the firmware is not changed for it and every
cycle is in the file. Source: www.speedscope.app/file-format-schema.json.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.errors import UsageError

Chain = tuple[int, ...]

_EXECUTABLE = 0x4  # SHF_EXECINSTR


UNKNOWN = "?"
"""The function of code that no symbol covers."""


@dataclass(frozen=True)
class Functions:
    """The functions of a program: entry addresses in order, their names, and where they end.

    Attributes:
        ends: the first address behind each; that of the next one where a symbol has no size.
    """

    addresses: Sequence[int]
    names: Sequence[str]
    ends: Sequence[int]

    @classmethod
    def of(cls, elf: Path) -> "Functions":
        """Read a program's function symbols. Raises UsageError when it has none.

        An assembler's label counts as well where it is global and in code, for many are without
        `.type`; a function goes before a label at the same address.
        """
        from elftools.elf.elffile import ELFFile

        found: dict[int, tuple[str, int]] = {}
        with elf.open("rb") as file:
            contents = ELFFile(file)
            for symbol in sorted(_code_symbols(contents), key=_is_function):
                found[symbol["st_value"] & ~1] = symbol.name, symbol["st_size"]
        if not found:
            raise UsageError(
                f"{elf} names no functions", hint="link it without stripping its symbols"
            )
        addresses = sorted(found)
        following = [*addresses[1:], 1 << 32]
        ends = [
            at + found[at][1] if found[at][1] else after
            for at, after in zip(addresses, following, strict=True)
        ]
        return cls(addresses, [found[at][0] for at in addresses], ends)

    def name(self, address: int) -> str:
        """Return the name of the function that an address is in, "?" where it is in none."""
        index = bisect_right(self.addresses, address) - 1
        return self.names[index] if index >= 0 and address < self.ends[index] else UNKNOWN


def _code_symbols(contents: Any) -> Iterator[Any]:
    """Yield a program's functions and global labels in code."""
    table = contents.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        section = symbol["st_shndx"]
        if not symbol.name or not isinstance(section, int):
            continue
        is_global = symbol["st_info"]["bind"] in {"STB_GLOBAL", "STB_WEAK"}
        is_label = is_global and symbol["st_info"]["type"] == "STT_NOTYPE"
        is_code = contents.get_section(section)["sh_flags"] & _EXECUTABLE
        if _is_function(symbol) or (is_label and is_code):
            yield symbol


def _is_function(symbol: Any) -> bool:
    return bool(symbol["st_info"]["type"] == "STT_FUNC")


def spent_between(before: Mapping[Chain, int], after: Mapping[Chain, int]) -> dict[Chain, int]:
    """Return what was spent in each chain of calls from one reading to a later one.

    Args:
        before: cycles by chain of callers.
        after: of the same core, later.
    """
    spent = {chain: cycles - before.get(chain, 0) for chain, cycles in after.items()}
    return {chain: cycles for chain, cycles in spent.items() if cycles}


def by_function(stacks: Mapping[Chain, int], functions: Functions) -> dict[str, int]:
    """Return the cycles of each function itself, most first.

    Args:
        stacks: cycles by chain of callers.
        functions: the program's.
    """
    found: dict[str, int] = {}
    for chain, cycles in stacks.items():
        name = functions.name(chain[-1]) if chain else "(not called)"
        found[name] = found.get(name, 0) + cycles
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def tree(stacks: Mapping[Chain, int], functions: Functions, *, least: float = 0.002) -> list[str]:
    """Draw who called whom as indented lines: share with callees, own share, cycles, function.

    Args:
        stacks: cycles of each chain of function entries, outermost first.
        functions: their names.
        least: share of all cycles below which a chain is left out.
    """
    total = sum(stacks.values())
    inclusive: dict[Chain, int] = {}
    for chain, cycles in stacks.items():
        for depth in range(1, len(chain) + 1):
            inclusive[chain[:depth]] = inclusive.get(chain[:depth], 0) + cycles
    shown = [chain for chain, cycles in inclusive.items() if cycles >= least * total]

    def rank(chain: Chain) -> list[tuple[int, int]]:
        return [(-inclusive[chain[: i + 1]], chain[i]) for i in range(len(chain))]

    return [
        f"{inclusive[chain] / total:7.1%} {stacks.get(chain, 0) / total:7.1%} "
        f"{inclusive[chain]:>14,}  {'  ' * (len(chain) - 1)}{functions.name(chain[-1])}"
        for chain in sorted(shown, key=rank)
    ]


def write_speedscope(
    stacks: Mapping[Chain, int], functions: Functions, path: Path, title: str
) -> None:
    """Write call stacks, weighted by their cycles.

    Args:
        stacks: cycles of each chain of function entries, outermost first.
        functions: their names.
        path: of the file.
        title: shown by the viewer.
    """
    frames: dict[str, int] = {}
    samples = [
        [frames.setdefault(functions.name(entry), len(frames)) for entry in chain]
        for chain in stacks
    ]
    weights = list(stacks.values())
    document = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": title,
        "exporter": "hil",
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": [
            {
                "type": "sampled",
                "name": f"{title}: cycles",
                "unit": "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
