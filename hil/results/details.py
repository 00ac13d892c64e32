"""What a page shows of a measurement beside its rows: maps, schedules, noise, the picture.

`results.csv` holds every figure that is judged or compared. What is not a figure of the whole
(where a buffer lies and when, what the model saw) stands in one JSON file per scenario in a folder
beside it, and belongs to the run that it names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from hil import files

SCHEMA = 1
_MOST_BYTES = 16 << 20  # of a scenario's file; face_m4's has 0.1 MB
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]


@dataclass(frozen=True)
class Layer:
    """One step of the schedule.

    Attributes:
        macs: as the model states them.
        cycles: or instructions, as the run's timing says.
        causes: of these, by what they went to; empty where the target cannot say.
    """

    name: str
    macs: Count
    cycles: Count
    causes: Mapping[str, Count]


@dataclass(frozen=True)
class Span:
    """A buffer in memory: bytes from the region's start, alive from step `first` to `last`."""

    name: str
    region: str
    offset: Count
    bytes: Size
    first: Count
    last: Count


@dataclass(frozen=True)
class Holding:
    """Bytes of a region of the board, and what they are for."""

    region: str
    owner: str
    bytes: Count


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
    rows: Size
    columns: Size


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
    regions: Mapping[str, Size]
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
    """Write a scenario's details beside the table, at once; return the file.

    Args:
        details: of a scenario.
        csv: the table of results.
    """
    path = directory(csv) / f"{details.scenario}.json"
    content = json.dumps({"schema": SCHEMA} | asdict(details), separators=(",", ":"))
    files.replace(path, content + "\n")
    return path


def read(csv: Path, run: str, scenario: str) -> Details | None:
    """Return a scenario's details, None where there are none of this run and this schema.

    Args:
        csv: the table of results.
        run: the run's name.
        scenario: the scenario's name.
    """
    path = directory(csv) / f"{scenario}.json"
    try:
        entries = msgspec.json.decode(files.read_text(path, _MOST_BYTES), type=dict[str, Any])
        if entries["run"] != run or entries["schema"] != SCHEMA:
            return None
        details = msgspec.convert(entries, Details)
    except (OSError, ValueError, KeyError, RecursionError):
        return None
    return details if _fit(details) else None


def _fit(details: Details) -> bool:
    """Whether every span is of steps that there are."""
    steps = len(details.layers)
    return all(span.first <= span.last < steps for span in details.spans)
