"""Which Renode this machine has."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hil.errors import ProbeError, UsageError

OLDEST = (1, 16)  # before, SSUB8 set GE on signed overflow, so that SEL picked no maximum
_NUMBER = re.compile(r"[0-9]{1,6}")  # str.isdigit() takes digits that int() does not
REMEDY = ("pip install git+https://github.com/antmicro/renode-run", "renode-run download")
"""Commands that install it."""
_ANSWER_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Installation:
    """A Renode that can be started.

    Attributes:
        command: starts it; arguments follow.
        found_as: what named it.
    """

    command: tuple[str, ...]
    found_as: str

    def version(self) -> str:
        """Return the first line that it says of its version. Raises ProbeError."""
        return _ask([*self.command, "--version"]).strip().partition("\n")[0].strip()


def find(path: str = "") -> Installation:
    """Find Renode: the path given, $HIL_RENODE, renode-run, or renode on PATH, in this order.

    Args:
        path: an executable or the folder of a portable Renode; empty to look for one.

    Raises:
        UsageError: the path, or $HIL_RENODE, leads to no Renode.
        ProbeError: there is none.
    """
    if path:
        return Installation((_executable(path, "--hil-renode"),), "--hil-renode")
    if named := os.environ.get("HIL_RENODE"):
        return Installation((_executable(named, "HIL_RENODE"),), "HIL_RENODE")
    launcher = shutil.which("renode-run")
    if launcher and _has_renode(launcher):
        return Installation((launcher, "exec", "--"), "renode-run")
    on_path = shutil.which("renode")
    if on_path:
        return Installation((on_path,), "renode on PATH")
    if launcher:
        raise ProbeError("renode-run is here, but no Renode yet", hint="renode-run download")
    raise ProbeError(
        "there is no Renode on this machine", hint=f"to have it: {', then '.join(REMEDY)}"
    )


def require_recent(text: str) -> str:
    """Return the version in what Renode says of itself.

    Args:
        text: such as "Renode v1.16.1.6550" or "Renode, version 1.16.1.6550 (03756cb5)".

    Raises:
        ProbeError: it names none, or one that is too old.
    """
    words = [word.removeprefix("v") for word in text.split()]
    version = next((word for word in words if word[:1].isdigit() and "." in word), "")
    numbers = version.split(".")[:2]
    if len(numbers) < 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise ProbeError(f"Renode does not say its version, but: {text[:200]!r}", stage="start-up")
    if tuple(map(int, numbers)) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ProbeError(
            f"this is Renode {version}, and {oldest} or later is needed: before, SSUB8 and SEL "
            "gave wrong maxima",
            hint="renode-run download",
            stage="start-up",
        )
    return version


def _executable(path: str, named_by: str) -> str:
    """Return the executable that a path means."""
    found = shutil.which(str(Path(path, "renode"))) if Path(path).is_dir() else shutil.which(path)
    if found is None:
        raise UsageError(
            f"{named_by} names {path}, where no Renode can be started",
            hint="give its executable, or the folder of a portable Renode",
        )
    return found


def _has_renode(launcher: str) -> bool:
    """Whether renode-run has a Renode, so that asking for it downloads nothing."""
    try:
        heading, *installed = _ask([launcher, "list"]).splitlines()
    except (ProbeError, ValueError):
        return False
    del heading
    return any(line.strip() for line in installed)


def _ask(command: list[str]) -> str:
    """Return what a command prints. Raises ProbeError."""
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProbeError(f"{' '.join(command)} does not answer: {error}") from error
    return answer.stdout or answer.stderr
