"""What each pooling of the paper's table 2 costs on a board, which the paper does not say.

Every network is measured as the suite does; one that fails leaves its verdict and does not keep
the others from being measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil import models
from hil.config import scenario
from hil.config.scenario import Scenario
from hil.errors import HilError, MeasurementError, UsageError, Verdict
from hil.models.paper import Figures, figures
from hil.models.variants import VARIANTS
from hil.results import metrics

if TYPE_CHECKING:
    from hil.run.measurement import Measurement
    from hil.run.session import Session

_BASE = "_base"
_POOL = "pool"
_WORDS = {
    "base": "none (base network)",
    "last_rnnpool": "RNNPool at the end",
    "avgpool": "average, early",
    "maxpool": "max, early",
    "strided": "strided convolution, early",
    "renet": "ReNet, early",
    "rnnpool": "RNNPool, early",
    "rnnpool_last": "RNNPool, early and at the end",
}


@dataclass(frozen=True)
class Cost:
    """What a network takes on a board, per image.

    Attributes:
        macs: as the model states them.
        early_cycles: of the steps that hold the early pooling; None where there is none.
        early_shares: whether those steps compute more than the pooling.
        arena_bytes: the paper's convention of RAM: planned memory, image included.
        ram_bytes: the same with static data and the deepest stack.
    """

    latency_s: float
    cycles: int
    macs: int
    early_cycles: int | None
    early_shares: bool
    arena_bytes: int
    ram_bytes: int
    flash_bytes: int
    cosine: float

    @property
    def cycles_per_mac(self) -> float:
        """Cycles of the whole network over its MACs."""
        return self.cycles / self.macs


@dataclass(frozen=True)
class Row:
    """One pooling of the paper: what it costs on the chip, beside the paper's figures.

    Attributes:
        pooling: in words. paper: its figures of the network.
        cost: None where it did not run.
        verdict: "pass", or what went wrong, as `docs/results.md` lists it; "usage" where a name or
            file of the scenario is wrong. reason: in words, empty where it passes.
    """

    scenario: str
    pooling: str
    paper: Figures
    cost: Cost | None
    verdict: str
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether it ran and is right."""
        return self.verdict == Verdict.PASS


def families() -> list[str]:
    """Networks that the paper gives several poolings."""
    return sorted(n.removesuffix(_BASE) for n in models.names() if n.endswith(_BASE))


def scenarios(family: str) -> list[Scenario]:
    """Return a family's networks in the order of the paper's table 2.

    One without a file in scenarios/ is run with the defaults.

    Raises:
        UsageError: there is no such family.
    """
    if family not in families():
        raise UsageError.unknown("family", family, families())
    names = [f"{family}_{row}" for row in VARIANTS]
    known, written = models.names(), scenario.names()
    return [
        scenario.load(name) if name in written else Scenario(name, model=name)
        for name in names
        if name in known
    ]


def measure(session: "Session", chosen: Scenario) -> Row:
    """Measure one network on the session's board.

    Args:
        session: of the board.
        chosen: the network's scenario.
    """
    try:
        prepared = session.prepare(chosen)
        with session.flashed(prepared) as device:
            result = session.measure(prepared, device)
    except MeasurementError as error:
        return _row(chosen, None, str(error.verdict), error.what)
    except HilError as error:
        return _row(chosen, None, "usage", error.what)
    verdict, reason = _judged(session, result)
    return _row(chosen, _cost(session, result), verdict, reason)


def exit_status(rows: Iterable[Row]) -> int:
    """Return the exit status: 1 where a row that ran is wrong, or none ran.

    A network that the board cannot run is a finding and no failure.
    """
    ran = [row for row in rows if row.cost is not None]
    return 0 if ran and all(row.passes for row in ran) else 1


def _row(chosen: Scenario, cost: Cost | None, verdict: str, reason: str) -> Row:
    variant = chosen.model.partition("_")[2]
    return Row(chosen.name, _WORDS[variant], figures(chosen.model), cost, verdict, reason)


def _judged(session: "Session", result: "Measurement") -> tuple[str, str]:
    name = result.prepared.scenario.name
    for row in session.rows:
        metric = row.metric
        if row.context.scenario == name and metric.verdict is not Verdict.PASS:
            kind = metrics.find(metric.name)
            found = f"{metric.name} is {kind.show(metric.value)}"
            limit = "" if metric.limit is None else f", limit {kind.show(metric.limit)}"
            return str(metric.verdict), f"{found}{limit}"
    return str(Verdict.PASS), ""


def _cost(session: "Session", result: "Measurement") -> Cost:
    def figure(name: str) -> float:
        metric = session.metric(result, name)
        if metric is None:
            raise UsageError(
                f"the target {result.target} counts {result.timing}: it has no {name}",
                hint="measure poolings on a target with cycles",
            )
        return metric.value

    early, shares = _early(result)
    return Cost(
        latency_s=figure("latency"),
        cycles=int(figure("cycles")),
        macs=int(figure("macs")),
        early_cycles=early,
        early_shares=shares,
        arena_bytes=int(figure("ram.paper")),
        ram_bytes=int(figure("ram.total")),
        flash_bytes=int(figure("flash.total")),
        cosine=figure("output.cosine"),
    )


def _early(result: "Measurement") -> tuple[int | None, bool]:
    """Cycles of the steps that hold the early pooling, and whether they compute more."""
    cycles = {layer.name: layer.cycles for layer in result.layers}
    total, shares = 0, False
    for step in result.prepared.compiled.plan.steps:
        inside = [operator.name.split(".")[0] == _POOL for operator in step.operators]
        if any(inside):
            total += cycles[step.name]
            shares |= not all(inside)
    return total or None, shares
