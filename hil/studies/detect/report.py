"""What `hil detect` leaves behind: a picture with boxes for each photograph, and a JSON of all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hil.compiler.similarity import cosine
from hil.errors import UsageError
from hil.run.compare import compare
from hil.run.measurement import Measurement
from hil.studies.detect.finders import PICTURE, Finder, Found
from hil.vision import detection, photographs
from hil.vision.detection import Box

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from rich.table import Table

Colour: TypeAlias = tuple[int, int, int]

FLOAT_COLOUR: Colour = (41, 121, 255)
BOARD_COLOUR: Colour = (255, 109, 0)
_LINES_PER_SIDE = 200  # a line is this fraction of the photograph's longer side wide
_LABELS_PER_SIDE = 30


@dataclass(frozen=True)
class Entry:
    """What became of one photograph: its faces and the picture of them, or why there are none."""

    image: str
    found: Found | None = None
    picture: Path | None = None
    error: str = ""


def run(
    images: Sequence[str],
    find: Finder,
    directory: Path,
    about: dict[str, str],
    begin: Callable[[str], None],
) -> list[Entry]:
    """Find the faces of all photographs; one that cannot be read is noted and passed over.

    Args:
        images: names or paths.
        find: finds a photograph's faces.
        directory: for the pictures and `boxes.json`, which is written however the run ends.
        about: what finds them, for the JSON.
        begin: told each photograph before it is searched.
    """
    directory.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    try:
        for image in images:
            begin(image)
            try:
                found = find(image)
            except UsageError as error:
                entries.append(Entry(image, error=error.what))
                continue
            path = _picture_path(image, directory, entries)
            draw(found, path)
            entries.append(Entry(image, found, path))
    finally:
        write_json(entries, about, directory / "boxes.json")
    return entries


def _picture_path(image: str, directory: Path, taken: Sequence[Entry]) -> Path:
    """Name a photograph's picture, unlike those before it."""
    stem, count = Path(image).stem, 1
    used = {entry.picture for entry in taken}
    while (path := directory / f"{stem if count == 1 else f'{stem}-{count}'}{PICTURE}") in used:
        count += 1
    return path


def draw(found: Found, path: Path) -> None:
    """Write a photograph with its boxes: the float model's in blue, the board's in orange."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(photographs.read(found.image))
    canvas = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // _LINES_PER_SIDE)
    for box in found.of_float:
        _draw_box(canvas, found, box, (FLOAT_COLOUR, 2 * width), f"float {box.score:.2f}")
    for box in found.of_board or []:
        _draw_box(canvas, found, box, (BOARD_COLOUR, width), f"board {box.score:.2f}", below=True)
    picture.save(path)


def _draw_box(
    canvas: "ImageDraw",
    found: Found,
    box: Box,
    pen: tuple[Colour, int],
    label: str,
    *,
    below: bool = False,
) -> None:
    from PIL import ImageFont

    left, top, right, bottom = _pixels(box, found)
    colour, width = pen
    canvas.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
    font = ImageFont.load_default(max(10, max(found.rows, found.columns) // _LABELS_PER_SIDE))
    at, anchor = ((left, bottom), "la") if below else ((left, top), "ld")
    canvas.rectangle(canvas.textbbox(at, label, font=font, anchor=anchor), fill=colour)
    canvas.text(at, label, fill="white", font=font, anchor=anchor)


def write_json(entries: Sequence[Entry], about: dict[str, str], path: Path) -> None:
    """Write all photographs' boxes, in pixels of the photograph.

    Args:
        entries: photograph by photograph.
        about: what found the faces: scenario, model, weights, board, ...
        path: of the file.
    """
    content = about | {"images": [_as_json(entry) for entry in entries]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


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
    facts = _as_json(entry)
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


def _as_json(entry: Entry) -> dict[str, Any]:
    found = entry.found
    if found is None:
        return {"image": entry.image, "error": entry.error}
    facts: dict[str, Any] = {
        "image": entry.image,
        "picture": entry.picture.name if entry.picture else None,
        "rows": found.rows,
        "columns": found.columns,
        "float": [_box_as_json(box, found) for box in found.of_float],
    }
    if found.of_board is None or found.measurement is None:
        return facts
    return facts | {
        "board": [
            _box_as_json(box, found) | {"iou_with_float": round(_best_iou(box, found.of_float), 4)}
            for box in found.of_board
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


def _best_iou(box: Box, others: Sequence[Box]) -> float:
    return max((detection.iou(box, other) for other in others), default=0.0)
