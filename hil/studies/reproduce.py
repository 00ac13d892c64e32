"""Numbers printed in documents, each marked with what gives it, made anew and compared.

    <!-- hil models --markdown -->         what the command prints; a blank line on either side
    <!-- rows: value face_m4 latency -->0.4802 s<!-- end -->   a figure: see hil/studies/printed.py
    <!-- metrics -->                       the table of hil/results/metrics.py
    <!-- silicon -->                       the table of hil/studies/boards/ledger.py
    <!-- held: tests/test_counts.py -->5.81 M<!-- end -->          figures that tests hold
    <!-- evidence: hil validate-timing --embench DIR -->0.994<!-- end -->   measured once, so

A mark ends at `<!-- end -->`. Rows are those of a results.csv or of a baseline; a scenario that
they lack keeps what is printed, and is told. So do figures of trained weights, of SCENARIO.trained,
where no checkpoint is at hand. Evidence was measured as its mark says: on what this
repository does not have, by host time, or when a choice was made. It is told, never made anew.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.results import metrics
from hil.run import sources
from hil.studies import printed
from hil.studies.boards import ledger
from hil.studies.printed import Measured

MARK = re.compile(
    r"<!-- (?P<source>(?:hil|rows:|evidence:|held:) .*?|metrics|silicon) -->"
    r"(?P<body>.*?)<!-- end -->",
    re.DOTALL,
)
"""A mark, with what gives it and what stands there."""

_CALL = "from hil.cli import main; raise SystemExit(main())"
_DEADLINE_S = 3600.0
_TRAINED = ".trained"
_ON_EMULATOR = (
    "test",
    "--board=stm32f439",
    "--hil-target=emulator",
    "-q",
    "-p",
    "no:cacheprovider",
)
_NOT_MADE_ANEW = {"evidence:": "measured once, as the mark says", "held:": "held by these tests"}


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
        for found in MARK.finditer(text)
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
    if kind in _NOT_MADE_ANEW:
        return Finding(mark, State.LEFT, why=_NOT_MADE_ANEW[kind])
    try:
        body, why = printed.write(arguments.split(), rows, mark.body)
    except UsageError as error:
        raise UsageError(f"{mark.path}:{mark.line}: {error}") from error
    return Finding(mark, State.LEFT, why=why) if body is None else _compared(mark, body, why)


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


def trained(given: str) -> Measured:
    """Measure a scenario with trained weights, on the emulated board.

    Args:
        given: SCENARIO=CHECKPOINT.

    Returns:
        Its metrics, under SCENARIO.trained.

    Raises:
        UsageError: it is said otherwise, there is no such file, or nothing was measured.
    """
    name, _, checkpoint = given.partition("=")
    if not (name and checkpoint):
        raise UsageError(f"{given} is no SCENARIO=CHECKPOINT", hint="such as face_m4=face_m4.pth")
    if not files.is_file(Path(checkpoint)):
        raise UsageError(f"there is no checkpoint {checkpoint}")
    with files.scratch() as folder:
        rows = folder / "results.csv"
        options = (
            f"--hil-scenario={name}",
            f"--hil-checkpoint={checkpoint}",
            f"--hil-csv={rows}",
            f"--hil-history-dir={folder / 'history'}",
        )
        command = [sys.executable, "-c", _CALL, *_ON_EMULATOR, *options]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        known = printed.measured(sources.read(rows)) if rows.is_file() else {}
    if name not in known:
        raise UsageError(
            f"{name} with {checkpoint} was not measured:\n{done.stdout.strip()}",
            hint=f"hil run {name} --checkpoint {checkpoint}",
        )
    return {f"{name}{_TRAINED}": known[name]}


def rewrite(path: Path, findings: Sequence[Finding]) -> int:
    """Put what is stale in a document right; returns how many places were changed.

    Args:
        path: of the document.
        findings: about its marks.
    """
    stale = {
        (found.mark.source, found.mark.body): found.body
        for found in findings
        if found.state is State.STALE and found.mark.path == path
    }
    text = path.read_text(encoding="utf-8")

    def put(found: re.Match[str]) -> str:
        body = stale.get((found["source"], found["body"]), found["body"])
        return f"<!-- {found['source']} -->{body}<!-- end -->"

    path.write_text(MARK.sub(put, text), encoding="utf-8")
    return len(stale)


def documents(root: Path) -> Iterator[Path]:
    """Yield the documents that have marks: README.md and docs/*.md."""
    yield from (path for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))))
