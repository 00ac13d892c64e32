"""What `hil compare` and `hil history` are given: a file, a run of the history, or a revision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.errors import UsageError
from hil.numbers import decimal
from hil.results import baseline, figures, store, table
from hil.results.figures import Figures
from hil.run import revisions
from hil.run.revisions import How

LAST = "last"


@dataclass(frozen=True)
class Places:
    """Where to look, and how a revision is measured.

    Attributes:
        history: folder of runs.
        scenarios: that a revision is measured with; none for those of the other side.
    """

    history: Path
    scenarios: Sequence[str]
    how: How


def load(first: str, second: str, places: Places) -> tuple[list[Figures], list[Figures]]:
    """Read both sides of a comparison; a revision is measured with the other side's scenarios.

    Args:
        first: a file, a run or a revision.
        second: the other one.
        places: where files, runs and revisions are looked for.

    Raises:
        UsageError: a name is no file, run or revision. BuildError: a revision cannot be measured.
    """
    found = [_kept(name, places) for name in (first, second)]
    for index, name in enumerate((first, second)):
        if found[index] is None:
            found[index] = _measured(name, found[1 - index], places)
    before, after = (one or [] for one in found)
    return before, after


def _kept(name: str, places: Places) -> list[Figures] | None:
    """Figures that were measured before; None where the name is a revision."""
    path = Path(name)
    if path.is_file():
        return read(path)
    runs = store.runs(places.history)
    steps = _steps_back(name)
    if steps is not None:
        if steps >= len(runs):
            raise UsageError(
                f"{places.history} holds {len(runs)} runs, so there is no {name}",
                hint="run the suite first, or name another folder with --history-dir",
            )
        name = runs[-1 - steps]
    if name in runs:
        return figures.gather(store.load_run(places.history, name))
    return None


def _steps_back(name: str) -> int | None:
    """How many runs before the last a name means: `last` 0, `last~1` 1; None for other names."""
    stem, _, steps = name.partition("~")
    back = decimal(steps or "0")
    return back if stem == LAST and back is not None and back >= 0 else None


def read(path: Path) -> list[Figures]:
    """Read a results table or a baseline.

    Raises:
        UsageError: it is neither.
    """
    columns = set(_columns(path))
    if set(baseline.COLUMNS) <= columns and "run" not in columns:
        return baseline.read(path)
    return figures.gather(table.load(path))


def _columns(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.readline().strip().split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _measured(name: str, other: list[Figures] | None, places: Places) -> list[Figures]:
    scenarios = places.scenarios or sorted({one.key.scenario for one in other or []})
    try:
        revision = revisions.resolve(name, places.how.repository)
    except UsageError as error:
        raise UsageError(
            f"{name} is no file, no run of {places.history} and no revision",
            hint=f"runs: {', '.join(store.runs(places.history)[-5:]) or 'none'}; or `{LAST}`, "
            f"`{LAST}~1`",
        ) from error
    if not scenarios:
        raise UsageError("two revisions are compared by scenario", hint="name one: --scenario NAME")
    return figures.gather(revisions.measure(revision, scenarios, places.how))
