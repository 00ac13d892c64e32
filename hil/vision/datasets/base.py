"""What every form of dataset becomes: examples with a label or with marked objects."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".webp")
MOST_FILE_BYTES = 1 << 30  # of an annotation file


@dataclass(frozen=True)
class Marked:
    """An object that a person marked in a photograph.

    Attributes:
        left, top, right, bottom: edges in pixels of the photograph.
        ignored: whether it counts neither when it is found nor when it is missed.
    """

    left: float
    top: float
    right: float
    bottom: float
    ignored: bool = False

    def lies_in(self, rows: int, columns: int) -> bool:
        """Whether any of it lies in a photograph of that size."""
        across = min(self.right, columns) - max(self.left, 0)
        down = min(self.bottom, rows) - max(self.top, 0)
        return across > 0 and down > 0


@dataclass(frozen=True)
class Example:
    """A photograph and what is known of it.

    Attributes:
        name: its path within the dataset.
        objects: marked ones, for detection.
        label: index of its class, for classification; None in a detection dataset.
    """

    name: str
    path: Path
    objects: tuple[Marked, ...] = ()
    label: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Annotated photographs.

    Attributes:
        form: which form it had.
        classes: names by label; empty for detection.
        subsets: for each named subset, by example's name, the indices of the objects that count in
            it; the others are ignored. Empty: everything that is not ignored counts.
        problems: what is wrong with it, file by file; what they name is left out.
    """

    folder: Path
    form: str
    examples: tuple[Example, ...]
    classes: tuple[str, ...] = ()
    subsets: Mapping[str, Mapping[str, frozenset[int]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def is_classification(self) -> bool:
        """Whether its examples have labels rather than marked objects."""
        return bool(self.classes)


@dataclass(frozen=True)
class Form:
    """A form that datasets come in.

    Attributes:
        looks_like: for a person, what a folder of the form holds.
        knows: whether a path is a dataset of the form.
        read: reads it.
    """

    name: str
    looks_like: str
    knows: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


def pictures(folder: Path) -> Iterator[Path]:
    """Every image file in a folder and its folders, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def read_text(path: Path) -> str:
    """Read an annotation file.

    Raises:
        UsageError: it cannot be read, is too large, or is no text.
    """
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise UsageError(f"{path} is larger than {MOST_FILE_BYTES:,} B: no annotations")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the annotations {path}: {error}") from error


def read_json(path: Path) -> Any:
    """Read an annotation file that is JSON.

    Raises:
        UsageError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # numbers of 4301 digits too
        raise UsageError(f"{path} is not valid JSON: {error}") from error


def without_twins(names: list[str], where: Path) -> tuple[str, ...]:
    """Class names as they stand.

    Raises:
        UsageError: two are the same, or there are none.
    """
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise UsageError(f"{where} has two classes named {', '.join(twins)}")
    if not names:
        raise UsageError(f"{where} has no classes")
    return tuple(names)
