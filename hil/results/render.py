"""Comparisons as a table, markdown, CSV, JSON and a page; relevant changes first, the mean last."""

import io
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files

from hil.results import words
from hil.results.compare import Change, Comparison, geometric_mean
from hil.results.rules import is_part
from hil.results.table import text

MEANS = ("cycles", "instructions", "ram.total", "flash.total")
COLUMNS = (
    *("scenario", "board", "target", "toolchain", "outcome", "said"),
    *("metric", "unit", "before", "after", "moved", "share", "grade", "note"),
)
FORMATS = ("table", "markdown", "csv", "json", "html")
_WHOLES = ("scenario", "outcome", "metric", "before", "after", "moved", "where")
_LAYERS = ("scenario", "layer", "kernel", "before", "after", "moved")
_NUMBERS = ("before", "after", "moved")
_ANY = 10_000  # characters: wider than any table


def render(comparisons: Sequence[Comparison], form: str, width: int = 100) -> str:
    """Draw comparisons in one of `FORMATS`.

    Args:
        comparisons: of scenarios.
        form: one of `FORMATS`.
        width: of the terminal, in characters.
    """
    match form:
        case "csv":
            return text(COLUMNS, records(comparisons)).rstrip("\n")
        case "json":
            return as_json(comparisons)
        case "markdown":
            return markdown(comparisons)
        case "html":
            return page(comparisons)
        case _:
            return table(comparisons, width)


def records(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Return one record for each change, and one for each scenario without any."""
    return [
        {
            "scenario": one.key.scenario,
            "board": one.key.board,
            "target": one.key.target,
            "toolchain": one.key.toolchain,
            "outcome": str(one.outcome),
            "said": one.said,
        }
        | _cells(change)
        for one in comparisons
        for change in one.changes or (None,)
    ]


def _cells(change: Change | None) -> dict[str, object]:
    names = ("metric", "unit", "before", "after", "moved", "share", "grade", "note")
    if change is None:
        return dict.fromkeys(names)
    return {name: getattr(change, name) for name in names}


def as_json(comparisons: Sequence[Comparison]) -> str:
    """Return one JSON object with every comparison and the means."""
    found = [
        {
            "scenario": one.key.scenario,
            "key": asdict(one.key),
            "outcome": str(one.outcome),
            "said": one.said,
            "changes": [_cells(change) for change in one.changes],
        }
        for one in comparisons
    ]
    means = {name: geometric_mean(comparisons, name) for name in MEANS}
    return json.dumps(
        {"verdict": words.verdict(comparisons), "scenarios": found, "geometric_means": means},
        indent=2,
    )


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return tables for a document or a pull request: wholes, then layers, then the means."""
    lines = [f"**{words.verdict(comparisons)}**", ""]
    lines += _grid(
        _WHOLES,
        [row for one in comparisons for row in _rows(one)],
    )
    layers = [row for one in comparisons for row in _layers(one)]
    if layers:
        lines += ["", *_grid(_LAYERS, layers)]
    lines += ["", *means(comparisons)]
    return "\n".join(lines).rstrip()


def table(comparisons: Sequence[Comparison], width: int) -> str:
    """Return tables for a terminal: wholes, then layers, then the means.

    Args:
        comparisons: of scenarios.
        width: of the terminal, in characters.
    """
    parts = [
        words.verdict(comparisons),
        _drawn(
            _WHOLES,
            [row for one in comparisons for row in _rows(one)],
            width,
        ),
    ]
    layers = [row for one in comparisons for row in _layers(one)]
    if layers:
        parts.append(_drawn(_LAYERS, layers, width))
    return "\n".join([*parts, *means(comparisons)]).rstrip()


def page(comparisons: Sequence[Comparison]) -> str:
    """Return one HTML file that needs nothing else: the verdict, the means, wholes, then layers."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("hil.results.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("hil.results.report") / "page.css").read_text(encoding="utf-8")
    return environment.get_template("comparison.html.j2").render(
        verdict=words.verdict(comparisons),
        is_worse=any(one.outcome.is_worse for one in comparisons),
        means=means(comparisons),
        wholes_heads=_WHOLES,
        wholes=[row for one in comparisons for row in _rows(one)],
        layers_heads=_LAYERS,
        layers=[row for one in comparisons for row in _layers(one)],
        numbers=_NUMBERS,
        style=Markup(style),  # noqa: S704 - our own file
    )


def means(comparisons: Sequence[Comparison]) -> list[str]:
    """Say the geometric means of after over before, a line each."""
    found = [(name, geometric_mean(comparisons, name)) for name in MEANS]
    return [
        f"geometric mean of {name}: {mean:.6f} of before"
        for name, mean in found
        if mean is not None
    ]


def _rows(one: Comparison) -> list[tuple[str, ...]]:
    title, outcome = one.key.scenario, str(one.outcome)
    if not one.changes:
        return [(title, outcome, "", "", "", "", one.said)]
    moved = one.wholes or list(one.changes)
    return [
        (title, outcome, change.metric, *_figures(change), words.where(change, one))
        for change in moved
    ]


def _layers(one: Comparison) -> list[tuple[str, ...]]:
    layers = [c for c in one.changes if is_part(c.metric) and c.unit == "cycle"]
    layers.sort(key=lambda change: -abs(change.moved))
    return [
        (one.key.scenario, words.part_name(change.metric), change.note, *_figures(change))
        for change in layers
    ]


def _figures(change: Change) -> tuple[str, str, str]:
    share = (
        f" ({change.share:+.2%})" if change.share is not None and change.unit != "digest" else ""
    )
    before, after = (words.amount(value, change.unit) for value in (change.before, change.after))
    return before, after, f"{words.moved(change)}{share}"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(heads), line(["---"] * len(heads)), *(line(row) for row in rows)]


def _drawn(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Draw rows as a table where that is no wider than the terminal, else as lines."""
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        right = head in _NUMBERS
        drawn.add_column(head, justify="right" if right else "left", no_wrap=head == "metric")
    for row in rows:
        drawn.add_row(*row)
    output = io.StringIO()
    console = Console(file=output, width=width, no_color=True)
    if Measurement.get(console, console.options.update(max_width=_ANY), drawn).maximum > width:
        return _listed(rows, width)
    console.print(drawn)
    return output.getvalue().rstrip() + "\n"


def _listed(rows: Sequence[Sequence[str]], width: int) -> str:
    """Write rows below their scenario's name, each with what it is, what moved and where."""
    lines, above = [""], ""
    for scenario, *names, before, after, moved, where in _with_where(rows):
        if scenario != above:
            lines.append(scenario)
        above = scenario
        named = ", ".join(name for name in names if name)
        figures = f": {before} -> {after}, {moved}" if moved else ""
        for told, indent in ((f"{named}{figures}", 2), (where, 4)):
            lines += textwrap.wrap(
                told,
                width,
                initial_indent=" " * indent,
                subsequent_indent=" " * (indent + 2),
                break_on_hyphens=False,
            )
    return "\n".join([*lines, ""])


def _with_where(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Give rows of layers an empty place, which rows of wholes have at their end."""
    return [row if len(row) == len(_WHOLES) else (*row, "") for row in rows]
