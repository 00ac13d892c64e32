"""results.csv: long form, one row per metric, written and read with pandas."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import UsageError
from hil.results.rows import COLUMNS, Row

if TYPE_CHECKING:
    import pandas as pd


def write(rows: Sequence[Row], path: Path) -> None:
    """Replace the file by these rows at once: nobody ever reads half a table."""
    import pandas as pd

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    frame = pd.DataFrame([row.cells() for row in rows], columns=list(COLUMNS))
    frame.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)


def read(path: Path) -> "pd.DataFrame":
    """Read a table that `write` has written.

    Raises:
        UsageError: the file is not there, or not a results table (the error names the missing
            columns).
    """
    import pandas as pd

    text = ("commit", "toolchain", "fingerprint", "reference_source", "timing", "run")
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise UsageError(f"{path} is not a results table: it lacks {', '.join(missing)}")
    return frame.fillna(dict.fromkeys(text, ""))
