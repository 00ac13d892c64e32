"""Scenarios by name or path, with what the command line names in place of what their files say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.config import scenario
from hil.config.scenario import Scenario


class Scenarios:
    """Loads scenarios; one that is asked for twice is the same object, so that it runs once.

    Args:
        instead: what `Scenario.override` takes.
    """

    def __init__(self, **instead: Any) -> None:
        self._instead = instead
        self._known: dict[Path, Scenario] = {}

    def load(self, name: str, folder: Path | None = None) -> Scenario:
        """Load a scenario.

        Args:
            name: of a file of scenarios/, or the path of one.
            folder: that a path begins at; None for the current one.

        Returns:
            It. The name of another file of the same name begins with its folder's, so that results
            keep the two apart: `mine.face_m4` beside `face_m4`.

        Raises:
            UsageError: there is none of this name, or its file is wrong.
        """
        where = str(folder / name) if folder and name.endswith(".toml") else name
        loaded = scenario.load(where).override(**self._instead)
        file = (loaded.directory / f"{loaded.name}.toml").resolve()
        if file not in self._known:
            taken = {one.name for one in self._known.values()}
            self._known[file] = replace(loaded, name=_free(file, taken))
        return self._known[file]


def _free(file: Path, taken: set[str]) -> str:
    """Return a scenario's name: its file's, behind as many of its folders as tell it apart."""
    name = file.stem
    for folder in file.parents:
        if name not in taken:
            break
        name = ".".join(filter(None, ["".join(map(_plain, folder.name)).strip("._-"), name]))
    while name in taken:
        name += "_"
    return name


def _plain(letter: str) -> str:
    return letter if letter.isascii() and (letter.isalnum() or letter in "_.") else "_"
