"""Charts as SVG, drawn by Vega-Lite: the schedule's memory, time against memory, small lines.

Colours are the page's CSS variables, so that one drawing serves light and dark. Every mark says in
`aria-label` what it stands for; the page's script shows that on hover and on focus.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from typing import Any

from hil.results.details import Details, Span

Spec = dict[str, Any]

WIDE, NARROW = 960, 270  # pixels: of a desk's window, and of a phone's
_LABEL_PIXELS = 6.2  # of a character
_SHORTEST_LABEL = 15  # pixels of height that a label takes
_NOISE = re.compile(
    r' (?:opacity="1"|aria-hidden="true"|pointer-events="none"|stroke-miterlimit="10"'
    r'|font-family="[^"]*"|xmlns(?::xlink)?="[^"]*"|version="1.1"|xml:space="preserve"'
    r'|aria-roledescription="[^"]*"|role="graphics-[a-z]+")'
)
_EMPTY = re.compile(r'<path class="(?:foreground|background)"[^>]*/>')
_LINK = re.compile(r'xlink:href="[^"#]*#')  # Vega makes addresses absolute
_DECIMALS = re.compile(r'(aria-label="[^"]*"|>[^<]*<|\.\d\d)\d*')  # of places, not of words
_CONFIG = {
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--line-strong)",
        "tickColor": "var(--line-strong)",
        "tickSize": 4,
    },
}


def draw(spec: Spec) -> str:
    """Draw a Vega-Lite specification as an SVG element."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg({"background": None, "config": _CONFIG} | spec)
    svg = _DECIMALS.sub(r"\1", _EMPTY.sub("", _NOISE.sub("", svg)))
    return _LINK.sub('href="#', svg.replace('class="marks"', 'class="chart"', 1))


def memory_map(details: Details, region: str, width: int) -> str:
    """Draw where buffers lie: steps across, bytes upwards.

    Args:
        details: of a scenario.
        region: whose buffers.
        width: of the drawing, in pixels.
    """
    spans = [span for span in details.spans if span.region == region]
    height = 260 if width > NARROW else 220
    top = max(span.offset + span.bytes for span in spans)
    steps = len(details.layers)
    scale = _Scale(width / steps, height / top)
    by_size = sorted(spans, key=lambda span: -span.bytes * (span.last - span.first + 1))
    values = [
        _rectangle(span, details, scale, over=by_size[number + 1 :])
        for number, span in enumerate(by_size)
    ]
    x = {"field": "x", "type": "quantitative", "scale": {"domain": [0.5, steps + 0.5]}}
    axis = {"values": _ticks(steps, width), "title": "step", "grid": False}
    y_axis = {"title": "bytes", "format": ",d", "tickCount": 6}
    encoding: Spec = {
        "x": x | {"axis": axis},
        "x2": {"field": "x2"},
        "y": {
            "field": "y",
            "type": "quantitative",
            "scale": {"domain": [0, top], "nice": False},
            "axis": y_axis,
        },
        "y2": {"field": "y2"},
        "description": {"field": "says"},
    }
    rectangles: Spec = {
        "mark": {"type": "rect", "stroke": "var(--surface)", "strokeWidth": 1.5},
        "encoding": {
            "color": {
                "field": "kind",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": list(KINDS), "range": [f"var(--{k})" for k in KINDS]},
            }
        },
    }
    labels: Spec = {
        "transform": [{"filter": "datum.label != ''"}],
        "mark": {"type": "text", "fontSize": 11, "fill": "var(--surface)", "aria": False},
        "encoding": {
            "x": x | {"field": "middle", "axis": axis},
            "y": {"field": "centre", "type": "quantitative", "axis": y_axis},
            "text": {"field": "label"},
        },
    }
    return draw(
        {
            "width": width,
            "height": height,
            "data": {"values": values},
            "layer": [
                rectangles | {"encoding": encoding | rectangles["encoding"]},
                labels,
            ],
        }
    )


KINDS = ("input", "map", "working", "output")
"""Of buffers: the image, maps between layers, working memory of one step, the result."""


@dataclass(frozen=True)
class _Scale:
    pixels_per_step: float
    pixels_per_byte: float

    def label(self, span: Span, place: "Place") -> str:
        """The buffer's name where it fits there, else its last part, else nothing."""
        if place.height * self.pixels_per_byte < _SHORTEST_LABEL:
            return ""
        room = place.steps * self.pixels_per_step - 8
        names = (span.name, span.name.rpartition("/")[2])
        return next((name for name in names if len(name) * _LABEL_PIXELS < room), "")


@dataclass(frozen=True)
class Place:
    """Where a buffer is seen best: in so many steps from `first` on, between two addresses."""

    first: int
    steps: int
    low: int
    high: int

    @property
    def height(self) -> int:
        """Bytes that are seen."""
        return self.high - self.low


