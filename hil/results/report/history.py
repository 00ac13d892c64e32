"""A metric over the runs of a history, drawn: a line for each scenario, each with its own scale."""

from collections import Counter
from collections.abc import Sequence

from hil.results.history import Point

_WIDTH, _HEIGHT = 640, 120  # pixels of one scenario's drawing
_COMMIT_DIGITS = 7


def draw(points: Sequence[Point]) -> str:
    """Return an SVG file of a metric's values, oldest first, by commit.

    Args:
        points: of one metric; at least one.
    """
    import vl_convert

    metric, unit = points[0].metric, points[0].unit
    number = ",d" if all(float(point.value).is_integer() for point in points) else ",.6~g"
    line = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "mark": {"type": "line", "point": True, "interpolate": "step-after"},
        "encoding": {
            "x": {
                "field": "commit",
                "type": "ordinal",
                "sort": None,
                "axis": {"title": None, "labelAngle": -45},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "scale": {"zero": False},
                "axis": {"title": f"{metric}, {unit}" if unit else metric, "format": number},
            },
            "color": {"field": "on", "type": "nominal", "title": None},
        },
    }
    svg: str = vl_convert.vegalite_to_svg(
        {
            "data": {"values": _values(points)},
            "facet": {"row": {"field": "scenario", "type": "nominal", "title": None}},
            "spec": line,
            "resolve": {"scale": {"x": "independent", "y": "independent"}},
            "config": {"font": "sans-serif"},
        }
    )
    return svg


def _values(points: Sequence[Point]) -> list[dict[str, object]]:
    """One mark each; runs of one commit are told apart by their number."""
    seen: Counter[tuple[str, ...]] = Counter()
    values = []
    for point in points:
        on = f"{point.board}, {point.target}, {point.toolchain}"
        commit = point.commit[:_COMMIT_DIGITS] or "none"
        seen[point.scenario, on, commit] += 1
        again = seen[point.scenario, on, commit]
        name = commit if again == 1 else f"{commit} ({again})"
        values.append({"scenario": point.scenario, "on": on, "commit": name, "value": point.value})
    return values
