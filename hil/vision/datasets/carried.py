"""The small photographs of faces and of other things that scikit-image's wheel carries.

They are a dataset by name alone: `lfw_subset`, or one of its parts, `lfw_subset:train` and
`lfw_subset:held_back`. The second part is a quarter of each class, for tests of what was trained
on the first.
"""

from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.vision.datasets.base import Dataset, Example, Form
from hil.vision.photographs import FACES_OR_NOT, faces_or_not

CLASSES = ("face", "other")
_PER_CLASS, _TRAINED = 100, 75
_PARTS = {
    "": range(_PER_CLASS),
    "train": range(_TRAINED),
    "held_back": range(_TRAINED, _PER_CLASS),
}


def _knows(path: Path) -> bool:
    return path.name.partition(":")[0] == FACES_OR_NOT and not files.exists(path)


def _read(path: Path) -> Dataset:
    part = path.name.partition(":")[2]
    if part not in _PARTS:
        raise UsageError.unknown(f"part of {FACES_OR_NOT}", part, [name for name in _PARTS if name])
    faces_or_not()  # or it says what is missing
    examples = [
        Example(f"{name}/{number:03d}", Path(f"{FACES_OR_NOT}:{number}"), label=label)
        for label, name in enumerate(CLASSES)
        for number in (label * _PER_CLASS + index for index in _PARTS[part])
    ]
    return Dataset(path, FORM.name, tuple(examples), CLASSES)


FORM = Form(FACES_OR_NOT, "the name of the faces that scikit-image carries", _knows, _read)
