"""The committed baseline of a board: figures that are true today, and a log of why they moved.

`baselines/<board>.csv` holds the judged figures of every scenario, target and compiler;
`baselines/<board>.log.csv` says of every change when, at which commit, by whom and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.results import compare, table
from hil.results.compare import Outcome
from hil.results.figures import Figures, Key, only
from hil.results.rows import SCHEMA, Metric
from hil.results.rules import USUAL, Rules

FOLDER = Path("baselines")
_KEY = ("scenario", "board", "target", "rules", "toolchain", "compiler", "clock_hz", "wait_states")
COLUMNS = ("schema", *_KEY, "metric", "value", "unit", "note")
_IMAGE = "image"  # the row whose note is the build id
LOG_COLUMNS = (
    *("when", "commit", "author", "why"),
    *("scenario", "target", "toolchain", "compiler", "flags", "change"),
)


@dataclass(frozen=True)
class Reason:
    """Why a baseline moves.

    Attributes:
        commit: checked out when the figures were measured.
        flags: of the compilers, by their digest.
    """

    when: str
    commit: str
    author: str
    why: str
    flags: dict[str, str]


def path_of(board: str) -> Path:
    """Where a board's baseline stands, in the directory that the harness is called in.

    Args:
        board: its name, or the path of its file.
    """
    return FOLDER / f"{Path(board).name.removesuffix('.toml')}.csv"


def read(path: Path) -> list[Figures]:
    """Read a baseline.

    Raises:
        UsageError: it is not there, or no baseline; the error names the line.
    """
    records = table.records_of(path, COLUMNS)
    metrics: dict[Key, dict[str, Metric]] = {}
    images: dict[Key, str] = {}
    for line, record in enumerate(records, start=2):
        try:
            key, metric = _parse(record)
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{path}, line {line}: {error}") from error
        if metric.name == _IMAGE:
            images[key] = metric.note
        else:
            metrics.setdefault(key, {})[metric.name] = metric
    return [Figures(key, images.get(key, ""), "", "", "", found) for key, found in metrics.items()]


def _parse(record: dict[str, str]) -> tuple[Key, Metric]:
    key = Key(
        scenario=record["scenario"],
        board=record["board"],
        target=record["target"],
        rules=record["rules"],
        toolchain=record["toolchain"],
        compiler=record["compiler"],
        clock_hz=int(record["clock_hz"]),
        wait_states=int(record["wait_states"]),
    )
    value = float(record["value"])
    return key, Metric(record["metric"], value, record["unit"], note=record["note"])


def write(figures: Sequence[Figures], path: Path) -> None:
    """Replace a baseline at once; scenarios by name, metrics as they were measured.

    Args:
        figures: of each scenario.
        path: of the baseline.
    """
    ordered = sorted(figures, key=lambda one: one.key)
    rows = [
        _cells(one, metric)
        for one in ordered
        for metric in (Metric(_IMAGE, 0, "", note=one.build_id), *one.metrics.values())
    ]
    files.replace(path, table.text(COLUMNS, rows))


def _cells(figures: Figures, metric: Metric) -> dict[str, object]:
    key = {name: getattr(figures.key, name) for name in _KEY}
    return (
        {"schema": SCHEMA}
        | key
        | {
            "metric": metric.name,
            "value": metric.value,
            "unit": metric.unit,
            "note": metric.note,
        }
    )


def update(
    path: Path,
    measured: Sequence[Figures],
    reason: Reason,
    *,
    rules: Rules = USUAL,
    whole: bool = False,
) -> list[str]:
    """Take measured figures into a baseline and log what moved.

    Args:
        path: of the baseline; made where there is none.
        measured: of this run.
        reason: for the log.
        rules: which metrics are judged, and so kept.
        whole: whether every scenario was measured, so that those that were not are dropped.

    Returns:
        One line for each scenario that moved.

    Raises:
        UsageError: no reason is given, or a scenario was not measured to its end.
    """
    if not reason.why.strip():
        raise UsageError("a baseline is not moved without a reason", hint='say it: --hil-why "..."')
    failed = [one.key.scenario for one in measured if one.failure is not None]
    if failed:
        raise UsageError(
            f"{', '.join(failed)} ended early, so the baseline is left as it is",
            hint="mend that first",
        )
    kept = [_judged(one, rules) for one in measured]
    before = read(path) if path.exists() else []
    lines = _moves(before, kept, rules, reason, path, whole=whole)
    write(_merged(before, kept, whole=whole), path)
    return lines


def _judged(figures: Figures, rules: Rules) -> Figures:
    scenario = figures.key.scenario
    return only(figures, [name for name in figures.metrics if rules.of(scenario, name).judged])


def _merged(before: Sequence[Figures], after: Sequence[Figures], *, whole: bool) -> list[Figures]:
    places = {one.key.place for one in after}
    groups = {place[1:] for place in places}
    kept = [
        one
        for one in before
        if one.key.place not in places and not (whole and one.key.place[1:] in groups)
    ]
    return [*kept, *after]


def _moves(
    before: Sequence[Figures],
    after: Sequence[Figures],
    rules: Rules,
    reason: Reason,
    path: Path,
    *,
    whole: bool,
) -> list[str]:
    """Log every scenario whose entry moves; return the lines for a person."""
    lines, rows = [], []
    groups = {one.key.place[1:] for one in after}
    there = [one for one in before if one.key.place[1:] in groups]
    for one in compare.compare(there, after, rules, whole=whole):
        if one.outcome in {Outcome.UNCHANGED, Outcome.NEUTRAL}:
            continue
        change = _change_in_words(one)
        lines.append(f"{one.key.title}: {change}")
        rows.append(
            {
                "when": reason.when,
                "commit": reason.commit,
                "author": reason.author,
                "why": reason.why.strip(),
                "scenario": one.key.scenario,
                "target": one.key.target,
                "toolchain": one.key.toolchain,
                "compiler": one.key.compiler,
                "flags": reason.flags.get(one.key.compiler, ""),
                "change": change,
            }
        )
    if rows:
        log = log_of(path)
        earlier = table.records_of(log, LOG_COLUMNS) if log.exists() else []
        files.replace(log, table.text(LOG_COLUMNS, [*earlier, *rows]))
    return lines


def log_of(path: Path) -> Path:
    """Where a baseline's log stands: stm32f439.csv has stm32f439.log.csv."""
    return path.with_suffix(".log.csv")


def _change_in_words(one: compare.Comparison) -> str:
    match one.outcome:
        case Outcome.MISSING:
            return "new"
        case Outcome.GONE:
            return "gone"
        case Outcome.OTHER:
            return one.said
        case _:
            moved = one.wholes or one.changes
            return "; ".join(f"{c.metric} {c.moved:+,.10g} {c.unit}".rstrip() for c in moved)
