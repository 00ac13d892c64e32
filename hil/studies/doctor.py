"""What this machine has of what the harness needs."""

import shutil
import subprocess
import sys
from importlib import metadata

from hil import extras
from hil.errors import HilError
from hil.studies import desk
from hil.studies.finding import Finding

_PACKAGES = (
    ("torch", "making and compiling networks", False),
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
    """Look for everything: Python, packages, compilers, Renode, cache, probes, serial ports."""
    return [
        _python(),
        *(_package(name, use, optional=optional) for name, use, optional in _PACKAGES),
        _program(
            "arm-none-eabi-gcc",
            "second cross compiler, --hil-toolchain=gcc",
            "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        ),
        _renode(),
        _emulated(),
        desk.cache(),
        *desk.examine(),
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
        detail, how = f"not installed: {use}", extras.remedy(name)
        return Finding(name, found=False, detail=detail, remedy=how, optional=optional)


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
            remedy="\n".join(installation.REMEDY),
        )
    return Finding("Renode", found=True, detail=f"{version}, {found.command[0]}")


def _emulated() -> Finding:
    """Say whether the board that needs none on the desk can run."""
    if desk.python_can(("unicorn", "capstone")):
        return Finding("emulated board", True, "stands in where no board is named", optional=False)
    remedy = extras.remedy("unicorn")
    return Finding("emulated board", False, "Unicorn or capstone is missing", remedy, False)
