"""A network's quantisation laid out: for a person, as CSV, as JSON."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.studies.quantisation.choices import Outcome, Report

if TYPE_CHECKING:
    from rich.table import Table


def layers(report: Report) -> "Table":
    """Lay out what was chosen for every layer, and how much noise it has."""
    out = _table(
        f"{report.model} ({report.weights}), calibrated on {len(report.calibration)} photographs",
        "range of the output, and its share of what calibration met (= input: its input's "
        "range; bound: the states'). weights: bits x scales; of cells: bits, bits of the state h, "
        "table entries. SQNR in dB with the noise of all layers before, and alone, of rounding "
        "this output: the most that wider outputs here could mend",
        "layer",
        ("range", "share", "scale", "zero", "weights", "SQNR", "alone"),
    )
    out.columns[5].justify = "left"
    noise, alone = report.as_is.sqnr_db, report.as_is.rounding_db
    for layer in report.layers:
        out.add_row(
            layer.operator,
            f"{layer.low:.3g} .. {layer.high:.3g}",
            layer.given if layer.share is None else f"{layer.share:.2f}",
            f"{layer.scale:.3g}",
            str(layer.zero_point),
            layer.weights,
            _decibels(noise.get(layer.operator)),
            _decibels(alone.get(layer.operator)),
        )
    return out


def photographs(report: Report) -> "Table":
    """Lay out the cosine of all outputs on every photograph, by variant."""
    alone = len(report.outcomes) == 1
    title = "" if alone else "cosine of all outputs"
    headings = ("cosine of all outputs",) if alone else _names(report)
    out = _table(title, "", "photograph", headings)
    for name in report.evaluation:
        cosines = [outcome.quality.cosine[name] for outcome in report.outcomes]
        out.add_row(name, *(f"{cosine:.5f}" for cosine in cosines))
    return out


def choices(report: Report) -> "Table":
    """Lay out what undoing each choice does."""
    out = _table(
        "what each choice buys: the same figures with it undone",
        "cosine: of all outputs, worst photograph and mean; SQNR in dB likewise; worst map: the "
        "output map with the least cosine on any photograph; operator: whose SQNR changes most; "
        "cycles by the cost model, bytes of RAM and flash by the planner, as they change; lost: of "
        "mean average precision or accuracy on the dataset, with its standard error",
        "instead",
        (
            *("least", "mean", "SQNR", "mean", "worst map", "operator", "cycles", "RAM", "flash"),
            *(("lost, points",) if report.outcomes[0].score else ()),
        ),
    )
    for outcome in report.outcomes:
        quality = outcome.quality
        name, least = worst_map(outcome)
        out.add_row(
            outcome.variant.what,
            f"{quality.least_cosine:.5f}",
            f"{quality.mean_cosine:.5f}",
            _decibels(quality.least_sqnr_db),
            _decibels(quality.mean_sqnr_db),
            f"{least:.4f} {name}",
            "" if outcome is report.outcomes[0] else _greatest_change(report, outcome),
            *_cost(report, outcome),
            *_worth(outcome),
        )
    return out


def _worth(outcome: Outcome) -> tuple[str, ...]:
    """Say what a variant loses on the dataset; nothing where none was asked about."""
    score = outcome.score
    if score is None:
        return ()
    return (f"{100 * score.drop:.2f} ± {100 * score.standard_error:.2f}",)


def tried(report: Report) -> "Table":
    """Lay out what `auto` measured, in the order in which it did."""
    out = _table(
        "what auto tried on the calibration photographs",
        "quantised on every other photograph, measured on those between",
        "options",
        ("SQNR", "kept"),
    )
    for one in report.tried:
        ratio = "" if one.sqnr_db is None else f"{one.sqnr_db:.2f}"
        kept = "yes" if one.kept else f"no: {one.why}" if one.why else "no"
        out.add_row(", ".join(one.options) or "none", ratio, kept)
    return out


def _cost(report: Report, outcome: Outcome) -> tuple[str, str, str]:
    """Say a variant's cost, as is, or how it differs from that."""
    usual, cost = report.outcomes[0].cost, outcome.cost
    if usual is None or cost is None:
        return ("", "", "")
    if outcome is report.outcomes[0]:
        return (f"{cost.cycles:,}", f"{cost.ram_bytes:,} B", f"{cost.flash_bytes:,} B")
    return (
        f"{100 * (cost.cycles / usual.cycles - 1):+.2f} %",
        f"{cost.ram_bytes - usual.ram_bytes:+,} B",
        f"{cost.flash_bytes - usual.flash_bytes:+,} B",
    )


