"""Networks' counts laid out beside the paper's figures: for a person, as CSV, as JSON."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.models.paper import Figure
from hil.studies.counts.counted import Counts, Memory

if TYPE_CHECKING:
    from rich.table import Table

TOLERANCE = 0.05
_MARK = "*"


@dataclass(frozen=True)
class Comparison:
    """A figure of ours beside the paper's.

    Attributes:
        because: why they differ, where they do by more than `TOLERANCE`.
    """

    model: str
    figure: Figure
    ours: int
    paper: int
    source: str
    because: str

    @property
    def ratio(self) -> float:
        """Ours over the paper's."""
        return self.ours / self.paper

    @property
    def agrees(self) -> bool:
        """Whether they differ by `TOLERANCE` at most."""
        return abs(self.ratio - 1.0) <= TOLERANCE


def compare(counts: Counts) -> dict[Figure, Comparison]:
    """Set every figure that the paper has beside ours."""
    paper = counts.paper
    pairs: dict[Figure, tuple[int, int | None]] = {
        "parameters": (counts.parameters, paper.parameters),
        "macs": (getattr(counts.macs, paper.counted), paper.macs),
        "map_bytes": (counts.map_bytes, paper.map_bytes),
        "weight_bytes": (counts.weight_bytes, paper.weight_bytes),
    }
    return {
        figure: Comparison(
            counts.model, figure, ours, theirs, paper.source, paper.because.get(figure, "")
        )
        for figure, (ours, theirs) in pairs.items()
        if theirs is not None
    }


def disagreements(all_counts: Sequence[Counts]) -> Iterator[str]:
    """Say, reason by reason, where ours and the paper's figures part."""
    of_reason: dict[str, list[Comparison]] = {}
    for counts in all_counts:
        for pair in compare(counts).values():
            if not pair.agrees:
                of_reason.setdefault(pair.because, []).append(pair)
    for reason, pairs in of_reason.items():
        names = ", ".join(f"{p.model} {p.figure} {p.ratio:.2f}" for p in pairs)
        yield f"{_MARK} {names} ({pairs[0].source}): {reason}"


def obstacles(all_counts: Sequence[Counts]) -> Iterator[str]:
    """Say, reason by reason, which networks have no plan."""
    of_reason: dict[str, list[str]] = {}
    for counts in all_counts:
        if counts.memory and counts.memory.obstacle:
            of_reason.setdefault(counts.memory.obstacle, []).append(counts.model)
    for reason, names in of_reason.items():
        yield f"- no plan for {', '.join(names)}: {reason}"


def family(model: str) -> str:
    """Return the family of a network: what its name begins with, or `layer` of a single one."""
    return "layer" if model.endswith("_layer") else model.partition("_")[0]


def families(all_counts: Sequence[Counts]) -> Iterator[str]:
    """Yield a line for each family: how many networks, from and to how many parameters and MACs."""
    groups: dict[str, list[Counts]] = {}
    for counts in all_counts:
        groups.setdefault(family(counts.model), []).append(counts)
    yield f"{'family':14}{'networks':>8}{'parameters, K':>20}{'MACs, M':>20}"
    for name, own in groups.items():
        spans = [[one.parameters / 1e3 for one in own], [one.macs.plain / 1e6 for one in own]]
        parameters, macs = (f"{min(span):,.1f} to {max(span):,.1f}" for span in spans)
        yield f"{name:14}{len(own):>8}{parameters:>20}{macs:>20}"


def tables(all_counts: Sequence[Counts]) -> "list[Table]":
    """Lay the counts out for a person: computation, then memory."""
    computation = _table(
        ("params, K", "x", "plain", "shared", "patches", "sparse", "x"),
        "MACs in millions: plain; W x computed once; sweeps shared between patches; less the zeros "
        f"of sparse cells. x: ours over the paper's, {_MARK} where over {TOLERANCE:.0%} apart",
    )
    memory = _table(
        ("maps, B", "x", "SRAM, B", "rows", "flash, B", "weights,\nB", "x"),
        "maps: peak in the paper's convention; SRAM, flash: as planned for the board; rows: if the "
        "image comes in row by row; weights: constants of the quantised program",
    )
    for counts in all_counts:
        pairs = compare(counts)
        macs, planned = counts.macs, counts.memory
        computation.add_row(
            counts.model,
            f"{counts.parameters / 1e3:,.1f}",
            _ratio(pairs.get("parameters")),
            *(
                f"{count / 1e6:.1f}"
                for count in (macs.plain, macs.shared, macs.across_patches, macs.sparse)
            ),
            _ratio(pairs.get("macs")),
        )
        memory.add_row(
            counts.model,
            f"{counts.map_bytes:,}",
            _ratio(pairs.get("map_bytes")),
            _bytes(planned.sram_bytes) if planned else "",
            "yes" if planned and planned.streams else "",
            _bytes(planned.flash_bytes) if planned else "",
            f"{counts.weight_bytes:,}",
            _ratio(pairs.get("weight_bytes")),
        )
    return [computation, memory]


