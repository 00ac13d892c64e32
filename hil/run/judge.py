"""Judges the figures of a measurement: each metric beside its reference, with a verdict."""

from typing import TYPE_CHECKING

from hil.config.scenario import Limits, Scenario
from hil.errors import Verdict
from hil.results import metrics
from hil.results.metrics import Kind
from hil.results.rows import Metric
from hil.run.figures import Figure, figures, of_scores
from hil.run.measurement import Measurement
from hil.run.mismatch import compare

if TYPE_CHECKING:
    from hil.run.evaluation.scores import Evaluation


def judge(measurement: Measurement) -> list[Metric]:
    """Turn a measurement into metrics with verdicts.

    A figure is held to the scenario's limit and, for the reader, set beside the paper's. RAM comes
    in two conventions: `ram.paper` is the arena with the input in it, as the paper's 188,160 B;
    `ram.total` adds static data and the stack's high-water mark, CCM counted.
    """
    prepared, exact = measurement.prepared, measurement.counts_exactly
    board = prepared.board.name
    return [_judged(one, prepared.scenario, board, exact=exact) for one in figures(measurement)]


def judge_scores(evaluation: "Evaluation", scenario: Scenario, board: str) -> list[Metric]:
    """Turn the scores of a network on a dataset into metrics with verdicts.

    Args:
        evaluation: of the network on the dataset.
        scenario: with the limits.
        board: whose limits hold; empty for every board's.
    """
    return [_judged(one, scenario, board, exact=True) for one in of_scores(evaluation)]


def _judged(figure: Figure, scenario: Scenario, board: str, *, exact: bool) -> Metric:
    kind = metrics.find(figure.name)
    limits = scenario.limits_on(board)
    limit = _limit(kind, limits) if exact or not kind.exact_only else None
    reference, source = _reference(kind, scenario)
    return Metric(
        figure.name,
        figure.value,
        kind.unit,
        reference if figure.reference is None else figure.reference,
        source,
        limit,
        Verdict.PASS if limit is None or kind.holds(figure.value, limit) else kind.verdict,
        note=figure.note,
        samples=figure.samples,
    )


def _limit(kind: Kind, limits: Limits) -> float | None:
    limit: float | None = getattr(limits, kind.limit) if kind.limit else None
    return kind.bound if limit is None else limit


def _reference(kind: Kind, scenario: Scenario) -> tuple[float | None, str]:
    if kind.paper:
        return getattr(scenario.paper, kind.paper), scenario.paper.source
    return kind.reference, kind.source


def explain(metric: Metric, measurement: Measurement) -> str:
    """Say in words why a metric fails: the figures, and for several iterations which of them.

    Args:
        metric: that was judged.
        measurement: that it belongs to.
    """
    if metric.name == "output.mismatches":
        return "\n".join([*_mismatches(measurement), *([metric.note] if metric.note else [])])
    kind = metrics.find(metric.name)
    if kind.repeated_only:
        listed = ", ".join(f"{iteration.cycles:,}" for iteration in measurement.iterations)
        return (
            f"iterations of the same inference took {listed} {measurement.counted}; a target that "
            "counts exactly has to repeat to the one: the firmware's work, or the emulator's "
            "count of it, depends on what ran before"
        )
    limit = "none" if metric.limit is None else kind.show(metric.limit)
    return f"{kind.show(metric.value)}, limit {limit} ({metric.name})"


def _mismatches(measurement: Measurement) -> list[str]:
    """Say for each iteration that is wrong where it is; with one iteration without its number."""
    several = len(measurement.iterations) > 1
    lines = []
    for number, iteration in enumerate(measurement.iterations, start=1):
        mismatch = compare(iteration.outputs, measurement.prepared.expected)
        if mismatch is not None:
            which = f"iteration {number} of {len(measurement.iterations)}: " if several else ""
            lines.append(f"{which}{mismatch}")
    return lines
