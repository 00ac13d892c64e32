"""YOLO: beside each photograph, or in a folder `labels`, a text file of the same name.

Each line is `class x y width height`, the box's centre and size as shares of the photograph's.
Names of the classes are lines of `classes.txt` or `obj.names`, or `names` in a YAML file; without
them a class is called by its number.

Source: the Darknet project's description of its training data.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.vision.datasets.base import (
    Dataset,
    Example,
    Form,
    Marked,
    pictures,
    read_text,
    without_twins,
)

_FIELDS = 5
_NAMES = ("classes.txt", "obj.names")


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
    names = _class_names(path)
    for picture in pictures(path):
        file = _label_file(picture)
        name = picture.relative_to(path).as_posix()
        if file is None:
            problems.append(f"{name} has no label file")
        else:
            examples.append(Example(name, picture, _objects(file, _size(picture), names)))
    if not examples:
        raise UsageError(f"no photograph in {path} has a label file")
    return Dataset(path, FORM.name, tuple(examples), problems=tuple(problems))


def _class_names(folder: Path) -> Mapping[str, str]:
    """Names by number, as the files say the latter."""
    listed = (folder / name for name in _NAMES)
    file = next((file for file in listed if file.is_file()), None)
    if file is not None:
        names = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    else:
        file = next(iter(sorted(folder.glob("*.yaml"))), None)
        names = [] if file is None else _names_of_yaml(file)
    if file is None or not names:
        return {}
    return {str(number): name for number, name in enumerate(without_twins(names, file))}


def _names_of_yaml(file: Path) -> list[str]:
    import yaml

    try:
        content: Any = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid YAML: {error}") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[number] for number in range(len(names)) if number in names]
    if not isinstance(names, list):
        return []
    if not all(isinstance(name, str | int) for name in names):
        raise UsageError(f"{file}: names of classes are texts, one for each class")
    return [str(name) for name in names]


def _size(picture: Path) -> tuple[int, int]:
    """Columns and rows, read from the file's head."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return (1, 1)  # a photograph that cannot be read is told when it is run


def _objects(file: Path, size: tuple[int, int], names: Mapping[str, str]) -> tuple[Marked, ...]:
    columns, rows = size
    objects = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            kind, *numbers = line.split()
            x, y, width, height = (float(word) for word in numbers)
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
                kind=names.get(kind, kind),
            )
        )
    return tuple(objects)


FORM = Form("yolo", "a text file of `class x y width height` beside each photograph", _knows, _read)
