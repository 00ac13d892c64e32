"""Where the project's data stands, in a checkout or a wheel, and where build products go."""

import os
import stat
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parent if (_PACKAGE.parent / "boards").is_dir() else _PACKAGE / "_data"

FIRMWARE = _ROOT / "firmware"
BOARDS = _ROOT / "boards"
SCENARIOS = _ROOT / "scenarios"
TEMPLATES = _PACKAGE / "templates"

RESULTS = Path("build/hil/results.csv")
"""The last run's table, below the working directory, where no other file is named."""


def cache() -> Path:
    """Return the directory of cached builds, shared by all clones; $HIL_CACHE overrides it.

    A user without a home, or without the right to write there, such as a container's, has one among
    the temporary files.
    """
    chosen = os.environ.get("HIL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    usual = (Path(base) if base else home() / ".cache") / "rnnpool-hil"
    is_own = base or home() != Path(tempfile.gettempdir())  # where others write too
    return usual if is_own and _may_write(usual) else _of_nobody() or usual


def home() -> Path:
    """Return the user's home; the temporary files' folder for a user that the system lacks."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())


def _may_write(folder: Path) -> bool:
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _of_nobody() -> Path | None:
    """Return a folder of this user's alone among the temporary files; None where others own it."""
    place = Path(tempfile.gettempdir()) / f"rnnpool-hil-{os.getuid()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        facts = place.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
    return place if is_ours else None


def configuration() -> Path:
    """Return the user's directory of settings; $HIL_CONFIG overrides it."""
    chosen = os.environ.get("HIL_CONFIG")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or str(home() / ".config")
    return Path(base) / "rnnpool-hil"
