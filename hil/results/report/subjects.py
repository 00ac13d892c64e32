"""What a report is about: the scenarios of a table, each with all that is known of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.errors import UsageError, Verdict
from hil.results import details, metrics, rules
from hil.results.details import Details
from hil.results.rows import Context, Metric, Row

_COUNTS = ("cycles", "instructions")


@dataclass(frozen=True)
class Step:
    """One layer of the schedule, as a report shows it.

    Attributes:
        number: from 1. metric: the row's.
        macs: None where the run left no details.
        share: of the cycles of all layers.
        causes: shares of this layer's cycles by cause, largest first; empty where not known.
    """

    number: int
    name: str
    metric: Metric
    macs: int | None
    share: float
    causes: Sequence[tuple[str, float]]

    @property
    def per_mac(self) -> float | None:
        """Cycles per MAC; None where the layer multiplies nothing."""
        return self.metric.value / self.macs if self.macs else None


@dataclass(frozen=True)
class Subject:
    """One scenario of a run.

    Attributes:
        metrics: by name, in the table's order.
        details: None where the run left none.
        past: cycles of this scenario in the history, oldest first, this run's last.
    """

    context: Context
    metrics: Mapping[str, Metric]
    details: Details | None = None
    past: Sequence[float] = ()

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.context.scenario

    @property
    def failures(self) -> list[Metric]:
        """What did not hold: wholes, or parts where no whole failed with them."""
        failed = [m for m in self.metrics.values() if m.verdict is not Verdict.PASS]
        return [m for m in failed if not rules.is_part(m.name)] or failed

    @property
    def verdict(self) -> Verdict:
        """The first thing that did not hold, or pass."""
        return self.failures[0].verdict if self.failures else Verdict.PASS

    @property
    def count(self) -> Metric | None:
        """What an inference takes: cycles, or instructions; None where it was not measured."""
        found = (self.metrics.get(name) for name in _COUNTS)
        return next((metric for metric in found if metric is not None), None)

    @property
    def steps(self) -> list[Step]:
        """The layers, in order."""
        layers = [
            (n, m) for n, m in self.metrics.items() if ".layer." in n and n.startswith(_COUNTS)
        ]
        total = sum(metric.value for _, metric in layers)
        known = {layer.name: layer for layer in (self.details.layers if self.details else ())}
        steps = []
        for number, (full, metric) in enumerate(layers, start=1):
            name = full.partition(".layer.")[2]
            layer = known.get(name)
            share = metric.value / total if total else 0.0
            causes = _shares(layer.causes) if layer else []
            macs = layer.macs if layer else None
            steps.append(Step(number, name, metric, macs, share, causes))
        return steps


def _shares(causes: Mapping[str, int]) -> list[tuple[str, float]]:
    total = sum(causes.values())
    return [(cause, cycles / total) for cause, cycles in causes.items() if total and cycles > 0]


def gather(rows: Iterable[Row], csv: Path, history: Iterable[Row] = ()) -> list[Subject]:
    """Put a table's rows together by scenario.

    Args:
        rows: of the table.
        csv: where it stands, for the details beside it.
        history: rows of earlier runs.
    """
    groups: dict[Context, dict[str, Metric]] = {}
    for row in rows:
        groups.setdefault(_of_all(row.context, groups), {})[row.metric.name] = row.metric
    past = _past(history)
    subjects = []
    for context, measured in groups.items():
        subject = Subject(context, measured, details.read(csv, context.run, context.scenario))
        earlier = [
            value for run, value in past.get(_place(context), {}).items() if run < context.run
        ]
        now = [subject.count.value] if subject.count else []
        subjects.append(Subject(context, measured, subject.details, (*earlier, *now)))
    return subjects


def _of_all(context: Context, groups: Iterable[Context]) -> Context:
    """The context under which a scenario's rows are gathered: a failed one knows no build id."""
    same = (c for c in groups if (c.run, *_place(c)) == (context.run, *_place(context)))
    return next(same, context)


def _place(context: Context) -> tuple[str, ...]:
    return context.scenario, context.board, context.target, context.toolchain


def _past(history: Iterable[Row]) -> dict[tuple[str, ...], dict[str, float]]:
    """Cycles by place and run; runs sort by their begin."""
    past: dict[tuple[str, ...], dict[str, float]] = {}
    for row in history:
        if row.metric.name in _COUNTS:
            past.setdefault(_place(row.context), {})[row.context.run] = row.metric.value
    return {place: dict(sorted(runs.items())) for place, runs in past.items()}


def shown(metric: Metric) -> str:
    """Write a metric's value as a person reads it."""
    return show(metric.name, metric.value, metric.unit)


def show(name: str, value: float, unit: str) -> str:
    """Write a value of a metric as a person reads it: 76,800 B, 0.4691 s, 0.9981.

    Args:
        name: the metric's.
        value: in the metric's unit.
        unit: whether it is shown.
    """
    try:
        return metrics.find(name).show(value)
    except UsageError:  # a row of another version of the harness
        number = f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
        return f"{number} {unit}".rstrip()


def label(name: str) -> str:
    """Name a metric for a person."""
    try:
        return metrics.find(name).label or name
    except UsageError:
        return name
