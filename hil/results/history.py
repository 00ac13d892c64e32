"""A metric over the runs of a history."""

from dataclasses import dataclass, fields
from pathlib import Path

from hil.results import store
from hil.results.figures import Key
from hil.results.rules import is_part


@dataclass(frozen=True)
class Point:
    """A metric's value in one run.

    Attributes:
        moved: since the run before under the same circumstances; 0 for the first.
    """

    when: str
    run: str
    commit: str
    scenario: str
    board: str
    target: str
    toolchain: str
    metric: str
    value: float
    unit: str
    moved: float


COLUMNS = tuple(field.name for field in fields(Point))


def of(folder: Path, metric: str, scenario: str | None = None) -> list[Point]:
    """Return a metric's values, oldest first; None for every scenario.

    Args:
        folder: of the history.
        metric: a metric's name.
        scenario: a scenario's name.

    Raises:
        UsageError: a file of the history cannot be read.
    """
    points: list[Point] = []
    last: dict[Key, float] = {}
    for row in store.load_history(folder):
        context, found = row.context, row.metric
        if found.name != metric or scenario not in {None, context.scenario}:
            continue
        key = Key.of(context)
        points.append(
            Point(
                when=context.when,
                run=context.run,
                commit=context.commit,
                scenario=context.scenario,
                board=context.board,
                target=context.target,
                toolchain=context.toolchain,
                metric=metric,
                value=found.value,
                unit=found.unit,
                moved=found.value - last.get(key, found.value),
            )
        )
        last[key] = found.value
    return points


def metrics(folder: Path) -> list[str]:
    """Name the metrics that a history has, parts left out."""
    names = dict.fromkeys(row.metric.name for row in store.load_history(folder))
    return [name for name in names if not is_part(name)]
