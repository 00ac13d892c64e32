"""A run as OpenMetrics text, which GitLab compares with the target branch's by itself.

Figures that differ from run to run without a change, such as host seconds, are left out; so are
buffers and symbols, which say where a change arose rather than that there is one.

Source: OpenMetrics 1.0, section "Text format".
"""

import re
from collections.abc import Sequence

from hil.errors import UsageError
from hil.results import metrics
from hil.results.metrics import Kind
from hil.results.report.subjects import Subject
from hil.results.rows import Metric

_UNITS = {"s": "seconds", "B": "bytes", "cycle": "cycles", "MAC": "macs"}
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")
_LAYER = ".layer."


def render(found: Sequence[Subject]) -> str:
    """Write every figure that repeats, as a gauge labelled with what it belongs to."""
    families: dict[str, list[str]] = {}
    for one in found:
        for metric in one.metrics.values():
            kind = kept(metric)
            if kind is not None:
                name = _family(kind)
                lines = families.setdefault(name, _head(name, kind))
                lines.append(f"{name}{{{_labels(one, metric)}}} {_number(metric)}")
    return "".join(f"{line}\n" for lines in families.values() for line in lines) + "# EOF\n"


def kept(metric: Metric) -> Kind | None:
    """Return the kind of a metric that other tools get, or None if they do not get it."""
    try:
        kind = metrics.find(metric.name)
    except UsageError:
        return None
    is_part = "<" in kind.name and _LAYER not in kind.name
    told = kind.repeats and not is_part and metric.name != "outcome" and metric.unit != "digest"
    return kind if told else None


def _family(kind: Kind) -> str:
    name = "hil_" + _NO_NAME.sub("_", kind.stem)
    unit = _UNITS.get(kind.unit, "")
    return name if not unit or name.endswith(f"_{unit}") else f"{name}_{unit}"


def _head(name: str, kind: Kind) -> list[str]:
    unit = _UNITS.get(kind.unit, "")
    stated = [f"# UNIT {name} {unit}"] if unit else []
    meaning = _escaped(kind.meaning.replace("`", ""))
    return [f"# TYPE {name} gauge", *stated, f"# HELP {name} {meaning}"]


def _labels(one: Subject, metric: Metric) -> str:
    context = one.context
    labels = {
        "scenario": one.name,
        "board": context.board,
        "target": context.target,
        "timing": context.timing,
        "toolchain": context.toolchain,
    }
    if _LAYER in metric.name:
        labels["layer"] = metric.name.partition(_LAYER)[2]
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(metric: Metric) -> str:
    value = float(metric.value)
    return str(int(value)) if value.is_integer() else repr(value)
