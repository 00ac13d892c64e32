"""The page: one HTML file of a run, that needs nothing else and sends for nothing."""

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hil.errors import Verdict
from hil.files import replace
from hil.results.details import Box, Details, Holding
from hil.results.report import charts, subjects
from hil.results.report.against import Against
from hil.results.report.beside import Link
from hil.results.report.charts import NARROW, WIDE, Dot
from hil.results.report.subjects import Subject
from hil.results.rows import Metric

if TYPE_CHECKING:
    from markupsafe import Markup

_TILES = (
    "latency",
    "cycles",
    "instructions",
    "ram.paper",
    "ram.total",
    "flash.total",
    "flash.weights",
    "output.mismatches",
    "output.cosine",
    "map",
    "map.drop",
    "accuracy",
    "accuracy.drop",
    "macs",
)
"""Figures of a scenario's card, in this order."""

_OVERVIEW = ("latency", "ram.total", "flash.total", "output.cosine")
CAUSES = {
    "issue": "instructions",
    "load_store": "waiting for data",
    "branch": "pipeline refills",
    "flash_code": "flash waits, code",
    "flash_data": "flash waits, data",
    "other": "division, floats, other",
}
_LEAST_HISTORY = 2  # runs that make a line
_MOST_OWNERS = 12  # of flash and of RAM that a card names; the table below has all
_OWNERS = {"flash": ("flash.symbol.",), "RAM": ("ram.buffer.", "ram.symbol.")}
"""The parts of the memories, by how their metrics begin."""


def build(
    found: Sequence[Subject],
    csv_text: str,
    baseline: Against | None = None,
    left: Mapping[str, Sequence[Link]] = MappingProxyType({}),
) -> str:
    """Write the page.

    Args:
        found: the scenarios.
        csv_text: the table as it stands in its file, which the page shows and gives back.
        baseline: None where nothing was compared.
        left: by scenario's name, links to what its run has left.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hil.results.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "label": subjects.label,
        "anchor": anchor,
        "figure": figure,
        "reference": lambda metric: subjects.show(metric.name, metric.reference, metric.unit),
        "limit": lambda metric: subjects.show(metric.name, metric.limit, metric.unit),
    }
    environment.globals |= {"part": _part, "causes": CAUSES, "kinds": charts.KINDS}
    page = environment.get_template("page.html.j2")
    return page.render(
        subjects=[_view(one, baseline) for one in found],
        failed=[one for one in found if one.verdict is not Verdict.PASS],
        overview=_OVERVIEW,
        beside_paper=[name for name in _OVERVIEW if _has_paper(name, found)],
        first=found[0].context if found else None,
        baseline=baseline,
        left=left,
        pareto=_pareto(found),
        csv=packed(csv_text),
        style=_asset("page.css"),
        script=_asset("page.js"),
    )


def figure(metric: Metric, subject: Subject, *, unit: bool = True) -> "Markup":
    """Mark a value up so that it can be traced to its row.

    Args:
        metric: that is shown.
        subject: the scenario that it belongs to.
        unit: whether its unit is shown.
    """
    from markupsafe import Markup

    text = subjects.shown(metric)
    number = text.removesuffix(metric.unit).rstrip()
    row = Markup('<data value="{}" data-scenario="{}" data-metric="{}">{}</data>').format(
        repr(metric.value), subject.name, metric.name, number
    )
    return row + Markup("<small> {}</small>").format(metric.unit) if unit and metric.unit else row


def _has_paper(name: str, found: Iterable[Subject]) -> bool:
    """Whether a scenario's figure of this name stands beside one of the paper's."""
    metrics = [one.metrics[name] for one in found if name in one.metrics]
    return any(m.reference is not None and m.source.startswith("RNNPool") for m in metrics)


def anchor(subject: Subject) -> str:
    """Name a scenario's place on the page."""
    return f"s-{subject.name}-{subject.context.target}-{subject.context.toolchain.split(' ')[0]}"


def _view(subject: Subject, baseline: Against | None) -> dict[str, Any]:
    details = subject.details
    return {
        "subject": subject,
        "tiles": [subject.metrics[name] for name in _TILES if name in subject.metrics],
        "steps": subject.steps,
        "maps": _maps(details) if details else [],
        "regions": _regions(details) if details else [],
        "owners": _owners(subject),
        "line": _line(subject),
        "boxes": _boxes(details) if details else [],
        "noise_most": max((n.sqnr_db or 0.0 for n in details.noise), default=0.0) if details else 0,
        "change": baseline.of(subject.name) if baseline else None,
    }


