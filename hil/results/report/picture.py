"""A chart of the page as a picture of its own, with its ground and colours, light and dark."""

import re
from importlib.resources import files
from xml.sax.saxutils import escape

_HEAD = 72  # pixels above the chart: title and subtitle
_MARGIN = 20
_SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
_BEHIND_COLOURS = "\n* {"
_STYLE = """
.ground { fill: var(--surface); stroke: var(--line); }
.title { font: 600 16px sans-serif; fill: var(--ink); }
.minor { font: 12px sans-serif; fill: var(--muted); }
"""


def alone(chart: str, title: str, subtitle: str) -> str:
    """Return a chart as an SVG file.

    Args:
        chart: an SVG element, as `charts` draws it.
        title: in large.
        subtitle: below it.
    """
    (across, down), *_ = _SIZE.findall(chart)
    width, height = float(across) + 2 * _MARGIN, float(down) + _HEAD + _MARGIN
    size = f'width="{width:g}" height="{height:g}"'
    inner = f'width="{width - 1:g}" height="{height - 1:g}"'
    colours, *_ = files(__package__).joinpath("page.css").read_text("utf-8").split(_BEHIND_COLOURS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {size}>',
        f"<title>{escape(title)}</title>",
        f"<style>{colours}{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" {inner} rx="8"/>',
        f'<text class="title" x="24" y="32">{escape(title)}</text>',
        f'<text class="minor" x="24" y="54">{escape(subtitle)}</text>',
        chart.replace("<svg ", f'<svg x="{_MARGIN}" y="{_HEAD}" ', 1),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
