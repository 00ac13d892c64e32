"""WIDER FACE: `wider_face_val_bbx_gt.txt` beside the photographs, and its subsets where they are.

A record is a photograph's path, a count, and so many lines `x y w h blur expression illumination
invalid occlusion pose`. A photograph without faces has the count 0 and one line of zeros.
The subsets easy, medium and hard are `wider_easy_val.mat` and so on, of the benchmark's own tools.

Source: the data set's readme.txt; Yang et al., WIDER FACE, CVPR 2016.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.numbers import decimal
from hil.vision.datasets.base import SUFFIXES, Dataset, Example, Form, Marked, pictures, read_text

_LISTS = "wider_face_*_bbx_gt.txt"
_SUBSETS = ("easy", "medium", "hard")
_INVALID = 7  # column that says that a face counts for nothing


def _annotations(path: Path) -> Path | None:
    if path.is_file():
        return path if path.match(_LISTS) else None
    return next(iter(sorted(path.rglob(_LISTS))), None)


def _read(path: Path) -> Dataset:
    file = _annotations(path)
    if file is None:
        raise UsageError(f"there is no {_LISTS} in {path}")
    folder = path if path.is_dir() else path.parent
    by_tail = {"/".join(p.parts[-2:]): p for p in pictures(folder)}
    examples, problems = [], []
    for name, objects in _records(file, read_text(file).splitlines()):
        picture = by_tail.pop("/".join(Path(name).parts[-2:]), None)
        if picture is None:
            problems.append(f"{file.name}: {name} has labels and no photograph")
        else:
            examples.append(Example(name, picture, objects))
    problems += [f"{tail} has no annotation in {file.name}" for tail in by_tail]
    if not examples:
        raise UsageError(f"no photograph that {file} names is in {folder}")
    return Dataset(
        folder, FORM.name, tuple(examples), subsets=_subsets(folder), problems=tuple(problems)
    )


def _records(file: Path, lines: list[str]) -> list[tuple[str, tuple[Marked, ...]]]:
    records, at = [], 0
    while at < len(lines):
        name = lines[at].strip()
        if not name:
            at += 1
            continue
        if not name.lower().endswith(SUFFIXES):
            raise UsageError(f"{file}:{at + 1}: expected a photograph's path, found {name!r}")
        count = _count(file, lines, at + 1)
        # WIDER writes one line of zeros for a photograph without faces.
        rows = lines[at + 2 : at + 2 + max(1, count)]
        if len(rows) < count:
            raise UsageError(f"{file}:{at + 2}: {count} faces announced, the file ends before")
        objects = [_face(file, at + 3 + i, row) for i, row in enumerate(rows[:count])]
        records.append((name, tuple(objects)))
        zeros = count == 0 and rows and not rows[0].lower().rstrip().endswith(SUFFIXES)
        at += 2 + (1 if zeros else count)
    return records


def _count(file: Path, lines: list[str], at: int) -> int:
    text = lines[at].strip() if at < len(lines) else ""
    count = decimal(text)
    if count is None or count < 0:
        raise UsageError(f"{file}:{at + 1}: expected a number of faces, found {text[:40]!r}")
    return count


def _face(file: Path, line: int, row: str) -> Marked:
    numbers = [number for word in row.split() if (number := decimal(word)) is not None]
    if len(numbers) < len(row.split()):
        raise UsageError(f"{file}:{line}: expected ten whole numbers, found {row[:80]!r}")
    if len(numbers) not in {4, 10}:
        raise UsageError(f"{file}:{line}: expected 4 or 10 numbers, found {len(numbers)}")
    x, y, width, height = numbers[:4]
    ignored = width <= 0 or height <= 0 or (len(numbers) == 10 and numbers[_INVALID] == 1)
    return Marked(x, y, x + width, y + height, ignored)


def _subsets(folder: Path) -> dict[str, Mapping[str, frozenset[int]]]:
    found: dict[str, Mapping[str, frozenset[int]]] = {}
    for subset in _SUBSETS:
        file = next(iter(sorted(folder.rglob(f"wider_{subset}_*.mat"))), None)
        if file is not None:
            found[subset] = _kept(file)
    return found


def _kept(file: Path) -> dict[str, frozenset[int]]:
    """Indices of the faces that count, from 0, by photograph's path; MATLAB counts from 1."""
    io: Any = import_module("scipy.io")  # a second to import, and untyped
    try:
        content = io.loadmat(file)
        events = zip(content["event_list"], content["file_list"], content["gt_list"], strict=True)
        return dict(kept for event in events for kept in _of_event(*event))
    except (io.matlab.MatReadError, OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"{file} is not a list of the WIDER FACE benchmark: {error}",
            hint="it must hold event_list, file_list and gt_list",
        ) from error


def _of_event(event: Any, files: Any, kept: Any) -> list[tuple[str, frozenset[int]]]:
    folder = str(event[0][0])
    return [
        (f"{folder}/{name[0][0]}.jpg", frozenset(int(i) - 1 for i in indices[0].ravel()))
        for name, indices in zip(files[0], kept[0], strict=True)
    ]


FORM = Form(
    "wider",
    f"{_LISTS}, with the photographs below it",
    lambda path: _annotations(path) is not None,
    _read,
)
