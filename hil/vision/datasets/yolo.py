"""YOLO: beside each photograph, or in a folder `labels`, a text file of the same name.

Each line is `class x y width height`, the box's centre and size as shares of the photograph's.

Source: the Darknet project's description of its training data.
"""

import math
from pathlib import Path

from hil.errors import UsageError
from hil.vision.datasets.base import Dataset, Example, Form, Marked, pictures, read_text

_FIELDS = 5


def _label_file(picture: Path) -> Path | None:
    beside = picture.with_suffix(".txt")
    parts = ["labels" if part == "images" else part for part in beside.parts]
    for file in (beside, Path(*parts), picture.parent.parent / "labels" / beside.name):
        if file.is_file():
            return file
    return None


def _knows(path: Path) -> bool:
    if not path.is_dir():
        return False
    found = (_label_file(picture) for picture in pictures(path))
    return any(_looks_right(file) for file in found if file is not None)


def _looks_right(file: Path) -> bool:
    lines = [line.split() for line in read_text(file).splitlines() if line.strip()]
    return bool(lines) and all(len(words) == _FIELDS for words in lines)


def _read(path: Path) -> Dataset:
    examples, problems = [], []
    for picture in pictures(path):
        file = _label_file(picture)
        name = picture.relative_to(path).as_posix()
        if file is None:
            problems.append(f"{name} has no label file")
        else:
            examples.append(Example(name, picture, _objects(file, _size(picture))))
    if not examples:
        raise UsageError(f"no photograph in {path} has a label file")
    return Dataset(path, FORM.name, tuple(examples), problems=tuple(problems))


def _size(picture: Path) -> tuple[int, int]:
    """Columns and rows, read from the file's head."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return (1, 1)  # a photograph that cannot be read is told when it is run


def _objects(file: Path, size: tuple[int, int]) -> tuple[Marked, ...]:
    columns, rows = size
    objects = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            _, x, y, width, height = (float(word) for word in line.split())
        except ValueError as error:
            raise UsageError(f"{file}:{number}: expected five numbers, found {line!r}") from error
        if not all(map(math.isfinite, (x, y, width, height))):
            raise UsageError(f"{file}:{number}: a box that is not finite: {line!r}")
        objects.append(
            Marked(
                (x - width / 2) * columns,
                (y - height / 2) * rows,
                (x + width / 2) * columns,
                (y + height / 2) * rows,
                ignored=width <= 0 or height <= 0,
            )
        )
    return tuple(objects)


FORM = Form("yolo", "a text file of `class x y width height` beside each photograph", _knows, _read)
