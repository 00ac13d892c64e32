"""Annotated photographs: a folder, in one of the forms that people have, becomes a `Dataset`.

Each form is a module with a `Form`. `open_dataset` asks each in turn whether it knows the folder.
Nothing is fetched, and no photograph is decoded here.
"""

from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.vision.datasets import carried, classes, coco, table, voc, wider, yolo
from hil.vision.datasets.base import Dataset, Example, Form, Marked

FORMS: tuple[Form, ...] = (wider.FORM, coco.FORM, voc.FORM, yolo.FORM, table.FORM, classes.FORM)
"""Ordered: the first that knows a folder reads it."""

__all__ = ["FORMS", "Dataset", "Example", "Form", "Marked", "names", "open_dataset"]


def names() -> list[str]:
    """Forms that can be asked for by name."""
    return [form.name for form in FORMS]


def open_dataset(path: Path, form: str | None = None, kind: str | None = None) -> Dataset:
    """Read a dataset's annotations.

    Args:
        path: its folder, or an annotation file in it; or `lfw_subset`, which needs none.
        form: one of `names()`; None to find out.
        kind: the class of objects that counts; None for the only one, or for faces.

    Raises:
        UsageError: there is no such folder, its form is not known, its annotations cannot be
            read, or its objects are of several classes; the error names file and line or key.
    """
    if form is None and carried.FORM.knows(path):
        return carried.FORM.read(path)
    if not files.exists(path):
        raise UsageError(
            f"there is no dataset {path}",
            hint="name its folder, or lfw_subset for the faces that scikit-image carries",
        )
    found = _form(path) if form is None else _named(form)
    return found.read(path).of_kind(kind).with_empty_classes_named()


def _form(path: Path) -> Form:
    for known in FORMS:
        if known.knows(path):
            return known
    raise UsageError(
        f"{path} is a dataset of no form that is known",
        hint="; ".join(f"{known.name}: {known.looks_like}" for known in FORMS),
    )


def _named(name: str) -> Form:
    for form in FORMS:
        if form.name == name:
            return form
    raise UsageError.unknown("form of dataset", name, names())
