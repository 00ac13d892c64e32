"""Call stacks of an emulated run as a file that speedscope.app opens as a flame graph.

The emulated core follows calls and returns itself, so the firmware is not changed for it and every
cycle is in the file. Source: www.speedscope.app/file-format-schema.json.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.errors import UsageError

Chain = tuple[int, ...]


@dataclass(frozen=True)
class Functions:
    """The functions of a program: entry addresses in order, and their names."""

    addresses: Sequence[int]
    names: Sequence[str]

    @classmethod
    def of(cls, elf: Path) -> "Functions":
        """Read a program's function symbols. Raises UsageError when it has none."""
        from elftools.elf.elffile import ELFFile

        with elf.open("rb") as file:
            table: Any = ELFFile(file).get_section_by_name(".symtab")
            symbols = [] if table is None else list(table.iter_symbols())
        found = {
            s["st_value"] & ~1: s.name
            for s in symbols
            if s["st_info"]["type"] == "STT_FUNC" and s.name
        }
        if not found:
            raise UsageError(
                f"{elf} names no functions", hint="link it without stripping its symbols"
            )
        addresses = sorted(found)
        return cls(addresses, [found[address] for address in addresses])

    def name(self, address: int) -> str:
        """Return the name of the function that an address is in."""
        index = bisect_right(self.addresses, address) - 1
        return self.names[index] if index >= 0 else f"{address:#010x}"


def spent_between(before: Mapping[Chain, int], after: Mapping[Chain, int]) -> dict[Chain, int]:
    """Return what was spent in each chain of calls from one reading to a later one."""
    spent = {chain: cycles - before.get(chain, 0) for chain, cycles in after.items()}
    return {chain: cycles for chain, cycles in spent.items() if cycles}


def by_function(stacks: Mapping[Chain, int], functions: Functions) -> dict[str, int]:
    """Return the cycles of each function itself, most first."""
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
