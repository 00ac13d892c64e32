"""What a measurement's figures are worth: each metric beside its reference, with a verdict."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hil.errors import Verdict
from hil.results.rows import Metric
from hil.run.measurement import Measurement


@dataclass(frozen=True)
class Mismatch:
    """Where the firmware's outputs part from the integer reference.

    Attributes:
        count: how many outputs differ. first: index of the first. largest: greatest difference.
    """

    count: int
    first: int
    largest: int

    def __str__(self) -> str:
        return (
            f"{self.count} outputs differ from the integer reference, "
            f"the first at {self.first}, by up to {self.largest}"
        )


def compare(outputs: npt.NDArray[np.int8], expected: npt.NDArray[np.int8]) -> Mismatch | None:
    """Compare outputs to the bit, both int8, (count,); None when they are equal."""
    if outputs.shape != expected.shape:
        missing = abs(expected.size - outputs.size)
        return Mismatch(count=missing, first=min(outputs.size, expected.size), largest=255)
    difference = np.abs(outputs.astype(np.int32) - expected.astype(np.int32))
    wrong = np.flatnonzero(difference)
    if wrong.size == 0:
        return None
    return Mismatch(count=int(wrong.size), first=int(wrong[0]), largest=int(difference.max()))


def cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors; 0 when either is all zeros."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norms if norms else 0.0


def judge(measurement: Measurement) -> list[Metric]:
    """Turn a measurement into metrics with verdicts.

    A figure is held to the scenario's limit and, for the reader, set beside the paper's. RAM comes
    in two conventions: `ram.paper` is the arena with the input in it, as the paper's 188,160 B;
    `ram.total` adds static data and the stack's high-water mark, CCM counted.
    """
    prepared = measurement.prepared
    return [
        *_timing(measurement),
        *_layers(measurement),
        *_size(measurement),
        *_outputs(measurement),
        Metric(
            "macs",
            prepared.program.macs,
            "MAC",
            prepared.scenario.paper.macs,
            prepared.scenario.paper.source,
        ),
        Metric("params", prepared.program.parameters, ""),
        Metric("link.resends", measurement.resends, ""),
        Metric("setup.retries", measurement.retries, ""),
        *(Metric(f"time.{stage}", seconds, "s") for stage, seconds in measurement.seconds.items()),
    ]


def _timing(measurement: Measurement) -> list[Metric]:
    # One cycle per instruction is no latency: such a target's row says instructions instead.
    if measurement.timing == "instructions":
        return [Metric("instructions", measurement.cycles, "")]
    paper, limits = measurement.prepared.scenario.paper, measurement.prepared.scenario.limits
    latency = Metric("latency", measurement.latency_s, "s", paper.latency_s, paper.source)
    timing = [
        Metric("cycles", measurement.cycles, "cycle"),
        _at_most(latency, limits.latency_s, Verdict.LATENCY),
    ]
    if measurement.waiting_cycles:
        waiting_s = measurement.waiting_cycles / measurement.prepared.board.clock_hz
        timing.append(Metric("latency.waiting", waiting_s, "s"))
    return timing


def _layers(measurement: Measurement) -> list[Metric]:
    counted, unit = "cycles", "cycle"
    if measurement.timing == "instructions":
        counted, unit = "instructions", ""
    return [
        Metric(f"{counted}.layer.{layer.name}", layer.cycles, unit) for layer in measurement.layers
    ]


def _size(measurement: Measurement) -> list[Metric]:
    scenario, footprint = measurement.prepared.scenario, measurement.prepared.image.footprint
    limits, paper = scenario.limits, scenario.paper
    ram = footprint.arena_bytes + footprint.static_bytes + measurement.stack_bytes
    arena = Metric("ram.paper", footprint.arena_bytes, "B", paper.ram_bytes, paper.source)
    weights = Metric(
        "flash.weights", footprint.flash_weights_bytes, "B", paper.flash_bytes, paper.source
    )
    return [
        Metric("ram.arena", footprint.arena_bytes, "B"),
        Metric("ram.static", footprint.static_bytes, "B"),
        Metric("ram.stack", measurement.stack_bytes, "B"),
        _at_most(arena, limits.ram_bytes, Verdict.MEMORY),
        _at_most(
            Metric("ram.total", ram, "B", paper.ram_bytes, paper.source),
            limits.ram_bytes,
            Verdict.MEMORY,
        ),
        Metric("flash.code", footprint.flash_code_bytes, "B"),
        weights,
        _at_most(
            Metric("flash.total", footprint.flash_total_bytes, "B"),
            limits.flash_bytes,
            Verdict.MEMORY,
        ),
    ]


def _outputs(measurement: Measurement) -> list[Metric]:
    prepared = measurement.prepared
    mismatch = compare(measurement.outputs, prepared.expected)
    count = Metric(
        "output.mismatches", mismatch.count if mismatch else 0, "", 0, "integer reference"
    )
    similarity = cosine(
        prepared.program.dequantise_output(prepared.expected), prepared.float_outputs
    )
    closeness = Metric("output.cosine", similarity, "", 1, "float PyTorch model")
    return [
        _at_most(count, 0, Verdict.MISMATCH),
        _at_least(closeness, prepared.scenario.limits.cosine, Verdict.ACCURACY),
    ]


def _at_most(metric: Metric, limit: float | None, verdict: Verdict) -> Metric:
    return (
        metric
        if limit is None
        else replace(metric, limit=limit, verdict=_unless(metric.value <= limit, verdict))
    )


def _at_least(metric: Metric, limit: float | None, verdict: Verdict) -> Metric:
    return (
        metric
        if limit is None
        else replace(metric, limit=limit, verdict=_unless(metric.value >= limit, verdict))
    )


def _unless(holds: bool, verdict: Verdict) -> Verdict:
    return Verdict.PASS if holds else verdict
