"""Writes the results of `hil detect`: a picture with boxes for each photograph, a JSON of all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.compiler.similarity import cosine
from hil.errors import UsageError
from hil.run.measurement import Measurement
from hil.run.mismatch import compare
from hil.studies.detect.finders import PICTURE, Finder, Found
from hil.vision import photographs
from hil.vision.average_precision import overlaps
from hil.vision.detection import Box

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from rich.table import Table

Colour: TypeAlias = tuple[int, int, int]
Edges: TypeAlias = tuple[float, float, float, float]

FLOAT_COLOUR: Colour = (41, 121, 255)
BOARD_COLOUR: Colour = (255, 109, 0)
_LINES_PER_SIDE = 200  # a line is this fraction of the photograph's longer side wide
_LABELS_PER_SIDE = 30
_LEAST_LETTERS = 10  # pixels


@dataclass(frozen=True)
class Entry:
    """What became of one photograph: its faces and the picture of them, or why there are none.

    Attributes:
        facts: as `boxes.json` has them.
    """

    image: str
    facts: Mapping[str, Any]
    found: Found | None = None
    picture: Path | None = None
    error: str = ""


class BoxesFile:
    """`boxes.json`, which is whole after every photograph: a crash loses none."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        """Begin the file.

        Args:
            path: of the file.
            about: what finds the faces: scenario, model, weights, board, ...
        """
        self._path = path
        head = json.dumps({**about, "images": []}, indent=2)
        self._head = head.removesuffix("]\n}")
        self._end = 0
        self._count = 0
        path.write_text(f"{head}\n", encoding="utf-8")
        self._end = len(self._head.encode())

    def add(self, facts: Mapping[str, Any]) -> None:
        """Write a photograph's boxes in the place of the file's end."""
        text = indent(json.dumps(facts, indent=2), "    ")
        new = f"{',' if self._count else ''}\n{text}".encode()
        with self._path.open("r+b") as file:
            file.seek(self._end)
            file.write(new + b"\n  ]\n}\n")
        self._end += len(new)
        self._count += 1


def run(
    images: Sequence[str],
    find: Finder,
    directory: Path,
    about: dict[str, str],
    begin: Callable[[str], None],
    *,
    pictures: bool = True,
) -> list[Entry]:
    """Find the faces of all photographs; one that cannot be read is noted and passed over.

    Args:
        images: names or paths.
        find: finds a photograph's faces.
        directory: for the pictures and `boxes.json`, which is written as the faces are found.
        about: what finds them, for the JSON.
        begin: told each photograph before it is searched.
        pictures: whether to draw them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    boxes = BoxesFile(directory / "boxes.json", about)
    entries: list[Entry] = []
    for image in images:
        begin(image)
        entries.append(_entry(image, find, directory if pictures else None, entries))
        boxes.add(entries[-1].facts)
    return entries


def _entry(image: str, find: Finder, directory: Path | None, before: Sequence[Entry]) -> Entry:
    try:
        found = find(image)
        error = found.error
    except UsageError as refused:
        found, error = None, refused.what
    if found is None or error:
        return Entry(image, {"image": image, "error": error}, error=error)
    path = None if directory is None else _picture_path(image, directory, before)
    if path is not None:
        draw(found, path)
    facts = _facts(image, found, path)
    # Its arrays would add up over thousands of photographs.
    return Entry(image, facts, replace(found, measurement=None), path)


def _picture_path(image: str, directory: Path, taken: Sequence[Entry]) -> Path:
    """Name a photograph's picture, unlike those before it."""
    stem, count = Path(image).stem, 1
    used = {entry.picture for entry in taken}
    while (path := directory / f"{stem if count == 1 else f'{stem}-{count}'}{PICTURE}") in used:
        count += 1
    return path


