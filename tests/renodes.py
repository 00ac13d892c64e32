"""Renodes for tests: the stand-in with a fault, and a real one where there is one."""

import stat
import sys
from pathlib import Path

import pytest
import renode_stand_in

from hil.errors import HilError
from hil.targets.renode import installation


def stand_in(directory: Path, fault: str = "none") -> str:
    """Write an executable that starts the stand-in; return its path."""
    words = " ".join(f"'{word}'" for word in (sys.executable, renode_stand_in.__file__, fault))
    return executable(directory / "renode", f'exec {words} "$@"')


def executable(path: Path, script: str) -> str:
    """Write a shell script; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def real() -> str:
    """Return the path of this machine's Renode, or skip the test that asks for it."""
    try:
        found = installation.find()
        installation.require_recent(found.version())
    except HilError as error:
        pytest.skip(f"needs Renode: {error.what}")
    return "" if len(found.command) > 1 else found.command[0]
