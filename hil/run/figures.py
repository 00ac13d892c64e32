"""What a measurement gives for each metric of `hil/results/metrics.py`, before it is judged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.compiler.similarity import cosine
from hil.run.measurement import Iteration, Measurement
from hil.run.mismatch import differing

if TYPE_CHECKING:
    from hil.run.evaluation.scores import Evaluation


@dataclass(frozen=True)
class Figure:
    """A metric's value.

    Attributes:
        name: of the metric.
        samples: its value in each iteration, in order; empty where it is not of an iteration.
        reference: the float model's, where that is no constant.
        note: on what it was measured, where that is not the scenario's photograph.
    """

    name: str
    value: float
    samples: tuple[float, ...] = ()
    reference: float | None = None
    note: str = ""


def figures(measurement: Measurement) -> Iterator[Figure]:
    """Yield every metric's value, in the order of a table's rows."""
    for group in (_timing, _layers, _size, _outputs, _worth, _model, _run):
        yield from group(measurement)


def _timing(measurement: Measurement) -> Iterator[Figure]:
    counted = measurement.counted
    counts = [iteration.cycles for iteration in measurement.iterations]
    yield _sampled(measurement, counted, lambda iteration: iteration.cycles)
    # One cycle per instruction is no latency: such a target's row says instructions instead.
    if counted == "cycles":
        hz = measurement.clock_hz
        yield _sampled(measurement, "latency", lambda iteration: iteration.cycles / hz)
        if measurement.waiting_cycles:
            yield _sampled(
                measurement, "latency.waiting", lambda iteration: iteration.waiting_cycles / hz
            )
    if measurement.clock is not None:
        yield Figure("clock.measured", measurement.clock.hz)
        yield Figure("clock.uncertainty", measurement.clock.uncertainty_hz)
    if measurement.falls_back:
        yield Figure("clock.fallback", 1)
    if len(counts) > 1:
        yield Figure(f"{counted}.spread", max(counts) - min(counts))


def _layers(measurement: Measurement) -> Iterator[Figure]:
    for layer in measurement.layers:
        yield Figure(f"{measurement.counted}.layer.{layer.name}", layer.cycles)


def _size(measurement: Measurement) -> Iterator[Figure]:
    footprint, stack = measurement.prepared.image.footprint, measurement.stack_bytes
    yield Figure("ram.arena", footprint.arena_bytes)
    yield Figure("ram.static", footprint.static_bytes)
    yield Figure("ram.stack", stack)
    yield Figure("ram.paper", footprint.arena_bytes)
    yield Figure("ram.total", footprint.arena_bytes + footprint.static_bytes + stack)
    yield Figure("flash.code", footprint.flash_code_bytes)
    yield Figure("flash.weights", footprint.flash_weights_bytes)
    yield Figure("flash.total", footprint.flash_total_bytes)


def _outputs(measurement: Measurement) -> Iterator[Figure]:
    prepared = measurement.prepared
    wrong = [differing(one.outputs, prepared.expected) for one in measurement.iterations]
    exact = prepared.network.output.dequantise(prepared.expected)
    yield Figure("output.mismatches", max(wrong), _if_several(wrong))
    yield Figure("output.cosine", cosine(exact, prepared.float_outputs))
    yield Figure("output.sqnr.least", prepared.closeness.least_sqnr_db)
    yield Figure("output.sqnr.mean", prepared.closeness.mean_sqnr_db)
    yield Figure("output.clipped", prepared.closeness.most_clipped)


def _worth(measurement: Measurement) -> Iterator[Figure]:
    evaluation = measurement.prepared.evaluation
    if evaluation is not None:
        yield from of_scores(evaluation)


def of_scores(evaluation: "Evaluation") -> Iterator[Figure]:
    """Yield the scores on a dataset: average precision, or accuracy."""
    scores, note = evaluation.scores, evaluation.dataset
    main = scores.main
    name = "map" if scores.confusion is None else "accuracy"
    yield Figure(name, main.of_integers, reference=main.of_float, note=note)
    yield Figure(f"{name}.drop", main.drop, note=note)
    yield Figure(f"{name}.error", main.standard_error, note=note)
    for subset, figure in scores.by_subset.items():
        yield Figure(f"map.of.{subset}", figure.of_integers, reference=figure.of_float, note=note)


def _model(measurement: Measurement) -> Iterator[Figure]:
    network = measurement.prepared.network
    yield Figure("macs", network.macs)
    yield Figure("params", network.parameters)


def _run(measurement: Measurement) -> Iterator[Figure]:
    yield Figure("link.resends", measurement.resends)
    if measurement.line is not None:
        yield Figure("link.baud", measurement.line.baud)
        yield Figure("link.damaged", measurement.line.damaged)
        yield Figure("link.throughput", measurement.line.bytes_per_s)
    yield Figure("setup.retries", measurement.retries)
    for rung, count in measurement.recoveries.items():
        yield Figure(f"setup.recovery.{rung}", count)
    for stage, seconds in measurement.seconds.items():
        yield Figure(f"time.{stage}", seconds)


def _sampled(measurement: Measurement, name: str, of: Callable[[Iteration], float]) -> Figure:
    """Return the middle iteration's value, and every iteration's beside it."""
    samples = [of(iteration) for iteration in measurement.iterations]
    return Figure(name, of(measurement.middle), _if_several(samples))


def _if_several(samples: "list[int] | list[float]") -> tuple[float, ...]:
    return tuple(samples) if len(samples) > 1 else ()