def draw(found: Found, path: Path) -> None:
    """Write a photograph with its boxes: the float model's in blue, the board's in orange.

    Args:
        found: of one photograph.
        path: of the picture.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(photographs.read(found.image))
    canvas = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // _LINES_PER_SIDE)
    labels = []
    for box in found.of_float:
        _draw_box(canvas, found, box, (FLOAT_COLOUR, 2 * width))
        labels.append((box, FLOAT_COLOUR, f"float {box.score:.2f}", "ld"))
    for box in found.of_board or []:
        _draw_box(canvas, found, box, (BOARD_COLOUR, width))
        labels.append((box, BOARD_COLOUR, f"board {box.score:.2f}", "la"))
    faces = [_pixels(box, found) for box, _, _, _ in labels]
    for box, colour, text, anchor in labels:
        _draw_label(canvas, _pixels(box, found), (colour, text, anchor), faces)
    picture.save(path)


def _draw_box(canvas: "ImageDraw", found: Found, box: Box, pen: tuple[Colour, int]) -> None:
    left, top, right, bottom = _pixels(box, found)
    colour, width = pen
    canvas.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)


def _draw_label(
    canvas: "ImageDraw", face: Edges, label: tuple[Colour, str, str], faces: Sequence[Edges]
) -> None:
    """Write a score above or below its box, in letters that suit its size, and over no face.

    Where another face is there, it is left out: `boxes.json` has all scores.
    """
    from PIL import ImageFont

    colour, text, anchor = label
    left, top, _, bottom = face
    largest = max(canvas.im.size) / _LABELS_PER_SIDE
    size = min(max(_LEAST_LETTERS, largest), max(_LEAST_LETTERS, (bottom - top) / 4))
    font = ImageFont.load_default(size)
    at = (left, top if anchor == "ld" else bottom)
    written = canvas.textbbox(at, text, font=font, anchor=anchor)
    if any(_meet(written, other) for other in faces if other != face and not _meet(face, other)):
        return
    canvas.rectangle(written, fill=colour)
    canvas.text(at, text, fill="white", font=font, anchor=anchor)


def _meet(a: Edges, b: Edges) -> bool:
    """Whether two boxes share pixels."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def table(entries: Sequence[Entry]) -> "Table":
    """Lay the results out for a person: faces by both, and how the board did."""
    from rich import box
    from rich.table import Table

    on_board = any(entry.found and entry.found.of_board is not None for entry in entries)
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("photograph", overflow="fold")
    headings = ("on the board", "least IoU", "cosine", "seconds") if on_board else ()
    for heading in ("faces in float", *headings):
        out.add_column(heading, justify="right")
    for entry in entries:
        out.add_row(Path(entry.image).name, *_cells(entry))
    return out


def _cells(entry: Entry) -> tuple[str, ...]:
    if entry.found is None:
        return (entry.error,)
    facts = entry.facts
    in_float = str(len(facts["float"]))
    if "board" not in facts:
        return (in_float,)
    overlaps = [found["iou_with_float"] for found in facts["board"]]
    wrong = f", {facts['mismatches']} outputs wrong" if facts["mismatches"] else ""
    return (
        in_float,
        f"{len(facts['board'])}{wrong}",
        f"{min(overlaps):.2f}" if overlaps else "",
        f"{facts['cosine']:.4f}",
        f"{facts['latency_s']:.3f}" if "latency_s" in facts else "",
    )


def _facts(image: str, found: Found, picture: Path | None) -> dict[str, Any]:
    """Gather what the JSON says of a photograph; boxes in its pixels."""
    facts: dict[str, Any] = {
        "image": image,
        "picture": picture.name if picture else None,
        "rows": found.rows,
        "columns": found.columns,
        "float": [_box_as_json(box, found) for box in found.of_float],
    }
    if found.of_board is None or found.measurement is None:
        return facts
    nearest = _most_overlaps(found.of_board, found.of_float)
    return facts | {
        "board": [
            _box_as_json(box, found) | {"iou_with_float": round(overlap, 4)}
            for box, overlap in zip(found.of_board, nearest, strict=True)
        ],
        **_measured(found.measurement),
    }


def _measured(result: Measurement) -> dict[str, Any]:
    prepared = result.prepared
    mismatch = compare(result.outputs, prepared.expected)
    outputs = prepared.program.dequantise_output(result.outputs)
    facts: dict[str, Any] = {
        "mismatches": mismatch.count if mismatch else 0,
        "cosine": round(cosine(outputs, prepared.float_outputs), 6),
        "timing": result.timing,
        "cycles": result.cycles,
    }
    # One cycle per instruction is no latency.
    return facts if result.timing == "instructions" else facts | {"latency_s": result.latency_s}


def _box_as_json(box: Box, found: Found) -> dict[str, float]:
    names = ("left", "top", "right", "bottom")
    edges = (round(edge, 1) for edge in _pixels(box, found))
    return {"score": round(box.score, 4), **dict(zip(names, edges, strict=True))}


def _pixels(box: Box, found: Found) -> tuple[float, float, float, float]:
    columns, rows = found.columns, found.rows
    return box.left * columns, box.top * rows, box.right * columns, box.bottom * rows


def _most_overlaps(boxes: Sequence[Box], others: Sequence[Box]) -> list[float]:
    """Of each box, the greatest intersection over union with any other."""
    if not boxes or not others:
        return [0.0] * len(boxes)
    most: list[float] = overlaps(_edges(boxes), _edges(others)).max(axis=1).tolist()
    return most


def _edges(boxes: Sequence[Box]) -> npt.NDArray[np.float64]:
    return np.array([(box.left, box.top, box.right, box.bottom) for box in boxes])
