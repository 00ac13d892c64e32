"""The table of metrics, and those who read it."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from test_judge import iteration, measurement

from hil.config.scenario import Limits, Paper
from hil.errors import UsageError, Verdict
from hil.link.speed import Quality
from hil.results import metrics
from hil.run.core_clock import CoreClock
from hil.run.evaluation.scores import Evaluation, Scores
from hil.run.evaluation.scores import Figure as DatasetScore
from hil.run.figures import figures, of_scores
from hil.vision.accuracy import Accuracy, measure

RESULTS = Path(__file__).parent.parent / "docs/results.md"
NOT_MEASURED = {
    "outcome",  # stands where a measurement ended early
    "output.digest",  # these of hil/run/parts.py, which needs a built image
    "output.layer.<map>",
    "ram.buffer.<name>",
    "ram.symbol.<name>",
    "flash.symbol.<name>",
}


RIGHT = measure(np.array([0, 1]), np.array([0, 1]), 2)


def scores(confusion: tuple[Accuracy, Accuracy] | None) -> Scores:
    main = DatasetScore("mAP", 0.9, 0.8, 0.01)
    easy = tuple(replace(main, name=name) for name in ("AP easy", "AP hard"))
    return Scores(2, (), 0, 0, (30.0, 20.0), (0.0, 0.0), main, (main, *easy), {}, confusion)


def test_every_figure_has_its_line_and_every_line_its_figure() -> None:
    measured = [
        figure.name
        for timing in ("modelled", "instructions")
        for figure in figures(
            replace(
                measurement(iteration(waiting_cycles=1), iteration(), timing=timing),
                clock=CoreClock(168_000_000, 1000),
                falls_back=True,
                line=Quality(1_000_000, 8, 0, 50_000.0),
            )
        )
    ]
    measured += [
        figure.name
        for confusion in (None, (RIGHT, RIGHT))
        for figure in of_scores(Evaluation(scores(confusion), "2 photographs"))
    ]
    kinds = {metrics.find(name).name for name in measured}
    assert kinds | NOT_MEASURED == {kind.name for kind in metrics.KINDS}


def test_names_are_told_apart() -> None:
    names = [
        kind.name.replace("<name>", "x")
        .replace("<stage>", "x")
        .replace("<map>", "x")
        .replace("<rung>", "x")
        for kind in metrics.KINDS
    ]
    for name in names:
        assert [kind.covers(name) for kind in metrics.KINDS].count(True) == 1


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown metric 'cycle'\n.*known: .*, cycles, "):
        metrics.find("cycle")


@pytest.mark.parametrize("kind", metrics.KINDS, ids=lambda kind: kind.name)
def test_keys_of_a_scenario_exist_and_a_verdict_has_a_limit(kind: metrics.Kind) -> None:
    assert kind.limit in {"", *(field.name for field in fields(Limits))}
    assert kind.paper in {"", *(field.name for field in fields(Paper))}
    has_limit = bool(kind.limit) or kind.bound is not None
    assert has_limit == (kind.verdict is not Verdict.PASS)
    assert kind.meaning


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("ram.total", 76_800, "76,800 B"),
        ("latency", 0.46912, "0.4691 s"),
        ("output.cosine", 0.99812, "0.9981"),
        ("latency", 2, "2 s"),
        ("cycles", 80_672_550, "80,672,550 cycle"),
    ],
)
def test_figures_read_as_people_write_them(name: str, value: float, text: str) -> None:
    assert metrics.find(name).show(value) == text


def test_the_suite_holds_what_the_target_counts() -> None:
    assert metrics.judged("modelled", 1) == [
        "output.mismatches",
        "output.cosine",
        "output.sqnr.least",
        "output.sqnr.mean",
        "output.clipped",
        "latency",
        "ram.paper",
        "ram.total",
        "flash.total",
    ]
    assert "latency" not in metrics.judged("instructions", 1)
    assert "cycles.spread" in metrics.judged("modelled", 2)
    assert "instructions.spread" in metrics.judged("instructions", 2)
    assert "cycles.spread" not in metrics.judged("silicon", 2)


def test_a_dataset_is_held_to_the_limits_that_a_scenario_has() -> None:
    assert "accuracy.drop" not in metrics.judged("modelled", 1)
    held = metrics.judged("modelled", 1, ["accuracy_drop"])
    assert "accuracy.drop" in held
    assert "map.drop" not in held


def test_the_document_holds_the_table() -> None:
    assert metrics.markdown() in RESULTS.read_text(encoding="utf-8")
