"""Modelled cycles beside published ones, and the errors of a set of them."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


LOOKS = {
    "run": "looked at when the rules were chosen",
    "known": "not run when the rules before the last were chosen; m4-1's figures were known",
}
"""What a set's `looked_at` says of it."""


_COLUMNS = (
    "timing", "rules", "suite", "benchmark", "modelled", "published", "ratio", "looked_at"
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Modelled cycles of one program beside those of silicon.

    Attributes:
        modelled: cycles on the emulated core.
        published: cycles on silicon; a fraction where the authors give a mean.
        looked_at: whether the rules were chosen with a view to it: `LOOKS`.
    """

    suite: str
    benchmark: str
    modelled: float
    published: float
    looked_at: str = "run"

    @property
    def ratio(self) -> float:
        """Modelled over published."""
        return self.modelled / self.published


@dataclass(frozen=True)
class Errors:
    """Of a set of comparisons; errors are relative, of the ratio in either direction."""

    geometric_mean: float
    mean_error: float
    worst: Comparison


def errors(comparisons: Sequence[Comparison]) -> Errors:
    """Sum a set of comparisons up.

    The mean error is exp(mean |ln ratio|) - 1, which weighs too fast and too slow alike.
    """
    logs = [math.log(c.ratio) for c in comparisons]
    return Errors(
        math.exp(sum(logs) / len(logs)),
        math.exp(sum(map(abs, logs)) / len(logs)) - 1,
        max(comparisons, key=lambda c: abs(math.log(c.ratio))),
    )


def write_csv(parts: Mapping[str, Sequence[Comparison]], path: Path, timing_version: str) -> None:
    """Write one row for each comparison.

    Args:
        parts: comparisons by what they were made with: "all rules" or "without ...".
        path: of the file.
        timing_version: of all the rules.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for rules, comparisons in parts.items():
            for c in comparisons:
                figures = [f"{c.modelled:.10g}", f"{c.published:.10g}", f"{c.ratio:.5f}"]
                rows.writerow([timing_version, rules, c.suite, c.benchmark, *figures, c.looked_at])


def summary(comparisons: Sequence[Comparison]) -> str:
    """Say the errors of some comparisons in a line."""
    found = errors(comparisons)
    return (
        f"{len(comparisons)} figures: geometric mean {found.geometric_mean:.4f}, "
        f"mean error {found.mean_error:.2%}, "
        f"worst {found.worst.benchmark} {found.worst.ratio - 1:+.1%}"
    )


def by_look(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Part comparisons by whether they were looked at; nothing where all of them were alike."""
    parts = {
        words: [c for c in comparisons if c.looked_at == look] for look, words in LOOKS.items()
    }
    return parts if all(parts.values()) else {}


def table(comparisons: Sequence[Comparison], title: str) -> "Table":
    """Lay comparisons out for a person, with their errors below.

    Args:
        comparisons: of one suite.
        title: of the table.
    """
    from rich import box
    from rich.table import Table

    out = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    out.add_column("benchmark")
    for name in ("modelled", "silicon", "ratio"):
        out.add_column(name, justify="right")
    for c in comparisons:
        out.add_row(c.benchmark, f"{c.modelled:,.10g}", f"{c.published:,.10g}", f"{c.ratio:.4f}")
    out.caption = summary(comparisons)
    out.caption_justify = "left"
    return out


def ablation(parts: Mapping[str, Sequence[Comparison]], title: str) -> "Table":
    """Lay the errors of the same comparisons by different rules out, one row each.

    Args:
        parts: by the name of the rules, comparisons of the same figures.
        title: of the table.
    """
    from rich import box
    from rich.table import Table

    out = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    out.add_column("rules")
    for name in ("geometric mean", "mean error", "worst"):
        out.add_column(name, justify="right")
    for variant, part in parts.items():
        found = errors(part)
        worst = f"{found.worst.benchmark} {found.worst.ratio - 1:+.1%}"
        out.add_row(variant, f"{found.geometric_mean:.4f}", f"{found.mean_error:.2%}", worst)
    return out
