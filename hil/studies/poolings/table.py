"""The costs of poolings laid out: for a person, as Markdown, as CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hil.studies.poolings.costs import Row

if TYPE_CHECKING:
    from rich.table import Table

    from hil.run.session import Session

_HEADINGS = (
    "s",
    "cycles, M",
    "/MAC",
    "early, M",
    "arena, B",
    "RAM, B",
    "flash, B",
    "cosine",
    "paper: %",
    "MAdds, M",
    "params, K",
)
_LEGEND = (
    "early: the steps that hold the early pooling; * with the convolution that runs into it row "
    "by row. arena: planned RAM with the image, as the paper counts for its board; RAM: all-in, "
    "with static data and stack. paper: accuracy, MAdds and parameters as printed"
)
_COLUMNS = (
    "scenario",
    "pooling",
    "verdict",
    "reason",
    "latency_s",
    "cycles",
    "macs",
    "cycles_per_mac",
    "early_cycles",
    "early_shares",
    "arena_bytes",
    "ram_bytes",
    "flash_bytes",
    "cosine",
    "paper_accuracy",
    "paper_macs",
    "paper_parameters",
    "paper_source",
)


def how(session: "Session") -> str:
    """Say what the figures were measured on."""
    target = session.target
    return (
        f"{session.board.name} at {session.board.clock_hz / 1e6:.0f} MHz, {target.name}, "
        f"{target.timing} cycles, {session.toolchain}"
    )


def table(rows: Sequence[Row], title: str) -> "Table":
    """Lay the rows out for a person.

    Args:
        rows: what was measured.
        title: of the table.
    """
    from rich import box
    from rich.table import Table

    out = Table(
        title=title,
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        collapse_padding=True,
        caption=_LEGEND,
        caption_justify="left",
    )
    out.add_column("pooling", no_wrap=True)
    for heading in _HEADINGS:
        out.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        out.add_row(row.pooling, *_cells(row))
    return out


def markdown(rows: Sequence[Row], title: str) -> str:
    """Lay the rows out for a document.

    Args:
        rows: what was measured.
        title: the line below the table; empty for none.
    """
    lines = [
        "| pooling | " + " | ".join(_HEADINGS) + " |",
        "|---|" + "--:|" * len(_HEADINGS),
        *(f"| {row.pooling} | " + " | ".join(_cells(row)) + " |" for row in rows),
    ]
    return "\n".join([*lines, "", f"{title}; {_LEGEND}.", *(f"\n{note}" for note in notes(rows))])


def notes(rows: Sequence[Row]) -> Iterator[str]:
    """Say of every row that does not pass, why."""
    for row in rows:
        if not row.passes:
            yield f"{row.scenario}: [{row.verdict}] {row.reason}"


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one row per pooling, the paper's figures beside ours, empty where there are none.

    Args:
        rows: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_record(row) for row in rows)


def _cells(row: Row) -> tuple[str, ...]:
    cost, paper = row.cost, row.paper
    ours: tuple[str, ...] = (row.verdict, *[""] * 7)
    if cost is not None:
        early = "" if cost.early_cycles is None else f"{cost.early_cycles / 1e6:.1f}"
        ours = (
            f"{cost.latency_s:.3f}",
            f"{cost.cycles / 1e6:.1f}",
            f"{cost.cycles_per_mac:.2f}",
            f"{early}*" if cost.early_shares else early,
            f"{cost.arena_bytes:,}",
            f"{cost.ram_bytes:,}",
            f"{cost.flash_bytes:,}",
            f"{cost.cosine:.4f}",
        )
    return (
        *ours,
        "" if paper.accuracy is None else f"{paper.accuracy:.2f}",
        "" if paper.macs is None else f"{paper.macs / 1e6:.1f}",
        "" if paper.parameters is None else f"{paper.parameters / 1e3:.0f}",
    )


def _record(row: Row) -> dict[str, object]:
    record: dict[str, object] = {
        "scenario": row.scenario,
        "pooling": row.pooling,
        "verdict": row.verdict,
        "reason": row.reason,
        "paper_accuracy": row.paper.accuracy,
        "paper_macs": row.paper.macs,
        "paper_parameters": row.paper.parameters,
        "paper_source": row.paper.source,
    }
    if row.cost is None:
        return record
    return record | asdict(row.cost) | {"cycles_per_mac": round(row.cost.cycles_per_mac, 4)}
