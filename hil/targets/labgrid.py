"""Takes a board of a labgrid farm for a run, and releases it afterwards.

A place has to offer a `NetworkService` where pyOCD's probe server answers, and a
`NetworkSerialPort`. labgrid's own client is run as a program: its library brings another package
named `serial`.

Source: labgrid's manual, sections "Getting started" and "labgrid-client".
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import yaml

from hil.config.inventory import REMOTE, Unit
from hil.errors import LockError, ProbeError

CLIENT = "labgrid-client"
_ANSWER_S = 30.0
_ASK_AGAIN_S = 1.0
_PROBE_SERVER, _SERIAL_PORT = "NetworkService", "NetworkSerialPort"
_SCHEMES = {"raw": "socket", "rfc2217": "rfc2217"}
_OWN = "You have already acquired place {}."
_BUSY = "is already acquired by"


@dataclass(frozen=True)
class _Answer:
    """What labgrid's client said."""

    succeeded: bool
    said: str


@contextmanager
def acquired(unit: Unit, *, wait_s: float, tell: Callable[[str], None]) -> Iterator[Unit]:
    """Hold a place while the block runs; one that was held before by this user stays held.

    Args:
        unit: whose `place` it is.
        wait_s: how long to wait for another holder.
        tell: told whom it waits for.

    Yields:
        the board with the addresses of the place's probe server and serial port.

    Raises:
        LockError: others hold the place for longer.
        ProbeError: there is no such place or coordinator, or it does not offer what a run needs.
    """
    is_own = _acquire(unit, wait_s, tell)
    if not is_own:
        tell(f"the place {unit.place} was acquired before: it stays acquired behind this run")
    try:
        yield _addressed(unit)
    finally:
        if is_own:
            _ask(unit, "release")


def is_free(unit: Unit) -> bool:
    """Whether a place can be taken now, or is this user's."""
    try:
        with acquired(unit, wait_s=0.0, tell=lambda _said: None):
            return True
    except (LockError, ProbeError):
        return False


def _acquire(unit: Unit, wait_s: float, tell: Callable[[str], None]) -> bool:
    """Take a place; returns whether it was not this user's before."""
    end = monotonic() + wait_s
    while True:
        answer = _ask(unit, "acquire")
        if answer.succeeded or _OWN.format(unit.place) in answer.said:
            return answer.succeeded
        if _BUSY not in answer.said:
            raise ProbeError(
                f"the place {unit.place} cannot be acquired: {answer.said}",
                hint=f"look what there is with `{CLIENT} places` and `{CLIENT} resources`",
            )
        if monotonic() >= end:
            raise LockError(f"{unit} is in use: {answer.said}", hint="it is free when that ends")
        tell(f"waiting: {answer.said}")
        Event().wait(min(_ASK_AGAIN_S, max(0.0, end - monotonic())))


def _addressed(unit: Unit) -> Unit:
    """Ask for a place's resources. Raises ProbeError where one is missing."""
    answer = _ask(unit, "env")
    resources = _resources(answer.said) if answer.succeeded else []
    services = [one for kind, one in resources if kind == _PROBE_SERVER]
    services = [one for one in services if one.get("name") == "pyocd"] or services
    ports = [one for kind, one in resources if kind == _SERIAL_PORT]
    if len(services) != 1 or len(ports) != 1:
        offered = ", ".join(kind for kind, _ in resources) or answer.said or "nothing"
        raise ProbeError(
            f"the place {unit.place} offers {offered}",
            hint=f"a board needs one {_PROBE_SERVER} (named pyocd, where there are more), at which "
            f"`pyocd server` answers, and one {_SERIAL_PORT}",
        )
    (service,), (port,) = services, ports
    scheme = _SCHEMES.get(port.get("protocol", "rfc2217"), "rfc2217")
    return replace(
        unit,
        probe=f"{REMOTE}{service.get('address')}:{service.get('port')}",
        port=f"{scheme}://{port.get('host')}:{port.get('port')}",
    )


def _resources(environment: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the kinds and settings of a place's resources, as labgrid writes its environment."""
    try:
        (target,) = yaml.safe_load(environment)["targets"].values()
        return [(kind, dict(one[kind])) for one in target["resources"] for kind in one]
    except (yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError):
        return []


def _ask(unit: Unit, what: str) -> _Answer:
    """Run labgrid's client. Raises ProbeError where there is none, or where it does not answer."""
    coordinator = ["-x", unit.coordinator] if unit.coordinator else []
    command = [_client(), *coordinator, "-p", unit.place, what]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        at = unit.coordinator or os.environ.get("LG_COORDINATOR", "the coordinator")
        raise ProbeError(
            f"{at} did not answer `{CLIENT} -p {unit.place} {what}` within {_ANSWER_S:.0f} s",
            hint="is the coordinator running there?",
        ) from error
    if done.returncode == 0:
        return _Answer(succeeded=True, said=done.stdout)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = lines[-1] if lines else f"it ended with status {done.returncode}"
    return _Answer(succeeded=False, said=said.removeprefix(f"{CLIENT}: ").removeprefix("Error: "))


def _client() -> str:
    """Return labgrid's client, installed beside this program or elsewhere. Raises ProbeError."""
    beside = Path(sys.executable).with_name(CLIENT)
    found = str(beside) if beside.is_file() else shutil.which(CLIENT)
    if found is None:
        raise ProbeError(
            f"a place of labgrid is named, and there is no {CLIENT}",
            hint="install it apart: pipx install labgrid",
        )
    return found
