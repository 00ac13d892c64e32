"""Scenarios by name or path, with what the command line names in place of what their files say."""

from pathlib import Path
from typing import Any

from hil.config import scenario
from hil.config.scenario import Scenario
from hil.errors import UsageError


class Scenarios:
    """Loads scenarios; one that is asked for twice is the same object, so that it runs once.

    Args:
        instead: what `Scenario.override` takes.
    """

    def __init__(self, **instead: Any) -> None:
        self._instead = instead
        self._known: dict[str, tuple[str, Scenario]] = {}

    def load(self, name: str, folder: Path | None = None) -> Scenario:
        """Load a scenario.

        Args:
            name: of a file of scenarios/, or the path of one.
            folder: that a path begins at; None for the current one.

        Raises:
            UsageError: there is none of this name, its file is wrong, or another file of the same
                name has been loaded: results could not tell the two apart.
        """
        where = str(folder / name) if folder and name.endswith(".toml") else name
        loaded = scenario.load(where).override(**self._instead)
        before, known = self._known.setdefault(loaded.name, (where, loaded))
        if known != loaded:
            raise UsageError(
                f"two scenarios are called {loaded.name}: {before} and {where}",
                hint="rename one of them: results go by the name",
            )
        return known
