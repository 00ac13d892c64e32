"""A chart of what poolings cost: the paper's accuracy against seconds per image, RAM as area.

The picture brings its own ground, light or dark as the reader prefers, so that it can be read on
any page.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from hil.studies.poolings.costs import Cost, Row

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 74, 100  # around the plot
_FOOT = _HEIGHT - 20
_GREATEST_RADIUS = 15.0
_LINE = 15  # between labels
_OVER = 4  # pixels that a label may stand over the plot's left, and keeps from the picture's right
_LINES = 8  # that a label may go down to be clear of others
_LETTER = 6.6  # width of one, at most
_TICKS = 6
_KIB = 1024

_STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; } .grid { stroke: #d8dee4; } text { fill: #24292f;
  font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; } .title { font-size: 16px;
  font-weight: 600; } .minor { fill: #57606a; } .dot { fill: #0969da; fill-opacity: 0.55;
  stroke: #0969da; } .rnn { fill: #bc4c00; stroke: #bc4c00; } .key { fill: none; stroke: #57606a; }
  @media (prefers-color-scheme: dark) { .ground { fill: #0d1117; stroke: #30363d; }
  .grid { stroke: #262c34; } text { fill: #e6edf3; } .minor { fill: #9198a1; }
  .dot { fill: #58a6ff; stroke: #58a6ff; } .rnn { fill: #f0883e; stroke: #f0883e; }
  .key { stroke: #9198a1; } }
""".strip()


@dataclass(frozen=True)
class _Dot:
    """A pooling in the picture: its centre and radius, in pixels."""

    words: str
    x: float
    y: float
    radius: float

    def labels(self) -> "Iterator[_Label]":
        """Yield places for its label, the best first: right of it, left of it, then lower ones."""
        width, away = _LETTER * len(self.words), self.radius + 6
        for line in range(_LINES):
            y = self.y + 4 + line * _LINE
            yield _Label(self.words, self.x + away, self.x + away + width, y, "start")
            yield _Label(self.words, self.x - away - width, self.x - away, y, "end")


@dataclass(frozen=True)
class _Label:
    """A dot's words: from `left` to `right`, their baseline at `y`, in pixels."""

    words: str
    left: float
    right: float
    y: float
    anchor: str

    @property
    def is_inside(self) -> bool:
        return self.left >= _LEFT - _OVER and self.right <= _WIDTH - _OVER

    def is_clear_of(self, dot: _Dot) -> bool:
        beside = self.right < dot.x - dot.radius or dot.x + dot.radius < self.left
        return beside or self.y < dot.y - dot.radius or dot.y + dot.radius < self.y - _LINE

    def is_apart_from(self, other: "_Label") -> bool:
        beside = self.right < other.left or other.right < self.left
        return beside or abs(self.y - other.y) >= _LINE


@dataclass(frozen=True)
class _Axis:
    """Values from `low` to `high` laid from pixel `start` to pixel `end`."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(count + 1)]

    def text(self, value: float) -> str:
        return f"{value:.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"


def svg(rows: Sequence[Row], title: str, subtitle: str) -> str:
    """Draw the rows that ran and that the paper has an accuracy of; the others are named below.

    Args:
        rows: of one family.
        title: in large.
        subtitle: how it was measured.
    """
    drawn = [
        (row, row.cost, row.paper.accuracy)
        for row in rows
        if row.cost is not None and row.paper.accuracy is not None
    ]
    missing = [row.pooling for row in rows if row not in [shown for shown, _, _ in drawn]]
    body = _plot(drawn) if drawn else _text("minor", _LEFT, _TOP + 40, "no network ran")
    below = f"not drawn: {'; '.join(missing)}" if missing else ""
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    inner = f'width="{_WIDTH - 1}" height="{_HEIGHT - 1}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {size}>',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" x="0.5" y="0.5" {inner} rx="8"/>',
            _text("title", 24, 32, title),
            _text("minor", 24, 52, subtitle),
            body,
            _text("minor", 24, _FOOT, below),
            "</svg>",
            "",
        ]
    )


def write(rows: Sequence[Row], path: Path, title: str, subtitle: str) -> None:
    """Draw the rows into a file.

    Args:
        rows: what was measured.
        path: of the SVG file.
        title: of the picture.
        subtitle: below the title.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(rows, title, subtitle), encoding="utf-8")


