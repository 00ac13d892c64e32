"""Where rows go: the last run's table, and a history of all runs; any number of processes write.

A run in the history is `<run>.csv`, or one `<run>.<part>.csv` for each process that took part.
Each process replaces only its own file, so that none can lose another's rows. The last run's table
is put together from them under a lock.
"""

import fcntl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.paths import cache, home
from hil.results import table
from hil.results.rows import Row

HISTORY = "history"
"""The history's folder, beside the last run's table, where none is told."""


@dataclass(frozen=True)
class Store:
    """The files of one process of one run.

    Attributes:
        csv: the last run's table.
        history: folder of the runs.
        run: this run's name.
        part: this process's, where several share a run; empty for a process alone.
    """

    csv: Path
    history: Path
    run: str
    part: str = ""

    @classmethod
    def beside(cls, csv: Path, run: str, *, history: Path | None = None, part: str = "") -> "Store":
        """Return the store of a table, with its history beside it where none is told.

        Args:
            csv: the last run's table.
            run: this run's name.
            history: folder of the runs; None for the one beside the table.
            part: this process's name in the run; empty for a process alone.
        """
        return cls(csv, history or csv.parent / HISTORY, run, part)

    def write(self, rows: Sequence[Row]) -> None:
        """Keep all rows that this process has so far, in the history and in the last run's table.

        Raises:
            UsageError: the folder cannot be written; the error names the file and its bytes, and
                where the rows are kept instead.
        """
        try:
            table.write(rows, self.history / self._name)
            with _locked(self.history):
                self._write_all()
        except OSError as error:
            raise UsageError(
                f"results cannot be written: {error}; {self._keep_elsewhere(rows)}",
                hint="choose another file with --hil-csv",
            ) from error

    def _write_all(self) -> None:
        """Write the rows of all processes to the last run's table."""
        parts = _files_of(self.history, self.run)
        try:
            whole = table.joined(files.read_text(path, table.MOST_BYTES) for path in parts)
        except UnicodeDecodeError:
            whole = None
        if whole is None:  # one is damaged, which reading it tells, or of another version
            table.write(self.rows(), self.csv)
        else:
            files.replace(self.csv, whole)

    @property
    def _name(self) -> str:
        return f"{self.run}.{self.part}.csv" if self.part else f"{self.run}.csv"

    def _keep_elsewhere(self, rows: Sequence[Row]) -> str:
        """Write the rows where there is room for them, and say where that is."""
        for folder in (tempfile.gettempdir(), cache(), home()):
            kept = Path(folder) / "hil-results" / self._name
            try:
                table.write(rows, kept)
            except OSError:
                continue
            return f"they are kept in {kept}"
        return f"nor is there room in {tempfile.gettempdir()}, {cache()} or {home()}"

    def rows(self) -> list[Row]:
        """Return the rows of all processes of this run so far."""
        return load_run(self.history, self.run)


def forget(csv: Path) -> None:
    """Remove the table of an earlier run, so that it cannot pass for that of a run that fails."""
    try:
        csv.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{csv} cannot be replaced: {error}", hint="choose another file with --hil-csv"
        ) from error


def runs(history: Path) -> list[str]:
    """Name the runs of a history, oldest first."""
    return sorted({path.name.partition(".")[0] for path in _files(history)})


def load_run(history: Path, run: str) -> list[Row]:
    """Read the rows of one run, those of all its processes.

    Args:
        history: folder of the runs.
        run: the run's name.

    Raises:
        UsageError: one of its files cannot be read.
    """
    return [row for path in _files_of(history, run) for row in table.load(path)]


def load_history(history: Path) -> list[Row]:
    """Read the rows of every run, oldest first."""
    return [row for run in runs(history) for row in load_run(history, run)]


def _files_of(history: Path, run: str) -> list[Path]:
    return [path for path in _files(history) if path.name.partition(".")[0] == run]


def _files(history: Path) -> list[Path]:
    return sorted(path for path in history.glob("*.csv") if not path.name.startswith("."))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the kernel releases however the process ends."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
