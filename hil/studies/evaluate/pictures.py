"""What `hil evaluate` draws: precision over recall, and the photographs where integers fail."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from hil.run.evaluation.answer import Answer, Said
from hil.run.evaluation.scores import Scores
from hil.studies.detect import report as pictures
from hil.studies.detect.finders import PICTURE, Found
from hil.vision import photographs
from hil.vision.average_precision import Curve
from hil.vision.datasets import Dataset, Example
from hil.vision.detection import Box

_SIDE, _LEFT, _TOP, _GAP = 300, 56, 64, 72
_LETTERS, _LINE, _MARGIN = 14, 20, 6  # pixels
_LEAST_SIDE = 200  # of a photograph that has answers below
_STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; } .grid { stroke: #d8dee4; } text { fill: #24292f;
  font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; } .title { font-size: 16px;
  font-weight: 600; } .minor { fill: #57606a; } .line { fill: none; stroke-width: 2; }
  .float { stroke: #0969da; } .integers { stroke: #bc4c00; stroke-dasharray: 5 3; }
  @media (prefers-color-scheme: dark) { .ground { fill: #0d1117; stroke: #30363d; }
  .grid { stroke: #262c34; } text { fill: #e6edf3; } .minor { fill: #9198a1; }
  .float { stroke: #58a6ff; } .integers { stroke: #f0883e; } }
""".strip()


def draw_worst(
    dataset: Dataset,
    worst: Sequence[Example],
    answers: Mapping[str, Answer],
    cut: float,
    directory: Path,
) -> None:
    """Draw what float and integers say on photographs, worst first.

    A detector's boxes above the cut are drawn, float's in blue, the integers' in orange; of a
    classifier the answers stand below the photograph.

    Args:
        dataset: the photographs.
        worst: those to be drawn, the worst first.
        answers: by photograph.
        cut: the least score of a box that is drawn.
        directory: for the pictures.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob(f"*{PICTURE}"):
        old.unlink()
    for place, example in enumerate(worst, 1):
        path = directory / f"{place:02d}-{example.path.stem}{PICTURE}"
        answer = answers[example.name]
        if dataset.is_classification:
            _draw_answers(example, answer, dataset.classes, path)
        else:
            rows, columns, _ = photographs.read(example.path).shape
            both = [
                _boxes(said, cut, rows, columns) for said in (answer.of_float, answer.of_integers)
            ]
            pictures.draw(Found(str(example.path), rows, columns, both[0], both[1]), path)


def _draw_answers(example: Example, answer: Answer, classes: Sequence[str], path: Path) -> None:
    """Write the photograph with its label, float's answer and the integers' below."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(photographs.read(example.path))
    scale = max(1, -(-_LEAST_SIDE // max(picture.size)))
    picture = picture.resize((picture.width * scale, picture.height * scale))
    label = "" if example.label is None else classes[example.label]
    lines: list[tuple[str, str | pictures.Colour]] = [
        (f"label: {label}", "white"),
        (f"float: {_answered(answer.of_float, classes)}", pictures.FLOAT_COLOUR),
        (f"integers: {_answered(answer.of_integers, classes)}", pictures.BOARD_COLOUR),
    ]
    font = ImageFont.load_default(_LETTERS)
    width = max(picture.width, *(int(font.getlength(text)) + 2 * _MARGIN for text, _ in lines))
    out = Image.new("RGB", (width, picture.height + len(lines) * _LINE + _MARGIN), "black")
    out.paste(picture)
    canvas = ImageDraw.Draw(out)
    for number, (text, colour) in enumerate(lines):
        canvas.text((_MARGIN, picture.height + number * _LINE), text, fill=colour, font=font)
    out.save(path)


def _answered(said: Said, classes: Sequence[str]) -> str:
    logits = np.array(said[0])
    shares = np.exp(logits - logits.max())
    best = int(np.argmax(logits))
    return f"{classes[best]}, {shares[best] / shares.sum():.1%}"


def _boxes(said: Said, cut: float, rows: int, columns: int) -> list[Box]:
    return [
        Box(left / columns, top / rows, right / columns, bottom / rows, score)
        for left, top, right, bottom, score in said
        if score >= cut
    ]


def svg(scores: Scores, title: str) -> str:
    """Draw precision over recall, float beside integers, a panel for each average precision.

    Args:
        scores: the figures, with their curves.
        title: of the picture.
    """
    panels = [name for name in scores.curves if " above " not in name]
    width = _LEFT + len(panels) * (_SIDE + _GAP)
    height = _TOP + _SIDE + 60
    body = "".join(
        _panel(_LEFT + i * (_SIDE + _GAP), name, scores.curves[name])
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
