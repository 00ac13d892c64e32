"""A run as the JSON of two services that keep and plot benchmarks.

Sources: Bencher Metric Format (bencher.dev, "JSON adapter"); github-action-benchmark's README,
"customSmallerIsBetter".
"""

import json
from collections.abc import Iterator, Sequence

from hil.results.report.openmetrics import kept
from hil.results.report.subjects import Subject
from hil.results.rows import Metric

_NS_PER_S = 1e9


def bencher(found: Sequence[Subject]) -> str:
    """Write a benchmark for each scenario; `latency` is in nanoseconds, as Bencher has it."""
    benchmarks = {
        one.name: {
            metric.name.replace(".", "-"): {"value": _as_bencher(metric)} for metric in wholes(one)
        }
        for one in found
    }
    return json.dumps({n: m for n, m in benchmarks.items() if m}, indent=2) + "\n"


def _as_bencher(metric: Metric) -> float:
    return metric.value * _NS_PER_S if metric.name == "latency" else metric.value


def benchmark_action(found: Sequence[Subject]) -> str:
    """Write an entry for each figure of which less is better."""
    entries = [
        {
            "name": f"{one.name} {metric.name}",
            "unit": metric.unit or "count",
            "value": metric.value,
            "extra": f"{one.context.target}, {one.context.timing}, {one.context.toolchain}",
        }
        for one in found
        for metric in wholes(one)
        if (kind := kept(metric)) and kind.better == "lower"
    ]
    return json.dumps(entries, indent=2) + "\n"


def wholes(one: Subject) -> Iterator[Metric]:
    """Yield the figures of the whole that repeat from run to run."""
    for metric in one.metrics.values():
        kind = kept(metric)
        if kind is not None and "<" not in kind.name:
            yield metric
