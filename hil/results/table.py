"""results.csv: long form, one row per metric; written at once, read as rows or as a frame."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hil import files
from hil.errors import UsageError, Verdict
from hil.results.rows import COLUMNS, SCHEMA, Context, Metric, Row

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 256 << 20
"""Of a table: a million rows."""

_T = TypeVar("_T")
_ADDED = {  # since version 1
    *("schema", "rules", "wait_states", "build_id", "board_uid", "harness", "limit"),
    *("note", "samples"),
}
_FIRST = tuple(column for column in COLUMNS if column not in _ADDED)
_TEXT = (
    *("run", "commit", "toolchain", "fingerprint", "timing", "reference_source"),
    *("rules", "build_id", "board_uid", "harness", "note", "samples"),
)


def write(rows: Sequence[Row], path: Path) -> None:
    """Replace the file by these rows at once: nobody ever reads half a table.

    Args:
        rows: of the table, in order.
        path: of its file.
    """
    files.replace(path, text(COLUMNS, ()) + "".join(map(_line, rows)))


def joined(texts: Iterable[str]) -> str | None:
    """Put whole tables of this version behind each other; None where one is none.

    Args:
        texts: of the tables' files.
    """
    header = text(COLUMNS, ())
    found = list(texts)
    if not all(one.startswith(header) and one.endswith("\n") for one in found):
        return None
    return header + "".join(one.removeprefix(header) for one in found)


@lru_cache(maxsize=1 << 14)  # a run writes its table anew with each scenario
def _line(row: Row) -> str:
    return text(COLUMNS, (row.cells(),)).partition("\n")[2]


def text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Lay rows out as CSV under a header; whole numbers are written as such, None as nothing.

    Args:
        columns: their names, in order.
        rows: cells by column.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(row[column]) for column in columns] for row in rows)
    return out.getvalue()


def cell(value: object) -> str:
    """Write a value so that `load` gives it back to the bit."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(cell(sample) for sample in value)
    if isinstance(value, int | float):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def load(path: Path) -> list[Row]:
    """Read the rows of a table that this version or an earlier one has written.

    Raises:
        UsageError: the file is not there, is not a results table (the error names the missing
            columns or the line), or is of a later version.
    """
    records = records_of(path, _FIRST)
    return [_parsed(path, line, _row, record) for line, record in enumerate(records, start=2)]


def records_of(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """Read a CSV file as texts by column.

    Args:
        path: of the file.
        needed: columns that it must have.

    Raises:
        UsageError: it cannot be read, lacks a needed column, or is of a later version.
    """
    try:
        content = files.read_text(path, MOST_BYTES)
        reader = csv.DictReader(StringIO(content), strict=True, restval="")
        records = list(reader)
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no table of results {path}",
            hint="`hil run SCENARIO` writes one; or name another file",
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(f"{path} is not a results table: it lacks {', '.join(missing)}")
    for line, record in enumerate(records, start=2):
        version = _parsed(path, line, lambda record: int(record.get("schema") or 1), record)
        if version > SCHEMA:
            raise UsageError(
                f"{path} is of version {version}; this harness reads up to {SCHEMA}",
                hint="update the harness",
            )
    return records


def _parsed(
    path: Path, line: int, parse: Callable[[dict[str, str]], _T], record: dict[str, str]
) -> _T:
    try:
        return parse(record)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path}, line {line}: {error}") from error


def _row(record: dict[str, str]) -> Row:
    fingerprint = record["fingerprint"]
    context = Context(
        run=record["run"],
        when=record["when"],
        commit=record["commit"],
        scenario=record["scenario"],
        model=record["model"],
        board=record["board"],
        target=record["target"],
        timing=record["timing"],
        clock_hz=int(record["clock_hz"]),
        toolchain=record["toolchain"],
        fingerprint=fingerprint,
        rules=record.get("rules") or _stated(fingerprint, "timing"),
        wait_states=_whole(record.get("wait_states") or _stated(fingerprint, "wait-states")),
        build_id=record.get("build_id", ""),
        board_uid=record.get("board_uid", ""),
        harness=record.get("harness", ""),
    )
    metric = Metric(
        name=record["metric"],
        value=float(record["value"]),
        unit=record["unit"],
        reference=_number(record["reference"]),
        source=record["reference_source"],
        limit=_number(record.get("limit", "")),
        verdict=Verdict(record["verdict"] or Verdict.PASS),  # empty: it was not judged
        note=record.get("note", ""),
        samples=tuple(float(sample) for sample in record.get("samples", "").split()),
    )
    return Row(context, metric)


def _number(content: str) -> float | None:
    return float(content) if content else None


def _whole(content: str) -> int | None:
    return int(content) if content else None


def _stated(fingerprint: str, name: str) -> str:
    """What a fingerprint says as `name=value`; empty where it does not."""
    found = (part.partition("=") for part in fingerprint.split())
    return next((value for key, _, value in found if key == name), "")


def read(path: Path) -> "pd.DataFrame":
    """Read a table as a frame, whatever version has written it.

    Raises:
        UsageError: as `load`.
    """
    import pandas as pd

    content = text(COLUMNS, (row.cells() for row in load(path)))
    frame = pd.read_csv(StringIO(content), dtype=dict.fromkeys(_TEXT, str), keep_default_na=True)
    return frame.fillna(dict.fromkeys(_TEXT, ""))