def _maps(details: Details) -> list[dict[str, Any]]:
    """Each region's memory over the schedule, for wide and for narrow windows."""
    names = sorted({span.region for span in details.spans}, reverse=True)
    return [
        {
            "region": region,
            "bytes": max(s.offset + s.bytes for s in details.spans if s.region == region),
            "wide": _svg(charts.memory_map(details, region, WIDE)),
            "narrow": _svg(charts.memory_map(details, region, NARROW)),
        }
        for region in names
    ]


@dataclass(frozen=True)
class _Region:
    """A region of the board and who takes how much of it."""

    name: str
    bytes: int
    used: int
    holdings: Sequence[Holding]


def _regions(details: Details) -> list[_Region]:
    regions = []
    for name, size in details.regions.items():
        held = [h for h in details.holdings if h.region == name and h.bytes]
        held.sort(key=lambda holding: -holding.bytes)
        if held:
            regions.append(_Region(name, size, sum(h.bytes for h in held), held))
    return regions


@dataclass(frozen=True)
class _Owner:
    """A buffer, a variable, a function or a table."""

    name: str
    metric: Metric


@dataclass(frozen=True)
class _Owners:
    """The greatest owners of a memory, and what those left out take together."""

    memory: str
    greatest: Sequence[_Owner]
    others: int
    others_bytes: int


def _owners(subject: Subject) -> list[_Owners]:
    """Who takes most of each memory. Buffers of the plan take turns at the same bytes."""
    found = []
    for memory, stems in _OWNERS.items():
        parts = [m for name, m in subject.metrics.items() if name.startswith(stems) and m.value]
        parts.sort(key=lambda metric: -metric.value)
        first, rest = parts[:_MOST_OWNERS], parts[_MOST_OWNERS:]
        owners = [_Owner(metric.name.split(".", 2)[2], metric) for metric in first]
        if owners:
            found.append(_Owners(memory, owners, len(rest), sum(int(m.value) for m in rest)))
    return found


def _line(subject: Subject) -> "Markup | None":
    return _svg(charts.small_line(subject.past)) if len(subject.past) >= _LEAST_HISTORY else None


@dataclass(frozen=True)
class _Drawn:
    """A box in percent of the picture."""

    finder: str
    left: float
    top: float
    width: float
    height: float
    score: float


def _boxes(details: Details) -> list[_Drawn]:
    return [_drawn(box) for box in details.boxes]


def _drawn(box: Box) -> _Drawn:
    left, top, right, bottom = (
        100 * min(1.0, max(0.0, edge)) for edge in (box.left, box.top, box.right, box.bottom)
    )
    return _Drawn(box.finder, left, top, max(0.0, right - left), max(0.0, bottom - top), box.score)


def _pareto(found: Iterable[Subject]) -> "dict[str, Markup] | None":
    dots = [
        Dot(
            one.name,
            one.metrics["latency"].value,
            one.metrics["ram.total"].value,
            f"#{anchor(one)}",
        )
        for one in found
        if {"latency", "ram.total"} <= one.metrics.keys()
    ]
    if len(dots) < 2:
        return None
    return {
        "wide": _svg(charts.pareto(dots, WIDE)),
        "narrow": _svg(charts.pareto(dots, NARROW, only_best=True)),
    }


def _part(value: float, whole: float | None) -> float:
    """A share in percent, at most 100."""
    return min(100.0, 100.0 * value / whole) if whole else 0.0


def _svg(text: str) -> "Markup":
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - drawn by charts, which escapes names


def packed(text: str) -> str:
    """Compress a text, as the page's script unpacks it: gzip in base64, the same for the same."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def _asset(name: str) -> "Markup":
    from markupsafe import Markup

    return Markup((files("hil.results.report") / name).read_text(encoding="utf-8"))  # noqa: S704


def write(text: str, path: Path) -> None:
    """Write the page at once.

    Args:
        text: of the page.
        path: of its file.
    """
    replace(path, text)