def clear_part(span: Span, over: Sequence[Span]) -> Place:
    """Find the largest part of a buffer that none of those drawn over it hides.

    Args:
        span: of the buffer.
        over: spans that are drawn over it.
    """
    places: list[Place] = []
    for step in range(span.first, span.last + 1):
        low, high = _free(span, [one for one in over if one.first <= step <= one.last])
        last = places[-1] if places else None
        if last and (last.low, last.high) == (low, high):
            places[-1] = replace(last, steps=last.steps + 1)
        else:
            places.append(Place(step, 1, low, high))
    return max(places, key=lambda place: place.steps * place.height)


def _free(span: Span, over: Iterable[Span]) -> tuple[int, int]:
    """The largest range of a buffer's addresses that none of the others takes."""
    best, at, end = (span.offset, span.offset), span.offset, span.offset + span.bytes
    for low, high in sorted((one.offset, one.offset + one.bytes) for one in over):
        if min(low, end) - at > best[1] - best[0]:
            best = (at, min(low, end))
        at = max(at, high)
    return (at, end) if end - at > best[1] - best[0] else best


def kind_of(span: Span) -> str:
    """Return the kind of a buffer."""
    if span.name in {"input", "output"}:
        return span.name
    return "working" if "/" in span.name else "map"


def _rectangle(span: Span, details: Details, scale: _Scale, over: Sequence[Span]) -> Spec:
    seen = clear_part(span, over)
    first, last = (details.layers[index].name for index in (span.first, span.last))
    when = f"step {span.first + 1}, {first}"
    if span.first != span.last:
        when = f"steps {span.first + 1} to {span.last + 1}, {first} to {last}"
    return {
        "x": span.first + 0.5,
        "x2": span.last + 1.5,
        "y": span.offset,
        "y2": span.offset + span.bytes,
        "middle": seen.first + seen.steps / 2 + 0.5,
        "centre": (seen.low + seen.high) / 2,
        "kind": kind_of(span),
        "label": scale.label(span, seen),
        "says": f"{span.name}: {span.bytes:,} B at {span.offset:,}; {when}",
    }


