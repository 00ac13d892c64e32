"""Figures of scenarios as documents print them: what the marks that begin with `rows:` give.

value face_m4 latency           0.4801 s
millions face_m4 cycles         80.7 M
less vww_rnnpool vww_base cycles   29 %: by how much the first has less than the second
per-mac face_m4                 0.78: cycles for each multiply-accumulate
scenarios face_m4 face_a ...    a table with a line for each
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from hil.errors import UsageError
from hil.results import metrics
from hil.results.figures import Figures
from hil.results.rows import Metric

Measured = Mapping[str, Mapping[str, Metric]]
"""Metrics by scenario and name."""

Written = tuple[str | None, str]
"""What a mark should have, None where it is not known; and why something is left out."""

HEADS = (
    *("scenario", "s", "cycles, M", "pooling, M", "cycles/MAC"),
    *("arena, B", "RAM in all, B", "flash, B", "cosine"),
)
_POOLING = "cycles.layer.pool"
_NOTHING = "\u2013"  # an en dash, in a cell without a figure
_STREAMS = "latency.waiting", "flash.symbol.stream_run"
"""What the figures of a model have whose image comes in by rows: a run's, a baseline's."""

_MODELLED = "modelled"


def measured(found: Iterable[Figures]) -> Measured:
    """Sort figures by scenario; those of a target that counts no cycles are left out.

    A baseline holds no latency, since cycles say it: it is added.
    """
    known: dict[str, Mapping[str, Metric]] = {}
    for one in found:
        cycles = one.value("cycles")
        if not one.key.rules.startswith(_MODELLED) and one.key.rules:
            continue
        if cycles is not None and one.key.clock_hz:
            latency = {"latency": Metric("latency", cycles / one.key.clock_hz, "s")}
            known[one.key.scenario] = latency | dict(one.metrics)
    return known


def write(words: Sequence[str], known: Measured, body: str) -> Written:
    """Write what a mark should have.

    Args:
        words: of the mark, behind `rows:`.
        known: the figures there are.
        body: what stands there now, which stays where a figure is not known.

    Raises:
        UsageError: the words name nothing.
    """
    match list(words):
        case ["value", scenario, name]:
            return _figure(known, (scenario,), (name,), metrics.find(name).show)
        case ["millions", scenario, name]:
            return _figure(known, (scenario,), (name,), lambda value: f"{value / 1e6:.1f} M")
        case ["per-mac", scenario]:
            return _figure(known, (scenario,), ("cycles", "macs"), lambda n, of: f"{n / of:.2f}")
        case ["less", scenario, other, name]:
            return _figure(
                known, (scenario, other), (name,), lambda n, of: f"{100 * (1 - n / of):.0f} %"
            )
        case ["scenarios", *names] if names:
            return _scenarios(known, names, body)
    raise UsageError(f"<!-- rows: {' '.join(words)} --> is no mark that is known")


def _figure(
    known: Measured, scenarios: Sequence[str], names: Sequence[str], show: Callable[..., str]
) -> Written:
    wanted = [(scenario, name) for scenario in scenarios for name in names]
    found = [known.get(scenario, {}).get(name) for scenario, name in wanted]
    values = [metric.value for metric in found if metric is not None]
    if len(values) < len(found):
        return None, f"{' or '.join(scenarios)} was not measured"
    return show(*values), ""


def _scenarios(known: Measured, names: Sequence[str], body: str) -> Written:
    there = [name for name in names if known.get(name, {}).get("cycles")]
    if not there:
        return None, "none of its scenarios was measured"
    printed = {line.partition("`")[2].partition("`")[0]: line for line in body.splitlines()}
    lines = [
        _line(name, known[name]) if name in there else printed.get(name, f"| `{name}` |")
        for name in names
    ]
    head = f"| {' | '.join(HEADS)} |", f"|---|{'--:|' * (len(HEADS) - 1)}"
    missing = len(names) - len(there)
    why = f"{missing} of its {len(names)} scenarios were not measured" if missing else ""
    return "\n\n" + "\n".join([*head, *lines]) + "\n\n", why


def _line(name: str, figures: Mapping[str, Metric]) -> str:
    def told(metric: str, write: Callable[[float], str]) -> str:
        return write(figures[metric].value) if metric in figures else _NOTHING

    def millions(value: float) -> str:
        return f"{value / 1e6:.1f}"

    per_mac = figures["cycles"].value / figures["macs"].value
    streamed = ", streamed" if figures.keys() & set(_STREAMS) else ""
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
