"""A network's quantisation as docs/quantisation.md prints it."""

import math
from collections.abc import Sequence

from hil.studies.quantisation.choices import Outcome, Report
from hil.studies.quantisation.table import worst_map

PARTS = ("photographs", "operators", "choices")


def write(report: Report, part: str) -> str:
    """Write one of `PARTS`: cosines by photograph, noise by operator, what each choice buys.

    Args:
        report: what was measured.
        part: one of `PARTS`.
    """
    quality = report.as_is
    if part == "photographs":
        lines = [[name, f"{quality.cosine[name]:.5f}"] for name in report.evaluation]
        return _grid(["photograph", "cosine of all outputs"], lines)
    if part == "operators":
        lines = [[name, _decibels(ratio)] for name, ratio in quality.sqnr_db.items()]
        return _grid(["operator", "dB"], _in_threes(lines))
    lines = [_choice(outcome) for outcome in report.outcomes]
    lines[0] = [f"**{cell}**" for cell in lines[0]]
    heads = ("instead", "least cosine", "mean cosine", "least of any output map")
    return _grid([*heads, "pool SQNR", "least SQNR"], lines)


def _choice(outcome: Outcome) -> list[str]:
    quality = outcome.quality
    name, least = worst_map(outcome)
    ratios = [ratio for ratio in quality.sqnr_db.values() if math.isfinite(ratio)]
    pool = quality.sqnr_db.get("pool")
    return [
        outcome.variant.what,
        f"{quality.least_cosine:.5f}",
        f"{quality.mean_cosine:.5f}",
        f"{least:.4f} `{name}`",
        "" if pool is None else f"{pool:.1f} dB",
        f"{min(ratios):.1f} dB",
    ]


def _decibels(ratio: float) -> str:
    return f"{ratio:.1f}" if math.isfinite(ratio) else "exact"


def _in_threes(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Lay a long list out in three columns, to be read downwards."""
    height = -(-len(lines) // 3)
    columns = [[*lines[at : at + height]] for at in range(0, len(lines), height)]
    padded = [[*column, *[["", ""]] * (height - len(column))] for column in columns]
    return [[cell for line in row for cell in line] for row in zip(*padded, strict=True)]


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    times = len(rows[0]) // len(heads)
    lines = [[*heads] * times, ["---"] * len(heads) * times, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