def _plot(drawn: Sequence[tuple[Row, Cost, float]]) -> str:
    across = _axis([cost.latency_s for _, cost, _ in drawn], _LEFT, _WIDTH - _RIGHT)
    up = _axis([accuracy for _, _, accuracy in drawn], _HEIGHT - _BOTTOM, _TOP)
    most = max(cost.arena_bytes for _, cost, _ in drawn)
    dots = [
        _Dot(
            row.pooling,
            across.at(cost.latency_s),
            up.at(accuracy),
            _radius(cost.arena_bytes, most),
        )
        for row, cost, accuracy in drawn
    ]
    return "\n".join(
        [
            *_grid(across, up),
            *(_circle(dot) for dot in sorted(dots, key=lambda dot: -dot.radius)),
            *(
                _text(
                    "",
                    one.left if one.anchor == "start" else one.right,
                    one.y,
                    one.words,
                    one.anchor,
                )
                for one in _labelled(dots)
            ),
            *_legend([cost.arena_bytes for _, cost, _ in drawn]),
        ]
    )


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    """Round limits outwards, with room for a dot beyond the values."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    step = _nice((high - low + 2 * room) / _TICKS)
    return _Axis(
        math.floor((low - room) / step) * step,
        math.ceil((high + room) / step) * step,
        step,
        start,
        end,
    )


def _nice(step: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))


def _radius(arena_bytes: int, most: int) -> float:
    """Let the area go with the RAM."""
    return _GREATEST_RADIUS * math.sqrt(arena_bytes / most)


def _grid(across: _Axis, up: _Axis) -> list[str]:
    bottom, left = _HEIGHT - _BOTTOM, _LEFT
    lines = []
    for tick in across.ticks():
        x = across.at(tick)
        lines.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        lines.append(_text("minor", x, bottom + 18, across.text(tick), "middle"))
    for tick in up.ticks():
        y = up.at(tick)
        lines.append(f'<path class="grid" d="M{left} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        lines.append(_text("minor", left - 8, y + 4, up.text(tick), "end"))
    middle = (left + _WIDTH - _RIGHT) / 2
    lines.append(_text("", middle, bottom + 38, "seconds per image", "middle"))
    centre = (_TOP + bottom) / 2
    lines.append(
        f'<text x="24" y="{centre}" text-anchor="middle" transform="rotate(-90 24 {centre})">'
        "accuracy in the paper, %</text>"
    )
    return lines


def _circle(dot: _Dot) -> str:
    kind = "dot rnn" if "RNNPool" in dot.words else "dot"
    return f'<circle class="{kind}" cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.radius:.1f}"/>'


def _labelled(dots: Sequence[_Dot]) -> list[_Label]:
    """Give each dot a label that is clear of all dots and of the labels above it."""
    placed: list[_Label] = []
    for dot in sorted(dots, key=lambda dot: dot.y):
        ways = [way for way in dot.labels() if way.is_inside] or [*dot.labels()]
        free = (
            way
            for way in ways
            if all(map(way.is_clear_of, dots)) and all(map(way.is_apart_from, placed))
        )
        placed.append(next(free, ways[-1]))
    return placed


def _legend(arenas: Sequence[int]) -> list[str]:
    """Show what areas mean, at the bottom right."""
    most, least = max(arenas), min(arenas)
    parts, x = [], float(_WIDTH - _RIGHT)
    for arena in dict.fromkeys((most, least)):
        words = f"{arena / _KIB:.0f} KiB"
        x -= _LETTER * len(words)
        parts.append(_text("minor", x, _FOOT, words))
        radius = _radius(arena, most)
        x -= radius + 6
        parts.append(f'<circle class="key" cx="{x:.1f}" cy="{_FOOT - 4}" r="{radius:.1f}"/>')
        x -= radius + 14
    parts.append(_text("minor", x, _FOOT, "RAM in the paper's convention:", "end"))
    return parts


def _text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
