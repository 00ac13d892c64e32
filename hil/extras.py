"""Packages that only some commands need, and the extra of ours that brings each."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from hil.errors import UsageError

TORCH = "torch"
_PROJECT = "rnnpool-hil"
_EXTRAS = {TORCH: TORCH, "unicorn": "emulator", "capstone": "emulator", "tflite": "tflite"}
_USES = {
    TORCH: "making and compiling networks",
    "unicorn": "the emulated board",
    "capstone": "the emulated board",
    "tflite": "reading a .tflite file",
}


def is_there(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return find_spec(package) is not None


def remedy(package: str) -> str:
    """Return the command that installs a package: by our extra where one brings it.

    Args:
        package: as it is imported.
    """
    extra = _EXTRAS.get(package)
    return f"pip install '{_PROJECT}[{extra}]'" if extra else f"pip install {package}"


def missing(package: str, use: str = "") -> UsageError:
    """Return the error of a package that is not there, to be raised.

    Args:
        package: as it is imported.
        use: what needs it; empty for what it is for in general.
    """
    needed = use or _USES[package]
    return UsageError(f"{needed} needs {package}, which is not installed", hint=remedy(package))


@contextmanager
def said() -> Iterator[None]:
    """Turn an import of an extra's package that fails in the block into an error that names both.

    Raises:
        UsageError: with what to install. Any other import fails as it does without this.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS or is_there(package):
            raise
        raise missing(package) from error
