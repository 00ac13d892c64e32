"""A folder for each class, with its photographs; classes are numbered by the folders' names."""

from pathlib import Path

from hil.errors import UsageError
from hil.vision.datasets.base import Dataset, Example, Form, pictures, without_twins

_FEWEST = 2


def _folders(path: Path) -> list[Path]:
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [folder for folder in inside if folder.is_dir() and not folder.name.startswith(".")]


def _knows(path: Path) -> bool:
    folders = _folders(path)
    return len(folders) >= _FEWEST and any(next(pictures(f), None) for f in folders)


def _read(path: Path) -> Dataset:
    folders = _folders(path)
    classes = without_twins([folder.name for folder in folders], path)
    examples = []
    for label, folder in enumerate(folders):
        found = list(pictures(folder))
        if not found:
            raise UsageError(
                f"the class {folder.name} of {path} has no photograph",
                hint="remove its folder, if the network knows no such class",
            )
        examples += [
            Example(picture.relative_to(path).as_posix(), picture, label=label) for picture in found
        ]
    return Dataset(path, FORM.name, tuple(examples), classes)


FORM = Form("classes", "a folder of photographs for each class", _knows, _read)
