"""Every metric there is: what it is called, what it is held to, how it is shown.

The judge, the summary, the suite and docs/results.md read this table. A new metric is one line
here, and its measurement in `hil/run/figures.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hil.errors import UsageError, Verdict

Better = Literal["lower", "higher", "neither"]
Counts = Literal["cycles", "instructions"]

COUNT, DECIMAL = ",.0f", ".4g"
_PART = ".<"  # begins the part of a name that the measurement fills in


@dataclass(frozen=True)
class Kind:
    """A metric, before anything is measured.

    Attributes:
        name: as results.csv has it; `<...>` at its end stands for a layer or a stage.
        unit: empty for a plain number.
        better: the direction of improvement.
        meaning: one line for docs/results.md.
        format: Python's format of its value, for a person.
        label: its name in the summary; empty where the summary leaves it out.
        verdict: of a value beyond its limit; PASS where there is no limit.
        limit: the limit's key in a scenario's [limits].
        bound: the limit of every scenario that states none.
        paper: key of the paper's figure in a scenario's [paper].
        reference, source: what every scenario's value is set beside, and where that stands.
        counts: what a target must count for it to be measured; None for any.
        exact_only: whether the limit holds only where counts repeat to the one, so not on silicon.
        repeated_only: whether it takes more than one iteration.
        repeats: whether an emulated board gives the same value in every run.
        of_dataset: whether it takes a dataset, which few scenarios have.
    """

    name: str
    unit: str
    better: Better
    meaning: str
    format: str = COUNT
    label: str = ""
    verdict: Verdict = Verdict.PASS
    limit: str = ""
    bound: float | None = None
    paper: str = ""
    reference: float | None = None
    source: str = ""
    counts: Counts | None = None
    exact_only: bool = False
    repeated_only: bool = False
    repeats: bool = True
    of_dataset: bool = False

    @property
    def stem(self) -> str:
        """The name without the part that the measurement fills in."""
        return self.name.partition(_PART)[0]

    def covers(self, name: str) -> bool:
        """Whether a row of this name is of this kind."""
        if _PART in self.name:
            return name.startswith(f"{self.stem}.")
        return name == self.name

    def holds(self, value: float, limit: float) -> bool:
        """Whether a value is within a limit.

        Args:
            value: in the metric's unit.
            limit: in the same unit.
        """
        return value >= limit if self.better == "higher" else value <= limit

    @property
    def sign(self) -> str:
        """How a value within its limit stands to it."""
        return ">=" if self.better == "higher" else "<="

    def show(self, value: float) -> str:
        """Write a value as a person reads it: 76,800 B, 0.4691 s, 0.9981."""
        return f"{value:{self.format}} {self.unit}".rstrip()


LEAST_COSINE = 0.9
"""Below it the integers are another network than the float ones; a scenario may ask for more."""

KINDS = (
    Kind(
        "output.mismatches",
        "",
        "lower",
        "outputs that differ from the integer reference, in the worst iteration; anything but 0 is "
        "a defect of a kernel",
        label="wrong outputs",
        verdict=Verdict.MISMATCH,
        bound=0,
        reference=0,
        source="integer reference",
    ),
    Kind(
        "output.cosine",
        "",
        "higher",
        "integer reference against the float PyTorch model: what quantisation costs",
        format=DECIMAL,
        label="cosine to float",
        verdict=Verdict.ACCURACY,
        limit="cosine",
        bound=LEAST_COSINE,
        reference=1,
        source="float PyTorch model",
    ),
    Kind(
        "output.sqnr.least",
        "dB",
        "higher",
        "signal-to-quantisation-noise ratio of all outputs against the float model: of the worst "
        "of five photographs, the scenario's and four that all scenarios have",
        format=".3g",
        label="SQNR, worst photo",
        verdict=Verdict.ACCURACY,
        limit="sqnr_least_db",
    ),
    Kind(
        "output.sqnr.mean",
        "dB",
        "higher",
        "likewise, the mean of the five",
        format=".3g",
        label="SQNR, mean",
        verdict=Verdict.ACCURACY,
        limit="sqnr_mean_db",
    ),
    Kind(
        "output.clipped",
        "",
        "lower",
        "share of the float model's outputs on those photographs that are beyond the range of "
        "their map, of the worst map",
        format=DECIMAL,
        label="clipped outputs",
        verdict=Verdict.ACCURACY,
        limit="clipped",
    ),
    Kind(
        "map",
        "",
        "higher",
        "mean average precision of the integers over the subsets of the scenario's `dataset`; "
        "beside it the float model's",
        format=DECIMAL,
        label="average precision",
        source="float PyTorch model",
        of_dataset=True,
    ),
    Kind(
        "map.drop",
        "",
        "lower",
        "what the integers lose of it against the float model, 0 to 1",
        format=DECIMAL,
        label="average precision lost",
        verdict=Verdict.ACCURACY,
        limit="map_drop",
        of_dataset=True,
    ),
    Kind(
        "map.error",
        "",
        "neither",
        "standard error of `map.drop`, over samples of the photographs",
        format=DECIMAL,
        label="its standard error",
        repeats=False,
        of_dataset=True,
    ),
    Kind(
        "map.of.<subset>",
        "",
        "higher",
        "average precision of the integers in one subset, such as WIDER FACE's `easy`",
        format=DECIMAL,
        source="float PyTorch model",
        of_dataset=True,
    ),
    Kind(
        "accuracy",
        "",
        "higher",
        "share of the photographs of the scenario's `dataset` whose class the integers tell; "
        "beside it the float model's",
        format=DECIMAL,
        label="accuracy",
        source="float PyTorch model",
        of_dataset=True,
    ),
    Kind(
        "accuracy.drop",
        "",
        "lower",
        "what the integers lose of it against the float model, 0 to 1",
        format=DECIMAL,
        label="accuracy lost",
        verdict=Verdict.ACCURACY,
        limit="accuracy_drop",
        of_dataset=True,
    ),
    Kind(
        "accuracy.error",
        "",
        "neither",
        "standard error of `accuracy.drop`, over samples of the photographs",
        format=DECIMAL,
        label="its standard error",
        repeats=False,
        of_dataset=True,
    ),
    Kind(
        "cycles",
        "cycle",
        "lower",
        "one inference, input in memory to outputs in memory; the median of the iterations",
        label="cycles",
        counts="cycles",
    ),
    Kind(
        "latency",
        "s",
        "lower",
        "`cycles` at the board's clock; on silicon at the measured one",
        format=DECIMAL,
        label="latency",
        verdict=Verdict.LATENCY,
        limit="latency_s",
        paper="latency_s",
        counts="cycles",
    ),
    Kind(
        "latency.waiting",
        "s",
        "lower",
        "beside `latency`: what a streaming model waits for its image and for its results to go",
        format=DECIMAL,
        label="and the host's part",
        counts="cycles",
        repeats=False,
    ),
    Kind(
        "cycles.spread",
        "cycle",
        "lower",
        "slowest iteration less fastest, where there are several; an emulated board has to repeat "
        "to the one, silicon may vary",
        label="spread of iterations",
        verdict=Verdict.MISMATCH,
        bound=0,
        counts="cycles",
        exact_only=True,
        repeated_only=True,
    ),
    Kind(
        "cycles.layer.<name>",
        "cycle",
        "lower",
        "one step of the schedule; a fused block is one step",
        counts="cycles",
    ),
    Kind(
        "instructions",
        "",
        "lower",
        "in place of `cycles` on a target whose `timing` is `instructions`: it claims no latency",
        label="instructions",
        counts="instructions",
    ),
    Kind(
        "instructions.spread",
        "",
        "lower",
        "in place of `cycles.spread`",
        label="spread of iterations",
        verdict=Verdict.MISMATCH,
        bound=0,
        counts="instructions",
        exact_only=True,
        repeated_only=True,
    ),
    Kind(
        "instructions.layer.<name>",
        "",
        "lower",
        "in place of `cycles.layer.<name>`",
        counts="instructions",
    ),
    Kind(
        "clock.measured",
        "Hz",
        "neither",
        "the core's clock on silicon, by the host's: cycles over at least 2 s",
        label="measured clock",
        counts="cycles",
        repeats=False,
    ),
    Kind(
        "clock.uncertainty",
        "Hz",
        "neither",
        "by how much `clock.measured` may be wrong: a probe takes time to answer",
        counts="cycles",
        repeats=False,
    ),
    Kind(
        "clock.fallback",
        "",
        "neither",
        "1 where the crystal of the board's file is dead and the core runs from the internal "
        "oscillator; no row otherwise",
        label="runs without its crystal",
        counts="cycles",
        repeats=False,
    ),
    Kind("ram.arena", "B", "lower", "the planned activation memory with the input in it"),
    Kind(
        "ram.static",
        "B",
        "lower",
        "everything else the linker places in RAM but the stack: tables, weights copied to RAM, "
        "buffers of the link; CCM counted",
    ),
    Kind("ram.stack", "B", "lower", "high-water mark of the painted stack"),
    Kind(
        "ram.paper",
        "B",
        "lower",
        "the paper's convention: the arena",
        label="RAM, paper's count",
        verdict=Verdict.MEMORY,
        limit="ram_bytes",
        paper="ram_bytes",
    ),
    Kind(
        "ram.total",
        "B",
        "lower",
        "all-in: arena + static + stack",
        label="RAM, all-in",
        verdict=Verdict.MEMORY,
        limit="ram_bytes",
        paper="ram_bytes",
    ),
    Kind("flash.code", "B", "lower", "what code and its constants occupy in flash"),
    Kind(
        "flash.weights",
        "B",
        "lower",
        "what weights and tables occupy in flash",
        paper="flash_bytes",
    ),
    Kind(
        "flash.total",
        "B",
        "lower",
        "what the image occupies in flash",
        label="flash",
        verdict=Verdict.MEMORY,
        limit="flash_bytes",
    ),
    Kind("output.digest", "digest", "neither", "48 bits of SHA-256 of the outputs"),
    Kind(
        "output.layer.<map>",
        "digest",
        "neither",
        "48 bits of SHA-256 of a map, of the integer reference",
    ),
    Kind("ram.buffer.<name>", "B", "neither", "one buffer of the plan; `note` says its memory"),
    Kind(
        "ram.symbol.<name>",
        "B",
        "neither",
        "one variable of the image; `note` says its section",
    ),
    Kind(
        "flash.symbol.<name>",
        "B",
        "neither",
        "one function or table of the image; `note` says its section",
    ),
    Kind(
        "macs",
        "MAC",
        "neither",
        "as the model states them: dense, nothing shared",
        paper="macs",
    ),
    Kind("params", "", "neither", "as the model states them, zeros and batch norm included"),
    Kind("link.resends", "", "lower", "frames sent again, both ways", repeats=False),
    Kind(
        "link.baud",
        "",
        "higher",
        "speed of a physical board's serial line; below the board's where frames failed at it",
        repeats=False,
    ),
    Kind(
        "link.damaged",
        "",
        "lower",
        "frames of the 8 that measured the line there, which had to be sent again",
        repeats=False,
    ),
    Kind(
        "link.throughput",
        "B/s",
        "higher",
        "of those frames, both ways, by the host's clock",
        repeats=False,
    ),
    Kind(
        "setup.retries",
        "",
        "lower",
        "attempts beyond the first to flash and greet the board",
        repeats=False,
    ),
    Kind(
        "setup.recovery.<rung>",
        "",
        "lower",
        "how often a rung of the recovery ladder was tried: `resync`, `slower`, `pin-reset`, "
        "`under-reset`, `reflash`, `power-cycle`, `mass-erase`; no row where it was not",
        repeats=False,
    ),
    Kind(
        "time.<stage>",
        "s",
        "neither",
        "host time: `compile`, `build`, `weigh`, `start`, `flash`, `load`, `run`, `end`",
        format=DECIMAL,
        repeats=False,
    ),
    Kind(
        "outcome",
        "",
        "neither",
        "stands in place of the others where a measurement ended early; its verdict says at which "
        "stage",
        label="outcome",
    ),
)


def find(name: str) -> Kind:
    """Return the kind of a row's metric.

    Raises:
        UsageError: there is no such metric; the error lists those there are.
    """
    for kind in KINDS:
        if kind.covers(name):
            return kind
    raise UsageError.unknown("metric", name, [kind.name for kind in KINDS])


def judged(timing: str, iterations: int, of_dataset: Sequence[str] = ()) -> list[str]:
    """Name the metrics that have a limit and are measured.

    Args:
        timing: what the target counts: "silicon", "modelled" or "instructions".
        iterations: of the scenario.
        of_dataset: keys of the limits that its dataset is held to.
    """
    counts = "instructions" if timing == "instructions" else "cycles"
    return [
        kind.name
        for kind in KINDS
        if kind.verdict is not Verdict.PASS
        and kind.counts in {None, counts}
        and (not kind.of_dataset or kind.limit in of_dataset)
        and (iterations > 1 or not kind.repeated_only)
        and (timing != "silicon" or not kind.exact_only)
    ]


def markdown() -> str:
    """Return the table of metrics of docs/results.md."""
    rows = (f"| `{kind.name}` | {kind.unit} | {_beyond(kind)} | {kind.meaning} |" for kind in KINDS)
    return "\n".join(("| metric | unit | beyond its limit | meaning |", "|---|---|---|---|", *rows))


def _beyond(kind: Kind) -> str:
    return "" if kind.verdict is Verdict.PASS else f"`{kind.verdict}`"
