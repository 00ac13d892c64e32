"""What a page shows of a measurement beside its rows: maps, schedules, noise, the picture.

`results.csv` holds every figure that is judged or compared. What is not a figure of the whole
(where a buffer lies and when, what the model saw) stands in one JSON file per scenario in a folder
beside it, and belongs to the run that it names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil import files

SCHEMA = 1


@dataclass(frozen=True)
class Layer:
    """One step of the schedule.

    Attributes:
        macs: as the model states them.
        cycles: or instructions, as the run's timing says.
        causes: of these, by what they went to; empty where the target cannot say.
    """

    name: str
    macs: int
    cycles: int
    causes: Mapping[str, int]


@dataclass(frozen=True)
class Span:
    """A buffer in memory: bytes from the region's start, alive from step `first` to `last`."""

    name: str
    region: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Holding:
    """Bytes of a region of the board, and what they are for."""

    region: str
    owner: str
    bytes: int


@dataclass(frozen=True)
class Noise:
    """An operator's output in int8: real = scale * (stored - zero_point).

    Attributes:
        sqnr_db: signal to quantisation noise with the noise of all operators before, on the
            scenario's input; None where there is no noise.
        rounding_db: of rounding this output alone.
    """

    operator: str
    scale: float
    zero_point: int
    sqnr_db: float | None
    rounding_db: float | None


@dataclass(frozen=True)
class Box:
    """What a detector found: edges as shares of the picture's width and height.

    Attributes:
        finder: "board", or "float" of the PyTorch model.
        score: 0 to 1.
    """

    finder: str
    left: float
    top: float
    right: float
    bottom: float
    score: float


@dataclass(frozen=True)
class Picture:
    """What the model saw: a JPEG in base64, and how many pixels the model takes."""

    jpeg: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Details:
    """Of one scenario's measurement in one run.

    Attributes:
        input: the photograph's name or path. trained: whether the weights came from a checkpoint.
        detects: whether the model finds boxes, of which the best are kept.
        regions: bytes that the board has, by region.
        streams: whether the image comes in row by row.
    """

    run: str
    scenario: str
    board: str
    target: str
    input: str
    trained: bool
    detects: bool
    streams: bool
    regions: Mapping[str, int]
    layers: Sequence[Layer]
    spans: Sequence[Span]
    holdings: Sequence[Holding]
    noise: Sequence[Noise]
    picture: Picture | None
    boxes: Sequence[Box]


def directory(csv: Path) -> Path:
    """Where the details of a table's scenarios stand: results.csv has results.details/."""
    return csv.with_suffix(".details")


def write(details: Details, csv: Path) -> Path:
    """Write a scenario's details beside the table, at once; return the file."""
    path = directory(csv) / f"{details.scenario}.json"
    content = json.dumps({"schema": SCHEMA} | asdict(details), separators=(",", ":"))
    files.replace(path, content + "\n")
    return path


def read(csv: Path, run: str, scenario: str) -> Details | None:
    """Return a scenario's details, None where there are none of this run and this schema."""
    path = directory(csv) / f"{scenario}.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return _parse(entries) if entries["run"] == run and entries["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parse(entries: dict[str, Any]) -> Details:
    del entries["schema"]
    lists = {"layers": Layer, "spans": Span, "holdings": Holding, "noise": Noise, "boxes": Box}
    for key, kind in lists.items():
        entries[key] = [kind(**entry) for entry in entries[key]]
    picture = entries.pop("picture")
    return Details(picture=Picture(**picture) if picture else None, **entries)
