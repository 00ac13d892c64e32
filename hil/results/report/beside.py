"""The files that a scenario's run has left beside the table, as links of a page."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from hil.results.report.subjects import Subject

Link = tuple[str, str]
"""What is shown, and the address."""


def links(found: Sequence[Subject], results: Path, page: Path) -> dict[str, list[Link]]:
    """Find the files of each scenario's last run.

    Args:
        found: the scenarios.
        results: the folder of the table, such as `build/hil`.
        page: the file that the page will be; addresses are relative to its folder.

    Returns:
        by scenario's name; a scenario without files is left out.
    """
    linked = {}
    for one in found:
        folder = _folder(results, one)
        if folder is not None:
            names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
            base = Path(os.path.relpath(folder, page.parent)).as_posix()
            linked[one.name] = [(name, quote(f"{base}/{name}")) for name in names]
    return linked


def _folder(results: Path, one: Subject) -> Path | None:
    """Return the folder of a scenario; with several boards their names stand behind it."""
    names = (f"{one.context.scenario}.{one.context.board}", one.context.scenario)
    return next((results / name for name in names if (results / name).is_dir()), None)
