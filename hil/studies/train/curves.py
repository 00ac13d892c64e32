"""Losses by epoch, as a table and as a picture."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.studies.train.trainer import Epoch

_MOST_BYTES = 16 << 20
_WIDTH, _HEIGHT = 640, 260  # pixels of all panels together
_TRAINING, _HELD_BACK = "in training", "held back"
_COLOURS = 6
_STYLE = """<style>
  svg { --ground: #ffffff; --ink: #24292f; --muted: #57606a; --line: #d8dee4;
  --run-0: #0969da; --run-1: #1a7f37; --run-2: #bc4c00; --run-3: #8250df; --run-4: #9a6700;
  --run-5: #57606a; }
  @media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --ink: #e6edf3; --muted: #9198a1;
  --line: #262c34; --run-0: #58a6ff; --run-1: #56d364; --run-2: #f0883e; --run-3: #bc8cff;
  --run-4: #e3b341; --run-5: #9198a1; } }
</style>"""
"""Colours for light pages and for dark ones."""

_CONFIG = {
    "background": "var(--ground)",
    "padding": 16,
    "view": {"stroke": None},
    "title": {"color": "var(--ink)", "fontSize": 15, "anchor": "start"},
    "header": {"labelColor": "var(--ink)", "labelFontSize": 13},
    "legend": {"orient": "bottom", "labelColor": "var(--ink)", "labelFontSize": 13},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--muted)",
        "tickColor": "var(--muted)",
        "tickCount": 6,
    },
}


def table(history: Sequence[Epoch]) -> str:
    """Return a CSV of the epochs; a share or a loss that nobody took is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "loss", "held_back_loss", "accuracy"])
    for one in history:
        values = (one.loss, one.held_back_loss, one.accuracy)
        writer.writerow([one.number, *("" if math.isnan(v) else f"{v:.6g}" for v in values)])
    return text.getvalue()


def read(path: Path) -> list[Epoch]:
    """Read what `table` wrote.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(files.read_text(path, _MOST_BYTES))))
        return [
            Epoch(
                int(row["epoch"]),
                *(float(row[name] or "nan") for name in ("loss", "held_back_loss", "accuracy")),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no losses: {error}") from error


def draw(histories: Mapping[str, Sequence[Epoch]], title: str) -> str:
    """Draw the losses of runs over their epochs, as SVG: in training, and on what was held back.

    Args:
        histories: of each run, by its name.
        title: of the picture.
    """
    import vl_convert

    values = [
        {"run": name, "of": of, "epoch": one.number, "loss": loss}
        for name, history in histories.items()
        for one in history
        for of, loss in ((_TRAINING, one.loss), (_HELD_BACK, one.held_back_loss))
        if not math.isnan(loss)
    ]
    panels = {of: None for of in (_TRAINING, _HELD_BACK) if any(v["of"] == of for v in values)}
    svg: str = vl_convert.vegalite_to_svg(
        {
            "title": title,
            "data": {"values": values},
            "facet": {"column": {"field": "of", "title": None, "sort": [*panels]}},
            "spec": {
                "width": _WIDTH / max(1, len(panels)),
                "height": _HEIGHT,
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {
                    "x": {"field": "epoch", "type": "quantitative"},
                    "y": {"field": "loss", "type": "quantitative", "scale": {"type": "symlog"}},
                    "color": {
                        "field": "run",
                        "type": "nominal",
                        "title": None,
                        "sort": None,
                        "scale": {"range": [f"var(--run-{i})" for i in range(_COLOURS)]},
                    },
                },
            },
            "config": _CONFIG,
        }
    )
    return svg.replace(">", f">{_STYLE}", 1)
