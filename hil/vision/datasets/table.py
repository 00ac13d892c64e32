"""A CSV of photographs and labels: the columns `file` and `label`, or two columns without names."""

import csv
import io
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.numbers import decimal
from hil.vision.datasets.base import SUFFIXES, Dataset, Example, Form, read_text, without_twins

_HEADINGS = ({"file", "path", "image", "filename"}, {"label", "class"})


def _file(path: Path) -> Path | None:
    tables = [path] if path.suffix == ".csv" else sorted(path.glob("*.csv"))
    return next((file for file in tables if _looks_right(file)), None)


def _looks_right(file: Path) -> bool:
    rows = _rows(file)
    return any(len(row) >= 2 and row[0].lower().endswith(SUFFIXES) for row in rows[:2])


def _rows(file: Path) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(read_text(file))))
    return [[cell.strip() for cell in row] for row in rows if any(row)]


def _read(path: Path) -> Dataset:
    file = _file(path)
    if file is None:
        raise UsageError(f"there is no CSV of photographs and labels in {path}")
    rows = _rows(file)
    if rows[0][0].lower() in _HEADINGS[0]:
        rows = rows[1:]
    short = next((row for row in rows if len(row) < 2), None)
    if short is not None:
        raise UsageError(f"{file}: {short[0]!r} has no label")
    classes = without_twins(_ordered({row[1] for row in rows}), file)
    examples, problems = [], []
    for name, label, *_ in rows:
        picture = file.parent / name
        if files.is_file(picture):
            examples.append(Example(name, picture, label=classes.index(label)))
        else:
            problems.append(f"{file.name}: {name} is not there")
    if not examples:
        raise UsageError(f"no photograph that {file} names is in {file.parent}")
    return Dataset(file.parent, FORM.name, tuple(examples), classes, problems=tuple(problems))


def _ordered(labels: set[str]) -> list[str]:
    """Numbers by value, names by alphabet."""
    numbers = {label: decimal(label) for label in labels}
    by_value = {label: number for label, number in numbers.items() if number is not None}
    return (
        sorted(labels) if len(by_value) < len(labels) else sorted(labels, key=by_value.__getitem__)
    )


FORM = Form("csv", "a CSV of photographs and labels", lambda path: _file(path) is not None, _read)
