"""The rows of results.csv: one per metric of a measurement."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from hil.errors import Verdict
from hil.paths import FIRMWARE


@dataclass(frozen=True)
class Metric:
    """A figure of a measurement, what it is compared with, and what follows.

    Attributes:
        name: as `hil/results/metrics.py` lists them: cycles, latency, ram.paper, ...
        reference: the figure it is compared with, None where there is none; `source` says where
            that stands.
        limit: what the scenario allows; the verdict says whether it holds.
        note: what the figure belongs to, for a reader: a layer's kernel, a buffer's memory.
        samples: the value of each iteration, where there are several.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    source: str = ""
    limit: float | None = None
    verdict: Verdict = Verdict.PASS
    note: str = ""
    samples: tuple[float, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether it was held to a limit, a baseline or what else ends a measurement."""
        return self.limit is not None or self.verdict is not Verdict.PASS

    @property
    def ratio(self) -> float | None:
        """Value over reference."""
        return self.value / self.reference if self.reference else None


@dataclass(frozen=True)
class Context:
    """What a measurement's rows have in common; figures with unlike contexts are not compared.

    Attributes:
        fingerprint: what cycle counts depend on beside the source: compiler, flags, clock, wait
            states and timing rules in one line.
        rules: the timing rules of the target, with their version.
        wait_states: of the flash; None where it is not known.
        build_id: of the image, in hexadecimal; empty where none was built.
        board_uid: the chip's unique id, in hexadecimal; empty where it is not known.
        commit: of the scenario's repository, else of the harness's. harness: the harness's commit,
            or its version where it was installed.
    """

    run: str
    when: str
    commit: str
    scenario: str
    model: str
    board: str
    target: str
    timing: str
    clock_hz: int
    toolchain: str
    fingerprint: str
    rules: str = ""
    wait_states: int | None = None
    build_id: str = ""
    board_uid: str = ""
    harness: str = ""

    @property
    def compiler(self) -> str:
        """The fingerprint's part about the compiler and its flags."""
        return self.fingerprint.partition(" clock=")[0]


@dataclass(frozen=True)
class Row:
    """A metric in its context."""

    context: Context
    metric: Metric

    def cells(self) -> dict[str, object]:
        """Return the row by column name, in `COLUMNS`' order."""
        context = {field.name: getattr(self.context, field.name) for field in fields(Context)}
        metric = self.metric
        return (
            {"schema": SCHEMA}
            | context
            | {
                "metric": metric.name,
                "value": metric.value,
                "unit": metric.unit,
                "reference": metric.reference,
                "reference_source": metric.source,
                "ratio": metric.ratio,
                "limit": metric.limit,
                "verdict": str(metric.verdict) if metric.is_judged else "",
                "note": metric.note,
                "samples": metric.samples,
            }
        )


SCHEMA = 2
"""Version of the columns; a file without a column `schema` is of version 1."""

COLUMNS = (
    "schema",
    *(field.name for field in fields(Context)),
    "metric",
    "value",
    "unit",
    "reference",
    "reference_source",
    "ratio",
    "limit",
    "verdict",
    "note",
    "samples",
)


@dataclass(frozen=True)
class RunIdentity:
    """Which run of the harness a row came from."""

    run: str
    when: str
    commit: str

    @classmethod
    def now(cls, directory: Path | None) -> "RunIdentity":
        """Name a run that begins now, on the commit checked out in the directory, if any.

        Args:
            directory: None to leave the commit out, which takes a call of git.
        """
        when = datetime.now(UTC).replace(microsecond=0)
        return cls(
            run=f"{when:%Y%m%dT%H%M%S}-{uuid4().hex[:6]}",
            when=when.isoformat(),
            commit=commit_of(directory) if directory else "",
        )


def harness() -> str:
    """Return the commit of the harness's checkout, or its version where it was installed."""
    return commit_of(FIRMWARE.parent) or metadata.version("rnnpool-hil")


@cache
def commit_of(directory: Path) -> str:
    """Return the commit checked out in a directory, as it was when this process first asked.

    It ends in `-dirty` with uncommitted changes. It is empty outside a repository, and in a folder
    that the repository ignores, such as one of installed packages.
    """
    command = [
        "git",
        "-C",
        str(directory),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if answer.returncode != 0 or _is_ignored(directory):
        return ""
    return answer.stdout.strip()


def _is_ignored(directory: Path) -> bool:
    command = ["git", "-C", str(directory), "check-ignore", "--quiet", "."]
    try:
        return subprocess.run(command, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def in_context(context: Context, metrics: Iterable[Metric]) -> list[Row]:
    """Give each metric the same context.

    Args:
        context: of all of them.
        metrics: of one measurement.
    """
    return [Row(context, metric) for metric in metrics]