def operators(report: Report) -> "Table":
    """Lay out every operator's signal-to-noise ratio, by variant."""
    out = _table("SQNR in dB, noise of all operators before included", "", "layer", _names(report))
    for name in report.as_is.sqnr_db:
        ratios = [outcome.quality.sqnr_db[name] for outcome in report.outcomes]
        out.add_row(name, *(_decibels(ratio) for ratio in ratios))
    return out


def worst_map(outcome: Outcome) -> tuple[str, float]:
    """Return the output map that differs most from the float network's, and its cosine."""
    cosines = outcome.quality.map_cosine
    name = min(cosines, key=lambda key: cosines[key])
    return name, cosines[name]


def _greatest_change(report: Report, outcome: Outcome) -> str:
    before, after = report.as_is.sqnr_db, outcome.quality.sqnr_db
    changes = {n: after[n] - before[n] for n in before if math.isfinite(after[n] - before[n])}
    name = max(changes, key=lambda key: abs(changes[key]))
    return f"{name} {changes[name]:+.1f} dB"


def _names(report: Report) -> tuple[str, ...]:
    return tuple(outcome.variant.name for outcome in report.outcomes)


def _decibels(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.1f}" if math.isfinite(ratio) else "exact"


def _table(title: str, caption: str, first: str, headings: tuple[str, ...]) -> "Table":
    from rich import box
    from rich.table import Table

    out = Table(
        title=title or None,
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        collapse_padding=True,
        caption=caption or None,
        caption_justify="left",
    )
    out.add_column(first, no_wrap=True)
    for heading in headings:
        out.add_column(heading, justify="right", no_wrap=True)
    return out


def _figures(report: Report) -> Iterator[tuple[str, str, str, float | int]]:
    """Every figure: variant, metric, of what, value."""
    for layer in report.layers:
        yield "as is", "scale", layer.operator, layer.scale
        yield "as is", "zero_point", layer.operator, layer.zero_point
    for outcome in report.outcomes:
        name, quality = outcome.variant.name, outcome.quality
        for metric, values in (
            ("cosine", quality.cosine),
            ("least_map_cosine", quality.map_cosine),
            ("sqnr_db", quality.sqnr_db),
            ("rounding_alone_db", quality.rounding_db),
        ):
            for of, value in values.items():
                yield name, metric, of, value
        if outcome.cost is not None:
            for of, value in asdict(outcome.cost).items():
                yield name, "cost", of, value
        if outcome.score is not None:
            yield name, "float", outcome.score.name, outcome.score.of_float
            yield name, "integers", outcome.score.name, outcome.score.of_integers
            yield name, "standard_error", outcome.score.name, outcome.score.standard_error


def write_csv(report: Report, path: Path) -> None:
    """Write every figure as a row: variant, metric, of what, value.

    Args:
        report: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("variant", "metric", "of", "value"))
        writer.writerows(_figures(report))


def write_json(report: Report, path: Path) -> None:
    """Write the report; a ratio without noise is null.

    Args:
        report: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_record(report), indent=2) + "\n", encoding="utf-8")


def _record(report: Report) -> dict[str, Any]:
    return {
        "model": report.model,
        "weights": report.weights,
        "calibration": report.calibration,
        "evaluation": report.evaluation,
        "layers": [
            asdict(layer) | {"low": layer.low, "high": layer.high} for layer in report.layers
        ],
        "impossible": dict(report.impossible),
        "variants": [
            {
                "name": outcome.variant.name,
                "what": outcome.variant.what,
                "choices": asdict(outcome.variant.recipe),
                "cost": asdict(outcome.cost) if outcome.cost else None,
                "score": asdict(outcome.score) if outcome.score else None,
            }
            | {key: _finite(values) for key, values in asdict(outcome.quality).items()}
            for outcome in report.outcomes
        ],
    }


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
