"""A scenario of `scenarios/*.toml`: a model, its input, its limits, the paper's figures."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta
from msgspec.structs import asdict

from hil import files
from hil.config.toml import Entries, read
from hil.errors import UsageError
from hil.paths import SCENARIOS

Aim: TypeAlias = Literal["speed", "ram"] | int

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_Text: TypeAlias = Annotated[str, Meta(min_length=1)]
_Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]
_Count: TypeAlias = Annotated[int, Meta(gt=0, lt=1 << 53)]
_Cosine: TypeAlias = Annotated[float, Meta(ge=-1, le=1)]
_Decibels: TypeAlias = Annotated[float, Meta(ge=-100, le=100)]
_Side: TypeAlias = Annotated[int, Meta(gt=0, le=1 << 16)]
_Level: TypeAlias = Annotated[float, Meta(ge=-1e9, le=1e9)]
_Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e15)]
_OF_RGB = Meta(min_length=3, max_length=3)
_Deviation: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]


@dataclass(frozen=True)
class Limits:
    """Beyond these the suite fails; None where nothing is asked."""

    latency_s: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    cosine: float | None = None
    sqnr_least_db: float | None = None
    sqnr_mean_db: float | None = None
    clipped: float | None = None
    map_drop: float | None = None
    accuracy_drop: float | None = None


@dataclass(frozen=True)
class Paper:
    """Published figures that results are compared with, and where they stand."""

    source: str = ""
    latency_s: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None


@dataclass(frozen=True)
class Tolerance:
    """By how much a metric may move against a baseline; see `docs/regressions.md`.

    Attributes:
        better: the direction of improvement; None for the metric's usual one.
        relative: share of the baseline's value. absolute: in the metric's unit.
    """

    better: Literal["lower", "higher", "neither"] | None = None
    relative: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True)
class Preprocessing:
    """What a network takes, where the scenario says it: see `hil.vision.photographs.InputSpec`.

    Attributes:
        mean, deviation: of R, G and B, in levels of 0 to 255.
    """

    rows: int
    columns: int
    channels: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    crop_from: int | None


@dataclass(frozen=True)
class Scenario:
    """One model under test.

    Attributes:
        model: id of a network in `hil.models`, or "module:function" or "path.py:function" that
            returns one.
        directory: where the file stands; paths in it start from there.
        checkpoint: a state dict's file, or None.
        seed: of the weights where there is no checkpoint.
        keep_weights: whether the weights are those that the function gives, not seeded ones.
        preprocessing: what the network takes; None for what ours are known to take.
        input: a photograph's name or path.
        optimise: what the schedule is chosen for: "speed", "ram", or speed under a cap in bytes.
        stream: whether the image comes in, row by row, while the model runs; without an entry it
            does where it does not fit the memory.
        iterations: inferences per measurement; the cycle counts of all must agree.
        tags: words to choose scenarios by, such as "face".
        default: whether the suite runs it without being asked to by name; or on which boards.
        boards: that it is for, where others have no room for it; on any other it runs only when
            named. Empty for all.
        calibration: photographs to choose ranges on beside the usual ones, such as "faces", which
            are in none of them.
        calibration_folder: of photographs to choose ranges on in place of the usual ones; None for
            those.
        quantise: options of the quantiser beside its defaults, such as "equalise"; "auto" for those
            that help on the calibration photographs.
        tolerances: by metric or pattern, such as `cycles.layer.*`, against a baseline.
        dataset: annotated photographs on which average precision or accuracy is measured; None for
            none.
        variant: arguments of the network's constructor, such as `order`.
        output_names: of the maps that the result is made of, in order; empty for none.
        labels: of the classes that the outputs stand for; empty for none.
        limits_by_board: what other limits hold on a board of a name; None leaves the usual one.
    """

    name: str
    model: str
    directory: Path = Path()
    checkpoint: Path | None = None
    seed: int = 0
    keep_weights: bool = False
    preprocessing: Preprocessing | None = None
    input: str = "astronaut"
    optimise: Aim = "speed"
    stream: bool | None = None
    iterations: int = 1
    default: bool | tuple[str, ...] = True
    boards: list[str] = field(default_factory=list, hash=False)
    tags: list[str] = field(default_factory=list, hash=False)
    calibration: list[str] = field(default_factory=list, hash=False)
    calibration_folder: Path | None = None
    dataset: Path | None = None
    quantise: list[str] = field(default_factory=list, hash=False)
    variant: dict[str, Any] = field(default_factory=dict, hash=False)
    output_names: list[str] = field(default_factory=list, hash=False)
    labels: list[str] = field(default_factory=list, hash=False)
    limits: Limits = Limits()
    limits_by_board: dict[str, Limits] = field(default_factory=dict, hash=False)
    paper: Paper = Paper()
    tolerances: dict[str, Tolerance] = field(default_factory=dict, hash=False)

    def is_for(self, board: str) -> bool:
        """Whether runs on a board of this name take it where they name no scenario."""
        return not self.boards or board in self.boards

    def limits_on(self, board: str) -> Limits:
        """Return the limits that hold on a board."""
        others = vars(self.limits_by_board.get(board, Limits()))
        given = {name: limit for name, limit in others.items() if limit is not None}
        return replace(self.limits, **given)

    def is_default_on(self, board: str) -> bool:
        """Whether the suite runs it on a board of a name without being asked to."""
        return self.default if isinstance(self.default, bool) else board in self.default

    def override(
        self,
        *,
        image: str | None = None,
        checkpoint: Path | None = None,
        iterations: int | None = None,
        optimise: Aim | None = None,
        stream: bool | None = None,
        calibration: Path | None = None,
        quantise: list[str] | None = None,
    ) -> "Scenario":
        """Return the scenario with what the command line names in place of what the file says.

        Args:
            image: a photograph's name or path.
            checkpoint: a state dict's file.
            iterations: inferences per measurement.
            optimise: what the schedule is chosen for.
            stream: whether the image comes in row by row.
            calibration: a folder of photographs, in place of all others.
            quantise: options of the quantiser, in place of all others.

        Raises:
            UsageError: fewer than one iteration is asked for.
        """
        if iterations is not None and iterations < 1:
            raise UsageError(f"{iterations} iterations measure nothing", hint="ask for 1 or more")
        return replace(
            self,
            input=image or self.input,
            checkpoint=checkpoint or self.checkpoint,
            iterations=iterations or self.iterations,
            optimise=optimise or self.optimise,
            stream=self.stream if stream is None else stream,
            calibration=[] if calibration else self.calibration,
            calibration_folder=calibration or self.calibration_folder,
            quantise=self.quantise if quantise is None else quantise,
        )


def names(directory: Path = SCENARIOS, *, board: str | None = None) -> list[str]:
    """Name the scenarios that can be asked for.

    Args:
        directory: of the scenarios.
        board: that they are for; None for any.
    """
    found = sorted(path.stem for path in directory.glob("*.toml"))
    return [name for name in found if board is None or load(name, directory).is_for(board)]


def defaults(directory: Path = SCENARIOS, *, board: str) -> list[str]:
    """Name the scenarios that run on a board where none is asked for.

    Args:
        directory: of the scenarios' files.
        board: name of its kind.
    """
    found = names(directory, board=board)
    return [name for name in found if load(name, directory).is_default_on(board)]


def tagged(
    tags: Sequence[str],
    directory: Path = SCENARIOS,
    *,
    board: str | None = None,
    among: Sequence[str] = (),
) -> list[str]:
    """Name the scenarios that have one of some tags; all of them where no tag is named.

    Args:
        tags: words of `tags` in scenarios.
        directory: of the scenarios.
        board: that they are for; None for any.
        among: names and paths to choose from, for whatever board; empty for all of the directory.

    Raises:
        UsageError: no scenario has a tag; the error lists the tags there are.
    """
    known = among or names(directory, board=board)
    found = {name: load(name, directory).tags for name in known}
    there = sorted({tag for own in found.values() for tag in own})
    for tag in tags:
        if tag not in there:
            raise UsageError.unknown("tag", tag, there)
    return [name for name, own in found.items() if not tags or {*tags} & {*own}]


def load(name: str, directory: Path = SCENARIOS) -> Scenario:
    """Read a scenario.

    Args:
        name: of a file of scenarios/, or the path of a TOML file.
        directory: where names are looked for.

    Raises:
        UsageError: there is no such scenario (the error lists those there are), or its file says
            something wrong (the error names the key).
    """
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if not files.is_file(path):
            raise UsageError(f"there is no file {name} of a scenario", hint="name one that exists")
    else:
        path = directory / f"{name}.toml"
        if not files.is_file(path):
            error = UsageError.unknown("scenario", name, names(directory))
            error.hint += "; or the path of a TOML file"
            raise error
    if not _NAME.fullmatch(path.stem):
        raise UsageError(
            f"{path}: {path.stem!r} is no name of a scenario", hint="letters, digits, '_', '-', '.'"
        )
    entries = read(path, _ScenarioFile)
    table = entries.input if isinstance(entries.input, _Input) else None
    return Scenario(
        name=path.stem,
        model=entries.model,
        directory=path.parent,
        checkpoint=_beside(path, "checkpoint", entries.checkpoint) if entries.checkpoint else None,
        seed=entries.seed,
        keep_weights=entries.keep_weights,
        preprocessing=table.preprocessing() if table else None,
        input=_photograph(path, table.image if table else str(entries.input)),
        optimise=entries.optimise,
        stream=entries.stream,
        iterations=entries.iterations,
        default=tuple(entries.default) if isinstance(entries.default, list) else entries.default,
        boards=entries.boards,
        tags=entries.tags,
        calibration=_more_calibration(path, entries.calibration),
        calibration_folder=_calibration_folder(path, entries.calibration),
        dataset=_dataset(path, entries.dataset) if entries.dataset else None,
        quantise=[entries.quantise] if isinstance(entries.quantise, str) else entries.quantise,
        variant=entries.variant,
        output_names=entries.output.names,
        labels=entries.output.labels,
        limits=entries.limits.made(),
        limits_by_board={board: one.made() for board, one in entries.limits.on.items()},
        paper=Paper(**asdict(entries.paper)),
        tolerances={name: Tolerance(**asdict(one)) for name, one in entries.tolerance.items()},
    )


class _BoardLimits(Entries, frozen=True):
    """A table `[limits.on.BOARD]`."""

    latency_s: _Seconds | None = None
    ram_bytes: _Count | None = None
    flash_bytes: _Count | None = None
    cosine: _Cosine | None = None
    sqnr_least_db: _Decibels | None = None
    sqnr_mean_db: _Decibels | None = None
    clipped: _Share | None = None
    map_drop: _Share | None = None
    accuracy_drop: _Share | None = None

    def made(self) -> Limits:
        """Return what the rest of the harness reads."""
        return Limits(**{one.name: getattr(self, one.name) for one in fields(Limits)})


class _Limits(_BoardLimits, frozen=True):
    """Table `[limits]`."""

    on: dict[str, _BoardLimits] = {}  # noqa: RUF012


class _Paper(Entries, frozen=True):
    """Table `[paper]`."""

    source: str = ""
    latency_s: _Seconds | None = None
    ram_bytes: _Count | None = None
    flash_bytes: _Count | None = None
    macs: _Count | None = None


class _Tolerance(Entries, frozen=True):
    """A table `[tolerance."cycles"]`."""

    better: Literal["lower", "higher", "neither"] | None = None
    relative: _Share = 0.0
    absolute: _Amount = 0.0


class _Input(Entries, frozen=True):
    """Table `[input]`.

    Levels of 0 to 255 are mapped to `range`; `mean` is subtracted and `std` divides, in its units.
    """

    rows: _Side
    columns: _Side
    channels: _Side
    image: _Text = "astronaut"
    range: tuple[_Level, _Level] = (0.0, 1.0)
    mean: _Level | Annotated[list[_Level], _OF_RGB] = 0.0  # msgspec crashes on a tuple here
    std: _Deviation | Annotated[list[_Deviation], _OF_RGB] = 1.0
    crop_from: _Side | None = None

    def __post_init__(self) -> None:
        """Hold its entries against each other."""
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range = {self.range} must rise")
        if self.crop_from is not None and self.crop_from < max(self.rows, self.columns):
            raise ValueError(f"crop_from = {self.crop_from} is less than rows or columns")

    def preprocessing(self) -> Preprocessing:
        """Return it in levels."""
        low, high = self.range
        levels = 255 / (high - low)
        return Preprocessing(
            self.rows,
            self.columns,
            self.channels,
            _of_rgb(self.mean, lambda one: (one - low) * levels),
            _of_rgb(self.std, lambda one: one * levels),
            self.crop_from,
        )


class _Output(Entries, frozen=True):
    """Table `[output]`."""

    names: list[_Text] = []  # noqa: RUF012
    labels: list[_Text] = []  # noqa: RUF012

    def __post_init__(self) -> None:
        """Hold the names against each other."""
        for key, named in (("names", self.names), ("labels", self.labels)):
            if len({*named}) != len(named):
                raise ValueError(f"{key} has one entry twice")


class _ScenarioFile(Entries, frozen=True):
    """A file of scenarios/."""

    model: _Text
    checkpoint: str = ""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0
    keep_weights: bool = False
    input: _Text | _Input = "astronaut"
    optimise: Literal["speed", "ram"] | _Count = "speed"
    stream: bool | None = None
    iterations: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    default: bool | list[_Text] = True
    boards: list[_Text] = []  # noqa: RUF012
    tags: list[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]] = []  # noqa: RUF012
    calibration: list[_Text] | _Text = []  # noqa: RUF012
    dataset: str = ""
    quantise: list[_Text] | _Text = []  # noqa: RUF012
    variant: dict[str, Any] = {}  # noqa: RUF012
    output: _Output = _Output()
    limits: _Limits = _Limits()
    paper: _Paper = _Paper()
    tolerance: dict[str, _Tolerance] = {}  # noqa: RUF012

    def __post_init__(self) -> None:
        """Hold its entries against each other."""
        if self.keep_weights and self.checkpoint:
            raise ValueError("keep_weights and checkpoint exclude each other")


def _more_calibration(path: Path, told: list[str] | str) -> list[str]:
    return [] if isinstance(told, str) else [_photograph(path, one) for one in told]


def _calibration_folder(path: Path, told: list[str] | str) -> Path | None:
    """A folder is named alone, not in a list, and stands beside the scenario's file."""
    return _beside(path, "calibration", told) if isinstance(told, str) else None


def _photograph(path: Path, name: str) -> str:
    """A photograph's file stands beside the scenario's; a name without a suffix is no file's."""
    is_file = Path(name).suffix or Path(name).name != name
    return str(_beside(path, "input", name)) if is_file else name


def _dataset(path: Path, name: str) -> Path:
    """A dataset is looked for beside the scenario's file; another may be known by its name."""
    beside = _beside(path, "dataset", name)
    return beside if files.exists(beside) else Path(name)


def _of_rgb(
    value: float | list[float], change: Callable[[float], float]
) -> tuple[float, float, float]:
    red, green, blue = value if isinstance(value, list) else [value] * 3
    return change(red), change(green), change(blue)


def _beside(path: Path, key: str, name: str) -> Path:
    """A checkpoint, or a folder, is named relative to the scenario's file."""
    try:
        return path.parent / Path(name).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: {key} = {name!r}: {error}") from error
