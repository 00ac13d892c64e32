"""What `hil evaluate` prints and leaves behind: tables, precision over recall, boxes."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from hil.studies.detect import report as pictures
from hil.studies.detect.finders import PICTURE, Found
from hil.studies.evaluate.answers import Answer, Said
from hil.studies.evaluate.worth import Figure, Worth
from hil.vision import photographs
from hil.vision.average_precision import Curve
from hil.vision.datasets import Dataset, Example
from hil.vision.detection import Box

if TYPE_CHECKING:
    from rich.table import Table

_SIDE, _LEFT, _TOP, _GAP = 300, 56, 64, 72
_STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; } .grid { stroke: #d8dee4; } text { fill: #24292f;
  font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; } .title { font-size: 16px;
  font-weight: 600; } .minor { fill: #57606a; } .line { fill: none; stroke-width: 2; }
  .float { stroke: #0969da; } .integers { stroke: #bc4c00; stroke-dasharray: 5 3; }
  @media (prefers-color-scheme: dark) { .ground { fill: #0d1117; stroke: #30363d; }
  .grid { stroke: #262c34; } text { fill: #e6edf3; } .minor { fill: #9198a1; }
  .float { stroke: #58a6ff; } .integers { stroke: #f0883e; } }
""".strip()


def table(worth: Worth) -> "Table":
    """Lay the figures out for a person: float, integers, what these lose."""
    from rich import box
    from rich.table import Table

    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("figure")
    for heading in ("float", "integers", "lost, points", "standard error"):
        out.add_column(heading, justify="right")
    for figure in worth.figures:
        out.add_row(figure.name, *_cells(figure))
    return out


def _cells(figure: Figure) -> tuple[str, ...]:
    shares = (figure.of_float, figure.of_integers, figure.drop, figure.standard_error)
    return tuple(f"{100 * share:.2f}" for share in shares)


def facts(worth: Worth) -> list[str]:
    """Say in sentences how the figures came about."""
    least, most = worth.sqnr_db[1], worth.clipped[1]
    noise = f"outputs' SQNR {worth.sqnr_db[0]:.1f} dB, least {least:.1f} dB"
    clipped = f"clipped {worth.clipped[0]:.2%}, most {most:.2%}"
    lines = [f"{worth.photographs:,} photographs; {noise}; {clipped}"]
    if worth.on_board:
        verdict = f"{worth.mismatches:,} outputs differ" if worth.mismatches else "all equal"
        lines.append(f"{worth.on_board:,} on the board: {verdict} (integer reference)")
    lines += [f"not answered: {name}: {error}" for name, error in worth.failed]
    return lines


def confusion_table(worth: Worth, classes: Sequence[str]) -> "Table | None":
    """Lay out how often each class is taken for each, by integers; None for a detector."""
    from rich import box
    from rich.table import Table

    if worth.confusion is None:
        return None
    out = Table("label", *classes, box=box.SIMPLE_HEAD, pad_edge=False, title="answers, integers")
    for name, counts in zip(classes, worth.confusion[1].confusion, strict=True):
        out.add_row(name, *(f"{int(count):,}" for count in counts))
    return out


def write_figures(worth: Worth, path: Path) -> None:
    """Write the figures as CSV; shares are 0 to 1."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["figure", "float", "integers", "drop", "standard_error"])
        for f in worth.figures:
            writer.writerow([f.name, f.of_float, f.of_integers, f.drop, f.standard_error])
        writer.writerow(["sqnr_db.mean", "", worth.sqnr_db[0], "", ""])
        writer.writerow(["sqnr_db.least", "", worth.sqnr_db[1], "", ""])
        writer.writerow(["clipped.mean", "", worth.clipped[0], "", ""])
        writer.writerow(["clipped.most", "", worth.clipped[1], "", ""])


def write_wider(answers: Mapping[str, Answer], directory: Path) -> None:
    """Write the integers' boxes as the benchmark of WIDER FACE takes them: a file a photograph."""
    for name, answer in answers.items():
        if answer.error:
            continue
        path = directory / Path(name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [Path(name).stem, str(len(answer.of_integers))]
        lines += [
            f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f} {score:.6f}"
            for left, top, right, bottom, score in answer.of_integers
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_coco(dataset: Dataset, answers: Mapping[str, Answer], path: Path) -> None:
    """Write the integers' boxes in COCO's form of results; images are numbered from 1, as read."""
    found = [
        {
            "image_id": number,
            "file_name": example.name,
            "category_id": 1,
            "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
            "score": score,
        }
        for number, example in enumerate(dataset.examples, 1)
        if example.name in answers
        for left, top, right, bottom, score in answers[example.name].of_integers
    ]
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def draw_worst(
    worst: Sequence[Example], answers: Mapping[str, Answer], cut: float, directory: Path
) -> None:
    """Draw the boxes above the cut on photographs, float's in blue, the integers' in orange."""
    directory.mkdir(parents=True, exist_ok=True)
    for place, example in enumerate(worst, 1):
        rows, columns, _ = photographs.read(example.path).shape
        answer = answers[example.name]
        both = [_boxes(said, cut, rows, columns) for said in (answer.of_float, answer.of_integers)]
        found = Found(str(example.path), rows, columns, both[0], both[1])
        pictures.draw(found, directory / f"{place:02d}-{example.path.stem}{PICTURE}")


def _boxes(said: Said, cut: float, rows: int, columns: int) -> list[Box]:
    return [
        Box(left / columns, top / rows, right / columns, bottom / rows, score)
        for left, top, right, bottom, score in said
        if score >= cut
    ]


def svg(worth: Worth, title: str) -> str:
    """Draw precision over recall, float beside integers, a panel for each average precision."""
    panels = [name for name in worth.curves if " above " not in name]
    width = _LEFT + len(panels) * (_SIDE + _GAP)
    height = _TOP + _SIDE + 60
    body = "".join(
        _panel(_LEFT + i * (_SIDE + _GAP), name, worth.curves[name])
        for i, name in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>\n'
        f"{_text(24, 32, title, 'title')}{body}</svg>\n"
    )


def _panel(x: float, name: str, curves: tuple[Curve, Curve]) -> str:
    lines = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, up = x + tick * _SIDE, _TOP + (1 - tick) * _SIDE
        lines.append(f'<path class="grid" d="M{at:.0f},{_TOP}v{_SIDE}M{x:.0f},{up:.0f}h{_SIDE}"/>')
        lines.append(_text(at - 8, _TOP + _SIDE + 16, f"{tick:g}", "minor"))
        lines.append(_text(x - 30, up + 4, f"{tick:g}", "minor"))
    for curve, which in zip(curves, ("float", "integers"), strict=True):
        points = zip(curve.recall, curve.precision, strict=True)
        path = " ".join(f"{x + r * _SIDE:.1f},{_TOP + (1 - p) * _SIDE:.1f}" for r, p in points)
        lines.append(f'<polyline class="line {which}" points="{path}"/>')
    values = "{:.3f}, integers (dashed) {:.3f}".format(*(c.average_precision for c in curves))
    lines.append(_text(x, _TOP - 8, f"{name}: float {values}", "minor"))
    lines.append(_text(x + _SIDE / 2 - 20, _TOP + _SIDE + 36, "recall", "minor"))
    return "\n".join(lines) + "\n"


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(words)}</text>\n'
