"""COCO: one JSON of images, annotations and categories; also Visual Wake Words, made from it.

A JSON of two categories, of which one is "person", is read as classification: a photograph shows a
person where a box of that category has more than 0.5 % of its area.

Source: cocodataset.org, "Data format"; Chowdhery et al., Visual Wake Words, 2019, section 3.
"""

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
    read_json,
    without_twins,
)

_LEAST_SHARE = 0.005  # of a photograph, that a person must fill


def _annotations(path: Path) -> Path | None:
    files = [path] if path.suffix == ".json" else sorted(path.rglob("*.json"))
    return next((file for file in files if _is_coco(file)), None)


def _is_coco(file: Path) -> bool:
    try:
        content = read_json(file)
    except UsageError:
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _read(path: Path) -> Dataset:
    file = _annotations(path)
    if file is None:
        raise UsageError(f"there is no JSON with images and annotations in {path}")
    content = read_json(file)
    folder = path if path.is_dir() else path.parent
    try:
        categories = {int(c["id"]): str(c["name"]) for c in content.get("categories", [])}
        without_twins([str(c["name"]) for c in content.get("categories", [])] or ["object"], file)
        images = {int(image["id"]): image for image in content["images"]}
        boxes = _boxes(content["annotations"], images, categories)
        person = _person(categories)
        examples, problems = _examples(file, folder, images, boxes, person)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"{file} is not in COCO's form: {error!r}") from error
    if not examples:
        raise UsageError(f"no photograph that {file} names is in {folder}")
    return Dataset(
        folder,
        FORM.name,
        tuple(examples),
        classes=() if person is None else ("no person", "person"),
        problems=tuple(problems),
        categories={} if person is not None else {name: key for key, name in categories.items()},
    )


def _person(categories: Mapping[int, str]) -> int | None:
    """The category that Visual Wake Words asks for, None where the JSON is for detection."""
    named = [key for key, name in categories.items() if name == "person"]
    return named[0] if len(categories) == 2 and named else None


def _boxes(
    annotations: list[dict[str, Any]], images: Mapping[int, Any], categories: Mapping[int, str]
) -> dict[int, list[tuple[Marked, int]]]:
    found: dict[int, list[tuple[Marked, int]]] = {}
    for annotation in annotations:
        image = int(annotation["image_id"])
        if image not in images:
            raise ValueError(f"annotation {annotation.get('id')} is of no image")
        x, y, width, height = (float(v) for v in annotation.get("bbox") or (0, 0, 0, 0))
        ignored = bool(annotation.get("iscrowd", 0)) or width <= 0 or height <= 0
        category = int(annotation.get("category_id", 0))
        marked = Marked(x, y, x + width, y + height, ignored, categories.get(category, ""))
        found.setdefault(image, []).append((marked, category))
    return found


def _examples(
    file: Path,
    folder: Path,
    images: Mapping[int, Any],
    boxes: Mapping[int, list[tuple[Marked, int]]],
    person: int | None,
) -> tuple[list[Example], list[str]]:
    by_name: dict[str, Path] = {p.name: p for p in pictures(folder)}
    examples, problems = [], []
    for key, image in images.items():
        name = str(image["file_name"])
        picture = by_name.pop(Path(name).name, None)
        if picture is None:
            problems.append(f"{file.name}: {name} has labels and no photograph")
            continue
        of_image = boxes.get(key, [])
        if person is None:
            objects = tuple(marked for marked, _ in of_image)
            examples.append(Example(name, picture, objects, key=key))
        else:
            shown = _shows(person, of_image, image)
            examples.append(Example(name, picture, label=int(shown), key=key))
    problems += [f"{name} has no entry in {file.name}" for name in by_name]
    return examples, problems


def _shows(wanted: int, boxes: list[tuple[Marked, int]], image: Mapping[str, Any]) -> bool:
    area = float(image.get("width", 0)) * float(image.get("height", 0))
    return any(
        category == wanted and (m.right - m.left) * (m.bottom - m.top) > _LEAST_SHARE * area
        for m, category in boxes
    )


FORM = Form(
    "coco",
    "a JSON with images and annotations, with the photographs below it",
    lambda path: _annotations(path) is not None,
    _read,
)
