"""Numbers printed in documents, each marked with what gives it, made anew and compared.

    <!-- hil models --markdown -->         what the command prints; a blank line on either side
    <!-- rows: value face_m4 latency -->0.4802 s<!-- end -->
    <!-- rows: scenarios face_m4 face_a -->   one line of a table for each
    <!-- metrics -->                       the table of hil/results/metrics.py
    <!-- silicon -->                       the table of hil/studies/boards/ledger.py

A mark ends at `<!-- end -->`. Rows are those of a results.csv; a scenario that it lacks keeps what
is printed, and is told.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path

from hil.errors import UsageError
from hil.results import metrics
from hil.results.rows import Metric, Row
from hil.studies.boards import ledger

_MARK = re.compile(
    r"<!-- (?P<source>hil [^>]*?|rows: [^>]*?|metrics|silicon) -->(?P<body>.*?)<!-- end -->",
    re.DOTALL,
)
HEADS = (
    *("scenario", "s", "cycles, M", "pooling, M", "cycles/MAC"),
    *("arena, B", "RAM in all, B", "flash, B", "cosine"),
)
_POOLING = "cycles.layer.pool"
_NOTHING = "\u2013"  # an en dash, in a cell without a figure
_CALL = "from hil.cli import main; raise SystemExit(main())"
_DEADLINE_S = 3600.0


class State(StrEnum):
    """What a mark turned out to be."""

    FRESH = "fresh"
    STALE = "stale"
    LEFT = "left out"


@dataclass(frozen=True)
class Mark:
    """A place in a document, what gives it, and what stands there."""

    path: Path
    line: int
    source: str
    body: str


@dataclass(frozen=True)
class Finding:
    """What became of a mark: for one that is stale what should stand there, else why."""

    mark: Mark
    state: State
    body: str = ""
    why: str = ""

    @property
    def difference(self) -> str:
        """What is printed beside what should be, as a unified diff."""
        printed, now = (text.strip().splitlines() for text in (self.mark.body, self.body))
        return "\n".join(unified_diff(printed, now, "printed", "now", lineterm="", n=0))


Measured = Mapping[str, Mapping[str, Metric]]
"""Metrics by scenario and name."""


def measured(rows: Sequence[Row]) -> Measured:
    """Sort rows by scenario; those of a target that counts no cycles are left out."""
    found: dict[str, dict[str, Metric]] = {}
    for row in rows:
        if row.context.timing == "modelled":
            found.setdefault(row.context.scenario, {})[row.metric.name] = row.metric
    return found


def marks(path: Path) -> list[Mark]:
    """Find a document's marks, in order.

    Raises:
        UsageError: the document cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return [
        Mark(path, text.count("\n", 0, found.start()) + 1, found["source"], found["body"])
        for found in _MARK.finditer(text)
    ]


def check(mark: Mark, rows: Measured, *, slow: bool) -> Finding:
    """Make anew what stands at a mark.

    Args:
        mark: where.
        rows: of a run.
        slow: whether commands are run, which takes minutes.

    Raises:
        UsageError: the mark names nothing that this knows, or its command fails.
    """
    kind, _, arguments = mark.source.partition(" ")
    if kind == "hil":
        if not slow:
            return Finding(mark, State.LEFT, why="takes minutes; --all runs it")
        return _compared(mark, f"\n\n{_printed(mark)}\n\n")
    if kind == "metrics":
        return _compared(mark, f"\n{metrics.markdown()}\n\n")
    if kind == "silicon":
        return _compared(mark, f"\n{ledger.markdown()}\n\n")
    what, *names = arguments.split()
    if what == "value" and len(names) == 2:
        return _value(mark, rows, *names)
    if what == "scenarios" and names:
        return _scenarios(mark, rows, names)
    raise UsageError(f"{mark.path}:{mark.line}: <!-- {mark.source} --> is no mark that is known")


def _compared(mark: Mark, body: str, why: str = "") -> Finding:
    state = State.FRESH if mark.body.strip() == body.strip() else State.STALE
    return Finding(mark, state, body, why)


def _printed(mark: Mark) -> str:
    command = [sys.executable, "-c", _CALL, *shlex.split(mark.source)[1:]]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=_DEADLINE_S, check=False
    )
    if done.returncode:
        raise UsageError(
            f"{mark.path}:{mark.line}: {mark.source} ended with status {done.returncode}",
            hint="run it by itself",
        )
    return done.stdout.strip()


def _value(mark: Mark, rows: Measured, scenario: str, name: str) -> Finding:
    metric = rows.get(scenario, {}).get(name)
    if metric is None:
        return Finding(mark, State.LEFT, why=f"{scenario} was not measured")
    return _compared(mark, metrics.find(name).show(metric.value))


def _scenarios(mark: Mark, rows: Measured, names: Sequence[str]) -> Finding:
    known = [name for name in names if rows.get(name, {}).get("cycles")]
    if not known:
        return Finding(mark, State.LEFT, why="none of its scenarios was measured")
    printed = {line.partition("`")[2].partition("`")[0]: line for line in mark.body.splitlines()}
    lines = [
        _line(name, rows[name]) if name in known else printed.get(name, f"| `{name}` |")
        for name in names
    ]
    head = f"| {' | '.join(HEADS)} |", f"|---|{'--:|' * (len(HEADS) - 1)}"
    missing = len(names) - len(known)
    why = f"{missing} of its {len(names)} scenarios were not measured" if missing else ""
    return _compared(mark, "\n\n" + "\n".join([*head, *lines]) + "\n\n", why)


def _line(name: str, figures: Mapping[str, Metric]) -> str:
    def told(metric: str, write: Callable[[float], str]) -> str:
        return write(figures[metric].value) if metric in figures else _NOTHING

    def millions(value: float) -> str:
        return f"{value / 1e6:.1f}"

    per_mac = figures["cycles"].value / figures["macs"].value
    streamed = ", streamed" if "latency.waiting" in figures else ""
    cells = [
        f"`{name}`{streamed}",
        told("latency", lambda value: f"{value:.3f}"),
        told("cycles", millions),
        told(_POOLING, millions),
        f"{per_mac:.2f}",
        *(
            told(one, lambda value: f"{value:,.0f}")
            for one in ("ram.arena", "ram.total", "flash.total")
        ),
        told("output.cosine", lambda value: f"{value:.4f}"),
    ]
    return f"| {' | '.join(cells)} |"


def rewrite(path: Path, findings: Sequence[Finding]) -> int:
    """Put what is stale in a document right; returns how many places were changed."""
    stale = {
        (found.mark.source, found.mark.body): found.body
        for found in findings
        if found.state is State.STALE and found.mark.path == path
    }
    text = path.read_text(encoding="utf-8")

    def put(found: re.Match[str]) -> str:
        body = stale.get((found["source"], found["body"]), found["body"])
        return f"<!-- {found['source']} -->{body}<!-- end -->"

    path.write_text(_MARK.sub(put, text), encoding="utf-8")
    return len(stale)


def documents(root: Path) -> Iterator[Path]:
    """Yield the documents that have marks: README.md and docs/*.md."""
    yield from (path for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))))
