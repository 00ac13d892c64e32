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
_WIDTH, _HEIGHT = 640, 300  # pixels


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
    """Draw the losses of runs over their epochs, as SVG.

    Args:
        histories: of each run, by its name.
        title: of the picture.
    """
    import vl_convert

    values = [
        {"run": name, "of": of, "epoch": one.number, "loss": loss}
        for name, history in histories.items()
        for one in history
        for of, loss in (("training", one.loss), ("held back", one.held_back_loss))
        if not math.isnan(loss)
    ]
    svg: str = vl_convert.vegalite_to_svg(
        {
            "title": title,
            "background": "white",
            "width": _WIDTH,
            "height": _HEIGHT,
            "data": {"values": values},
            "mark": {"type": "line"},
            "encoding": {
                "x": {"field": "epoch", "type": "quantitative"},
                "y": {"field": "loss", "type": "quantitative", "scale": {"type": "symlog"}},
                "color": {"field": "run", "type": "nominal", "title": None, "sort": None},
                "strokeDash": {
                    "field": "of",
                    "type": "nominal",
                    "title": None,
                    "sort": ["training", "held back"],
                },
            },
            "config": {"font": "sans-serif"},
        }
    )
    return svg
