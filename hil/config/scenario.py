"""A scenario of `scenarios/*.toml`: a model, its input, its limits, the paper's figures."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from hil.errors import UsageError
from hil.paths import SCENARIOS

Aim: TypeAlias = Literal["speed", "ram"] | int
_Section = TypeVar("_Section", "Limits", "Paper")


@dataclass(frozen=True)
class Limits:
    """Beyond these the suite fails; None where nothing is asked."""

    latency_s: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Paper:
    """Published figures that results are compared with, and where they stand."""

    source: str = ""
    latency_s: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None


@dataclass(frozen=True)
class Scenario:
    """One model under test.

    Attributes:
        model: id of a network in `hil.models`.
        checkpoint: a state dict's file, or None for seeded weights.
        seed: of the weights where there is no checkpoint.
        input: a photograph's name or path.
        optimise: what the schedule is chosen for: "speed", "ram", or speed under a cap in bytes.
        stream: whether the image comes in, row by row, while the model runs; without an entry it
            does where it does not fit the memory.
        iterations: inferences per measurement; the cycle counts of all must agree.
        default: whether the suite runs it without being asked to by name.
        calibration: photographs to choose ranges on beside the usual ones, such as "faces", which
            are in none of them.
        variant: arguments of the network's constructor, such as `order`.
    """

    name: str
    model: str
    checkpoint: Path | None = None
    seed: int = 0
    input: str = "astronaut"
    optimise: Aim = "speed"
    stream: bool | None = None
    iterations: int = 1
    default: bool = True
    calibration: list[str] = field(default_factory=list, hash=False)
    variant: dict[str, Any] = field(default_factory=dict, hash=False)
    limits: Limits = Limits()
    paper: Paper = Paper()

    def override(
        self,
        *,
        image: str | None = None,
        checkpoint: Path | None = None,
        iterations: int | None = None,
        optimise: Aim | None = None,
        stream: bool | None = None,
    ) -> "Scenario":
        """Return the scenario with what the command line names in place of what the file says."""
        return replace(
            self,
            input=image or self.input,
            checkpoint=checkpoint or self.checkpoint,
            iterations=iterations or self.iterations,
            optimise=optimise or self.optimise,
            stream=self.stream if stream is None else stream,
        )


def names(directory: Path = SCENARIOS) -> list[str]:
    """Scenarios that can be asked for."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def defaults(directory: Path = SCENARIOS) -> list[str]:
    """Scenarios that run where none is asked for."""
    return [name for name in names(directory) if load(name, directory).default]


def load(name: str, directory: Path = SCENARIOS) -> Scenario:
    """Read a scenario by name, or by the path of a TOML file.

    Raises:
        UsageError: there is no such scenario (the error lists those there are), or its file holds
            something unknown.
    """
    path = Path(name) if name.endswith(".toml") else directory / f"{name}.toml"
    if not path.is_file():
        raise UsageError.unknown("scenario", name, names(directory))
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return _parse(path, entries)


def _parse(path: Path, entries: dict[str, Any]) -> Scenario:
    if "model" not in entries:
        raise UsageError(f"{path} names no model", hint='add a line: model = "face_m4"')
    limits = _section(path, "limits", entries.pop("limits", {}), Limits)
    paper = _section(path, "paper", entries.pop("paper", {}), Paper)
    checkpoint = entries.pop("checkpoint", "")
    _only_known(path, "", entries, Scenario)
    return Scenario(
        name=path.stem,
        checkpoint=_beside(path, checkpoint) if checkpoint else None,
        limits=limits,
        paper=paper,
        **entries,
    )


def _section(
    path: Path, title: str, entries: dict[str, Any], kind: Callable[..., _Section]
) -> _Section:
    _only_known(path, f"[{title}] ", entries, kind)
    return kind(**entries)


def _only_known(path: Path, where: str, entries: dict[str, Any], kind: Any) -> None:
    known = {field.name: field.type for field in fields(kind)}
    for key, value in entries.items():
        if key not in known:
            raise UsageError(
                f"{path}: {where}{key} is not an entry of a scenario",
                hint=f"known: {', '.join(known)}",
            )
        if not _is(value, known[key]):
            raise UsageError(f"{path}: {where}{key} = {value!r} is not of type {known[key]}")


def _is(value: object, annotation: Any) -> bool:
    """Whether a TOML value is of a field's type; a whole number is a fine float, but no bool."""
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) in {Union, UnionType}:
        return any(_is(value, kind) for kind in get_args(annotation))
    kind = get_origin(annotation) or annotation
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (float, int) if kind is float else kind)


def _beside(path: Path, name: str) -> Path:
    """A checkpoint is named relative to the scenario's file."""
    return path.parent / Path(name).expanduser()