def _ticks(steps: int, width: int) -> list[int]:
    most = max(2, width // 40)
    stride = max(1, -(-steps // most))
    return list(range(1, steps + 1, stride))


@dataclass(frozen=True)
class Dot:
    """A model in the chart of time against memory.

    Attributes:
        href: of the scenario on the page. best: whether no other is both faster and smaller.
    """

    name: str
    seconds: float
    ram_bytes: float
    href: str
    best: bool = False


def front(dots: Iterable[Dot]) -> list[Dot]:
    """Mark those of which no other is both faster and smaller; fastest first."""
    marked, least = [], float("inf")
    for dot in sorted(dots, key=lambda d: (d.seconds, d.ram_bytes)):
        best = dot.ram_bytes < least
        least = min(least, dot.ram_bytes)
        marked.append(Dot(dot.name, dot.seconds, dot.ram_bytes, dot.href, best))
    return marked


def pareto(dots: Sequence[Dot], width: int, *, only_best: bool = False) -> str:
    """Draw models by latency and RAM; the line joins those that no other beats in both.

    Args:
        dots: the models.
        width: of the drawing, in pixels.
        only_best: whether only these are named on it.
    """
    marked = front(dots)
    frame = _Frame.around(marked, width, 320)
    names = frame.labels([d for d in marked if d.best or not only_best])
    values = [
        {
            "name": dot.name,
            "s": dot.seconds,
            "kb": dot.ram_bytes / 1000,
            "best": dot.best,
            "href": dot.href,
            "says": f"{dot.name}: {dot.seconds:.4g} s, {dot.ram_bytes:,.0f} B of RAM",
        }
        for dot in sorted(marked, key=lambda one: one.best)  # the best are drawn last, on top
    ]
    place = {
        "x": {
            "field": "s",
            "type": "quantitative",
            "scale": {"type": "log", "nice": False, "domain": frame.seconds},
            "axis": {"title": "seconds per image", "tickCount": 6, "format": "~g"},
        },
        "y": {
            "field": "kb",
            "type": "quantitative",
            "scale": {"zero": False, "nice": False, "domain": frame.kilobytes},
            "axis": {"title": "RAM, all-in, in KB", "tickCount": 6},
        },
    }
    layers = [_line_of_best(place), _dots(place), _names(names)]
    spec: Spec = {"width": width, "height": frame.height, "data": {"values": values}}
    return draw(spec | {"layer": layers, "resolve": {"scale": {"x": "shared", "y": "shared"}}})


def _line_of_best(place: Spec) -> Spec:
    mark = {"type": "line", "interpolate": "step-after", "strokeDash": [4, 3], "aria": False}
    return {
        "transform": [{"filter": "datum.best"}],
        "mark": mark | {"stroke": "var(--map)", "strokeWidth": 1.5},
        "encoding": place | {"order": {"field": "s", "type": "quantitative"}},
    }


def _dots(place: Spec) -> Spec:
    return {
        "mark": {"type": "circle", "size": 110, "opacity": 1, "stroke": "var(--surface)"},
        "encoding": place
        | {
            "color": _if_best("var(--map)", "var(--quiet-mark)"),
            "href": {"field": "href"},
            "description": {"field": "says"},
        },
    }


def _names(names: "Iterable[tuple[str, float, float, bool]]") -> Spec:
    """Write each name at its place, in pixels from the top left."""
    text = {"type": "text", "align": "left", "baseline": "middle", "aria": False}
    placed = [{"name": name, "px": x, "py": y, "best": best} for name, x, y, best in names]
    return {
        "data": {"values": placed},
        "mark": text | {"fontSize": _LABEL_FONT},
        "encoding": {
            "x": {"field": "px", "type": "quantitative", "scale": None, "axis": None},
            "y": {"field": "py", "type": "quantitative", "scale": None, "axis": None},
            "text": {"field": "name"},
            "color": _if_best("var(--ink)", "var(--muted)"),
        },
    }


def _if_best(colour: str, other: str) -> Spec:
    return {"condition": {"test": "datum.best", "value": colour}, "value": other}


_LABEL_FONT = 12  # pixels


@dataclass(frozen=True)
class _Frame:
    """A drawing's pixels, and the seconds and kilobytes that they stand for."""

    width: int
    height: int
    seconds: tuple[float, float]
    kilobytes: tuple[float, float]

    @classmethod
    def around(cls, dots: Sequence[Dot], width: int, height: int) -> "_Frame":
        seconds = [dot.seconds for dot in dots]
        kilobytes = [dot.ram_bytes / 1000 for dot in dots]
        room = 0.12 * (max(kilobytes) - min(kilobytes)) or 1.0
        return cls(
            width,
            height,
            (min(seconds) / 1.12, max(seconds) * 1.3),
            (max(0.0, min(kilobytes) - room), max(kilobytes) + room),
        )

    def at(self, dot: Dot) -> tuple[float, float]:
        """Where a dot stands, from the top left."""
        least, most = map(log, self.seconds)
        low, high = self.kilobytes
        across = (log(dot.seconds) - least) / (most - least)
        return across * self.width, (high - dot.ram_bytes / 1000) / (high - low) * self.height

    def labels(self, dots: Sequence[Dot]) -> list[tuple[str, float, float, bool]]:
        """Place each name beside its dot where it meets no other; one without room is left out."""
        taken = [*self._dots(dots), *self._line([dot for dot in dots if dot.best])]
        placed = []
        for dot in sorted(dots, key=lambda one: not one.best):
            for box in self._around(dot):
                inside = box[0] >= 0 and box[2] <= self.width and box[3] <= self.height
                if inside and not any(_meet(box, other) for other in taken):
                    taken.append(box)
                    placed.append((dot.name, box[0], (box[1] + box[3]) / 2, dot.best))
                    break
        return placed

    def _dots(self, dots: Iterable[Dot]) -> list["_Rectangle"]:
        return [(x - 6, y - 6, x + 6, y + 6) for x, y in map(self.at, dots)]

    def _line(self, best: Sequence[Dot]) -> list["_Rectangle"]:
        """The steps of the line, from each dot across and then down to the next."""
        corners = list(pairwise(map(self.at, best)))
        across = [(x, y - 2, right, y + 2) for (x, y), (right, _) in corners]
        return across + [(x - 2, y, x + 2, low) for (_, y), (x, low) in corners]

    def _around(self, dot: Dot) -> list["_Rectangle"]:
        """Places for a name: right, above, below and left of the dot."""
        x, y = self.at(dot)
        wide = len(dot.name) * _LABEL_PIXELS * _LABEL_FONT / 11
        corners = ((x + 9, y - 7), (x - 8, y - 23), (x - 8, y + 9), (x - wide - 9, y - 7))
        return [(left, top, left + wide, top + 14) for left, top in corners]


_Rectangle = tuple[float, float, float, float]


def _meet(a: _Rectangle, b: _Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def small_line(values: Sequence[float]) -> str:
    """Draw how a figure went over runs, without axes; the last one has a dot."""
    points = [{"x": i, "y": value, "last": i == len(values) - 1} for i, value in enumerate(values)]
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"nice": False}}
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {"zero": False}}
    line = {"type": "line", "stroke": "var(--muted)", "strokeWidth": 1.5, "aria": False}
    dot = {"type": "circle", "size": 28, "opacity": 1, "fill": "var(--map)", "aria": False}
    return draw(
        {
            "width": 76,
            "height": 20,
            "padding": 3,
            "data": {"values": points},
            "layer": [
                {"mark": line, "encoding": {"x": x, "y": y}},
                {
                    "transform": [{"filter": "datum.last"}],
                    "mark": dot,
                    "encoding": {"x": x, "y": y},
                },
            ],
        }
    )
