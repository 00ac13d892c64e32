"""Figures that documents print, and those of them that no mark of `hil reproduce` holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hil.studies import reproduce

_UNITS = (
    r"cycles?|B|KB|KiB|MB|ms|s|M/s|dB|%|M|K|points|instructions|"
    r"M (?:cycles|instructions/s|multiply-adds|multiply-accumulates)"
)
_NUMBER = r"[-+\u2212]?\d[\d,]*(?:\.\d+)?"
FIGURE = re.compile(rf"(?<![\w.`-])(?:{_NUMBER}\s?(?:{_UNITS})(?![\w/-])|\d+\.\d{{3,}}(?![\w.]))")
_MEASURED_COLUMN = re.compile(
    r"cycles|\bM\b|\bB\b|\bKB\b|\bs\b|dB|SQNR|cosine|ratio|modelled|silicon|stalls|/MAC"
)
_CELL = re.compile(rf"[*<]*{_NUMBER}")


@dataclass(frozen=True)
class Figure:
    """A number that is printed, as it stands there."""

    line: int
    text: str


def unmarked(path: Path) -> list[Figure]:
    """Find the figures of a document outside of marks and of code."""
    text = reproduce.MARK.sub(lambda found: _blank(found[0]), path.read_text(encoding="utf-8"))
    text = re.sub(r"```.*?```", lambda found: _blank(found[0]), text, flags=re.DOTALL)
    return list(_figures(text.splitlines()))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", "_", text)  # no spaces: they would begin a block of code


def _figures(lines: list[str]) -> Iterator[Figure]:
    heads: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("    "):
            continue
        prose = re.sub(r"`[^`]*`|<!--.*?-->|\]\([^)]*\)", " ", line)
        found = [match[0] for match in FIGURE.finditer(prose)]
        cells = [cell.strip() for cell in prose.strip().strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        else:
            found += [
                cell
                for head, cell in zip(heads, cells, strict=False)
                if _MEASURED_COLUMN.search(head) and _CELL.match(cell) and cell not in found
            ]
        yield from (Figure(number, one) for one in found)
