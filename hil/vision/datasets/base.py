"""What every form of dataset becomes: examples with a label or with marked objects."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".webp")
MOST_FILE_BYTES = 1 << 30  # of an annotation file
_FACE = "face"


@dataclass(frozen=True)
class Marked:
    """An object that a person marked in a photograph.

    Attributes:
        left, top, right, bottom: edges in pixels of the photograph.
        ignored: whether it counts neither when it is found nor when it is missed.
        kind: its class; empty where the form has none, and once one class was chosen.

    Raises:
        ValueError: an edge is not finite.
    """

    left: float
    top: float
    right: float
    bottom: float
    ignored: bool = False
    kind: str = ""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.left, self.top, self.right, self.bottom))):
            raise ValueError(f"a box that is not finite: {self}")

    def lies_in(self, rows: int, columns: int) -> bool:
        """Whether any of it lies in a photograph of that size.

        Args:
            rows: of the photograph.
            columns: of the photograph.
        """
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
        key: the annotation file's own number of it; None where it has none.
    """

    name: str
    path: Path
    objects: tuple[Marked, ...] = ()
    label: int | None = None
    key: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset: annotated photographs, and the classes or boxes that they are annotated with.

    Attributes:
        form: which form it had.
        classes: names by label; empty for detection.
        subsets: for each named subset, by example's name, the indices of the objects that count in
            it; the others are ignored. Empty: everything that is not ignored counts.
        problems: what is wrong with it, file by file; what they name is left out.
        categories: the annotation file's own number of each class of objects; empty where it has
            none.
        category: that of the objects that are wanted; None where it has none.
    """

    folder: Path
    form: str
    examples: tuple[Example, ...]
    classes: tuple[str, ...] = ()
    subsets: Mapping[str, Mapping[str, frozenset[int]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    categories: Mapping[str, int] = field(default_factory=dict)
    category: int | None = None

    @property
    def is_classification(self) -> bool:
        """Whether its examples have labels rather than marked objects."""
        return bool(self.classes)

    def with_classes(self, classes: tuple[str, ...]) -> "Dataset":
        """Return it with its classes, which are these, in another order."""
        numbers = [classes.index(name) for name in self.classes]
        examples = tuple(
            replace(one, label=None if one.label is None else numbers[one.label])
            for one in self.examples
        )
        return replace(self, classes=classes, examples=examples)

    def of_kind(self, kind: str | None) -> "Dataset":
        """Return it with the objects of one class alone, for detection.

        Args:
            kind: the class; None for its only one, or for faces where it has several.

        Raises:
            UsageError: it has no such class, or several and none is named.
        """
        kinds = sorted({m.kind for e in self.examples for m in e.objects} | self.categories.keys())
        if self.is_classification or (kind is None and len(kinds) < 2):
            wanted = kinds[0] if len(kinds) == 1 else ""
            return self if self.is_classification else self._of_kind(wanted)
        if kind is None and _FACE not in kinds:
            raise UsageError(
                f"{self.folder} has objects of several classes: {', '.join(kinds)}",
                hint="name the one that the network finds: --class NAME",
            )
        if kind is not None and kind not in kinds:
            raise UsageError.unknown("class of objects", kind, kinds)
        return self._of_kind(kind or _FACE)

    def _of_kind(self, kind: str) -> "Dataset":
        examples = tuple(
            replace(one, objects=tuple(replace(m, kind="") for m in one.objects if m.kind == kind))
            for one in self.examples
        )
        return replace(self, examples=examples, category=self.categories.get(kind))

    def with_empty_classes_named(self) -> "Dataset":
        """Return it with a problem for each class that no example has."""
        had = {one.label for one in self.examples}
        empty = [name for label, name in enumerate(self.classes) if label not in had]
        said = tuple(f"no photograph is of the class {name}" for name in empty)
        return replace(self, problems=self.problems + said)


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

    Args:
        names: of classes.
        where: they stand, for the error.

    Raises:
        UsageError: two are the same, but for small and large letters, or there are none.
    """
    alike = [name.casefold() for name in names]
    twins = sorted({name for name in names if alike.count(name.casefold()) > 1})
    if twins:
        raise UsageError(f"{where} has two classes named {', '.join(twins)}")
    if not names:
        raise UsageError(f"{where} has no classes")
    return tuple(names)
