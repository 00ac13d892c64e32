"""What this machine has of what the harness needs."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from hil.errors import HilError


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes:
        detail: version and place, or why it does not count as found.
        remedy: what to do where it is missing.
        optional: whether the main job on the emulated board works without it.
    """

    name: str
    found: bool
    detail: str
    remedy: str = ""
    optional: bool = True


_PACKAGES = (
    ("torch", "float models", False),
    ("ziglang", "default cross compiler", False),
    ("cmake", "firmware build", False),
    ("ninja", "firmware build", False),
    ("pyocd", "debug probes", False),
    ("pyserial", "the link", False),
    ("unicorn", "emulated board", False),
    ("capstone", "emulated board's cycle model", False),
    ("pandas", "results", False),
)
_VERSION_DEADLINE_S = 20.0


def examine() -> list[Finding]:
    """Look for everything: Python, packages, compilers, Renode, probes."""
    return [
        _python(),
        *(_package(name, use, optional=optional) for name, use, optional in _PACKAGES),
        _program(
            "arm-none-eabi-gcc",
            "second cross compiler, --hil-toolchain=gcc",
            "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        ),
        _renode(),
        *_probes(),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    found = sys.version_info >= (3, 11)
    return Finding(
        "Python", found, version, "" if found else "install Python 3.11 or later", optional=False
    )


def _package(name: str, use: str, *, optional: bool) -> Finding:
    try:
        return Finding(
            name, found=True, detail=f"{metadata.version(name)}, {use}", optional=optional
        )
    except metadata.PackageNotFoundError:
        extra = (
            "pip install 'rnnpool-hil[emulator]'"
            if name in {"unicorn", "capstone"}
            else f"pip install {name}"
        )
        return Finding(
            name, found=False, detail=f"not installed: {use}", remedy=extra, optional=optional
        )


def _program(name: str, use: str, remedy: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, found=False, detail=f"not on PATH: {use}", remedy=remedy)
    return Finding(name, found=True, detail=f"{_first_line(path)}")


def _first_line(program: str) -> str:
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} does not answer --version: {error}"
    return (answer.stdout or answer.stderr).strip().partition("\n")[0]


def _renode() -> Finding:
    from hil.targets.renode import installation

    try:
        found = installation.find()
        version = installation.require_recent(found.version())
    except HilError as error:
        return Finding(
            "Renode",
            found=False,
            detail=f"{error.what}: a second emulator, --hil-target=renode",
            remedy=installation.REMEDY,
        )
    return Finding("Renode", found=True, detail=f"{version}, {found.command[0]}")


def _probes() -> list[Finding]:
    """Ask pyOCD for probes; the emulated board is one of them."""
    if importlib.util.find_spec("pyocd") is None:
        return []
    from pyocd.core.helpers import ConnectHelper

    probes = ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False)
    if not probes:
        return [
            Finding(
                "debug probe",
                found=False,
                detail="none connected",
                remedy="connect a board, or use the emulated one",
            )
        ]
    return [
        Finding("debug probe", found=True, detail=f"{probe.description} ({probe.unique_id})")
        for probe in probes
    ]
