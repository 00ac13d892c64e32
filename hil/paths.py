"""Where the project's data stands, in a checkout or a wheel, and where build products go."""

import os
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
    """Return the directory of cached builds, shared by all clones; $HIL_CACHE overrides it."""
    chosen = os.environ.get("HIL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rnnpool-hil"


def configuration() -> Path:
    """Return the user's directory of settings; $HIL_CONFIG overrides it."""
    chosen = os.environ.get("HIL_CONFIG")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "rnnpool-hil"
