"""All that decides what a compiled scenario is, as one name for it in the cache."""

from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from platform import machine, python_version
from typing import TYPE_CHECKING

import msgspec

from hil import models, paths
from hil.build.once import digest as named_by
from hil.config.board import Board
from hil.config.scenario import Limits, Paper, Scenario
from hil.extras import TORCH
from hil.models import own
from hil.run import calibration
from hil.vision import photographs

if TYPE_CHECKING:
    from collections.abc import Iterator

APART = frozenset(
    {
        *("commands", "pytest_plugin", "studies", "suite", "targets", "templates"),
        *("cli.py", "emulator.py", "fixtures.py", "options.py", "plugin.py"),
    }
)
"""What of the harness takes no part in compiling; `tests/test_kept.py` holds it to that."""

_DISTRIBUTIONS = ("numpy", "pillow", "tflite")
_LIMITS = "*_limits.h"  # of firmware/, read by `hil.limits`


def are_known(scenario: Scenario) -> bool:
    """Whether all that decides can be named: Python of others may read whatever it likes."""
    return scenario.model in models.names() or own.is_file(scenario.model)


def digest(scenario: Scenario, board: Board) -> str:
    """Return a name, 32 hexadecimal digits, that changes with whatever the compiler reads.

    That is the scenario's choices, the content of its weights and of every photograph, the board,
    the harness's own source, and the versions of Python and of the packages that compute. Torch's
    version is apart, in `torch_version`: what torch has compiled runs without it.

    Args:
        scenario: that is compiled.
        board: that it is planned for.

    Raises:
        UsageError: a file that the scenario names is not there.
    """
    files = {f"{role} {name}": _of_file(path) for role, name, path in _files(scenario)}
    words = (_source(), *_versions(), _said(_choices(scenario)), _said(_hardware(board)))
    return named_by((*words, _said(files)), ())


def torch_version() -> str | None:
    """Return the version of torch, which a compiled scenario depends on too; None without it."""
    return _version(TORCH)


def _choices(scenario: Scenario) -> Scenario:
    """Leave out what compiling does not read, and files, which count by their content."""
    return replace(
        scenario,
        name="",
        checkpoint=scenario.checkpoint and Path(),
        calibration_folder=scenario.calibration_folder and Path(),
        dataset=None,
        directory=Path(),
        iterations=1,
        default=True,
        boards=[],
        tags=[],
        limits=Limits(),
        limits_by_board={},
        paper=Paper(),
        tolerances={},
    )


def _hardware(board: Board) -> Board:
    """Leave out what differs from desk to desk."""
    return replace(board, probe_id="", port="", renode="", units=(), lock_wait_s=0.0)


def _files(scenario: Scenario) -> "Iterator[tuple[str, str, Path]]":
    """Yield the files that are read: for what, by which name, and where each stands."""
    if scenario.checkpoint is not None:
        yield "checkpoint", scenario.checkpoint.suffix, scenario.checkpoint
    if scenario.model.endswith(".tflite"):
        yield "model", "", scenario.directory / Path(scenario.model).expanduser()
    sets = {
        "input": [scenario.input],
        "calibration": calibration.names(scenario),
        "seeded": photographs.calibration_set(),
        "comparison": photographs.comparison_set(),
    }
    for role, names in sets.items():
        for number, name in enumerate(names):
            yield f"{role} {number}", name, photographs.file(name)


def _of_file(path: Path) -> str:
    facts = path.stat()
    return _of_content(path, facts.st_size, facts.st_mtime_ns)


@cache
def _of_content(path: Path, size: int, changed_ns: int) -> str:
    """Return the digest of a file; size and time of its last change tell one content from another.

    Args:
        path: of the file.
        size: in bytes.
        changed_ns: when it was written.
    """
    del size, changed_ns
    return sha256(path.read_bytes()).hexdigest()


def _versions() -> "Iterator[str]":
    yield f"{python_version()} {machine()}"
    for name in _DISTRIBUTIONS:
        version = _version(name)
        yield f"no {name}" if version is None else f"{name} {version}"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _said(value: object) -> str:
    """Write a value down alike in every process, sets in order too."""
    return msgspec.json.encode(value, order="deterministic", enc_hook=str).decode()


@cache
def _source() -> str:
    """Return a digest of what of the harness compiles."""
    package = Path(paths.__file__).parent
    taken = sources(package) + sorted(paths.FIRMWARE.rglob(_LIMITS))
    return named_by((f"{path.name} {sha256(path.read_bytes()).hexdigest()}" for path in taken), ())


def sources(package: Path) -> list[Path]:
    """Return the files of a package of the harness that take part, in order."""
    found = sorted(package.rglob("*.py"))
    return [path for path in found if path.relative_to(package).parts[0] not in APART]