_MARKDOWN = (
    *("network", "parameters", "×", "MACs, M: plain", "shared", "patches", "sparse", "×"),  # noqa: RUF001
    *("maps, B", "×", "planned SRAM, B", "image", "flash, B", "weights, B"),  # noqa: RUF001
)
_NOTHING = "\u2013"  # an en dash, in a cell without a figure


def markdown(all_counts: Sequence[Counts]) -> str:
    """Lay the counts out as one table for a document."""
    rules = ["---", *("--:" for _ in _MARKDOWN[1:])]
    rows = [_MARKDOWN, rules, *map(_markdown_row, all_counts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _markdown_row(counts: Counts) -> list[str]:
    pairs, macs, planned = compare(counts), counts.macs, counts.memory
    ratios = {name: _ratio(pair).strip() for name, pair in pairs.items()}
    cells = [
        f"`{counts.model}`",
        f"{counts.parameters:,}",
        ratios.get("parameters", ""),
        *(f"{n / 1e6:,.1f}" for n in (macs.plain, macs.shared, macs.across_patches, macs.sparse)),
        ratios.get("macs", ""),
        f"{counts.map_bytes:,}",
        ratios.get("map_bytes", ""),
        _of_region(planned, "sram"),
        _image(planned),
        _of_region(planned, "flash"),
        f"{counts.weight_bytes:,}",
    ]
    return [cell or _NOTHING for cell in cells]


def _of_region(planned: Memory | None, region: str) -> str:
    """What a plan takes of a region, or by how much the nearest one exceeds it."""
    if planned is None:
        return ""
    if planned.obstacle:
        return f"+{planned.lacking:,}" if planned.lacks.lower() == region else ""
    return _bytes(planned.sram_bytes if region == "sram" else planned.flash_bytes)


def _table(headings: Sequence[str], caption: str) -> "Table":
    from rich import box
    from rich.table import Table

    out = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        collapse_padding=True,
        caption=caption,
        caption_justify="left",
    )
    out.add_column("model", no_wrap=True)
    for heading in headings:
        out.add_column(heading, justify="right", no_wrap=True)
    return out


def _ratio(pair: Comparison | None) -> str:
    return f"{pair.ratio:.2f}{' ' if pair.agrees else _MARK}" if pair else ""


def _image(planned: Memory | None) -> str:
    if planned is None or planned.obstacle:
        return ""
    return "by rows" if planned.streams else "whole"


def _bytes(count: int | None) -> str:
    return "no plan" if count is None else f"{count:,}"


def records(all_counts: Sequence[Counts]) -> list[dict[str, Any]]:
    """Return one flat record per network, all with the same keys."""
    return [_record(counts) for counts in all_counts]


def _record(counts: Counts) -> dict[str, Any]:
    memory, macs, pairs = counts.memory, counts.macs, compare(counts)
    record: dict[str, Any] = {
        "model": counts.model,
        "parameters": counts.parameters,
        "macs_plain": macs.plain,
        "macs_shared": macs.shared,
        "macs_across_patches": macs.across_patches,
        "macs_sparse": macs.sparse,
        "map_bytes": counts.map_bytes,
        "planned_sram_bytes": memory.sram_bytes if memory else None,
        "planned_ccm_bytes": memory.ccm_bytes if memory else None,
        "planned_flash_bytes": memory.flash_bytes if memory else None,
        "planned_streams": memory.streams if memory else None,
        "not_planned_because": memory.obstacle if memory else "",
        "weight_bytes": counts.weight_bytes,
        "paper_source": counts.paper.source,
        "paper_macs_counted": counts.paper.counted if counts.paper.macs else "",
    }
    figures: tuple[Figure, ...] = ("parameters", "macs", "map_bytes", "weight_bytes")
    for figure in figures:
        pair = pairs.get(figure)
        record[f"paper_{figure}"] = pair.paper if pair else None
        record[f"{figure}_ratio"] = round(pair.ratio, 4) if pair else None
        record[f"{figure}_because"] = pair.because if pair and not pair.agrees else ""
    return record


def as_json(all_counts: Sequence[Counts]) -> str:
    """Write the records as JSON."""
    return json.dumps(records(all_counts), indent=2)


def write_csv(all_counts: Sequence[Counts], path: Path) -> None:
    """Write the records as CSV, one row per network.

    Args:
        all_counts: one of each network.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = records(all_counts)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
