"""Modelled time beside certified time: `hil validate-timing --mlperf`."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as kinds
from hil.config.board import Board
from hil.errors import UsageError
from hil.studies.mlperf import boards
from hil.studies.mlperf.measure import measure, short_windows
from hil.studies.timing_validation.compare import Comparison
from hil.targets.chips import stm32l4

if TYPE_CHECKING:
    from hil.targets.emulator.timing import Rules

IMAGES = Path(__file__).with_name("images.csv")
"""The development set: images that were looked at when the timing rules were chosen."""

_COLUMNS = (
    "image", "repository", "commit", "path", "sha256", "board", "banks", "certified_us", "source"
)  # fmt: skip
_SUITE = "MLPerf Tiny"


@dataclass(frozen=True)
class Entry:
    """A row of a table of images.

    Attributes:
        image: its name here.
        repository, commit, path: where the image is. sha256: of its bytes.
        board: the kind of board. banks: of its flash, which no image says.
        certified_us: microseconds of an inference, out of the submitter's log.
        source: the log's path in the same repository and commit.
    """

    image: str
    repository: str
    commit: str
    path: str
    sha256: str
    board: str
    banks: int
    certified_us: float
    source: str


def read_table(path: Path = IMAGES) -> list[Entry]:
    """Read a table of images.

    Raises:
        UsageError: it cannot be read, lacks a column, or has a cell that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return [_entry(path, number, row) for number, row in enumerate(rows, start=2)]


def _entry(path: Path, line: int, row: dict[str, str]) -> Entry:
    lacking = [name for name in _COLUMNS if not row.get(name)]
    if lacking:
        raise UsageError(
            f"{path}:{line}: {', '.join(lacking)} is lacking",
            hint=f"the columns are {', '.join(_COLUMNS)}",
        )
    texts = {name: row[name] for name in _COLUMNS if name not in {"banks", "certified_us"}}
    try:
        entry = Entry(**texts, banks=int(row["banks"]), certified_us=float(row["certified_us"]))
    except ValueError as error:
        raise UsageError(f"{path}:{line}: {error}") from error
    if entry.banks not in {1, 2} or not entry.certified_us > 0:
        raise UsageError(f"{path}:{line}: banks is 1 or 2, certified_us more than 0")
    return entry


def compare(
    folder: Path, table: Path = IMAGES, rules: "Rules | None" = None
) -> Iterator[Comparison]:
    """Boot each image of a table, time its inference, and yield it beside the certified time.

    Args:
        folder: holds a checkout of each repository, under the repository's name.
        table: of images.
        rules: other than those that figures are published with.

    Raises:
        UsageError: an image is not there, or is another. Else as the board raises it.
    """
    entries = read_table(table)
    files = [_file(folder, entry) for entry in entries]
    for entry, file in zip(entries, files, strict=True):
        board = _board(entry)
        with boards.emulated(file, board, rules) as image:
            timed = measure(image, short_windows, None)
        cycles_per_us = board.clock_hz / 1e6
        yield Comparison(
            _SUITE,
            entry.image,
            round(timed.us * cycles_per_us),
            round(entry.certified_us * cycles_per_us),
        )


def _file(folder: Path, entry: Entry) -> Path:
    checkout = folder / entry.repository.rpartition("/")[2]
    file = checkout / entry.path
    if not file.is_file():
        raise UsageError(
            f"{entry.image}: there is no {file}",
            hint=f"git clone https://{entry.repository} {checkout}; git -C {checkout} checkout "
            f"{entry.commit}",
        )
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise UsageError(
            f"{entry.image}: {file} has the sha256 {found}, the table says {entry.sha256}",
            hint=f"git -C {checkout} checkout {entry.commit}",
        )
    return file


def _board(entry: Entry) -> Board:
    return stm32l4.with_banks(kinds.load(entry.board), entry.banks)
