"""A test's properties in JUnit XML: what it judged, and in which circumstances."""

from collections.abc import Iterable

from hil.results.rows import Context, Metric
from hil.results.rules import is_part

Property = tuple[str, str | float]


def of_metric(context: Context, metric: Metric) -> list[Property]:
    """Return the properties of a test that judges one metric of a scenario.

    Args:
        context: of the measurement.
        metric: that the test judges.
    """
    compared = {"reference": metric.reference, "limit": metric.limit}
    return [
        ("metric", metric.name),
        ("value", metric.value),
        ("unit", metric.unit),
        *((name, value) for name, value in compared.items() if value is not None),
        ("verdict", str(metric.verdict)),
        *_circumstances(context),
    ]


def of_scenario(metrics: Iterable[Metric]) -> list[Property]:
    """Return every whole figure of a scenario, each as a property of its own: `figure.cycles`."""
    return [(f"figure.{one.name}", one.value) for one in metrics if not is_part(one.name)]


def _circumstances(context: Context) -> list[Property]:
    names = ("scenario", "board", "target", "timing", "build_id", "board_uid", "fingerprint")
    found = ((name, getattr(context, name)) for name in names)
    return [(name, value) for name, value in found if value]
