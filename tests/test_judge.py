from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import report_rows
from hypothesis import given
from hypothesis import strategies as st

from hil.build.image import Footprint, Image
from hil.build.toolchain import Toolchain
from hil.compiler.program import Int8, Output, Tensor
from hil.compiler.similarity import cosine
from hil.config import board, scenario
from hil.config.scenario import Limits
from hil.errors import Verdict
from hil.link.client import Run
from hil.results.metrics import LEAST_COSINE
from hil.results.rows import Metric, in_context
from hil.run import judge
from hil.run.closeness import Closeness
from hil.run.facts import Network
from hil.run.measurement import (
    Iteration,
    LayerCycles,
    Measurement,
    Prepared,
    Stopwatch,
    longest_run_s,
    longest_work_s,
    measure,
)
from hil.run.mismatch import Mismatch, compare
from hil.targets.emulator.target import EmulatedTarget

if TYPE_CHECKING:
    from hil.link.client import Device
    from hil.run.facts import Schedule

EXPECTED = np.arange(-40, 40, dtype=np.int8)
MAP = Tensor("y", (4, 4, 5), scale=0.5, zero_point=0)
OUTPUT = Output((MAP,))
FOOTPRINT = Footprint(
    flash_code_bytes=10_000,
    flash_weights_bytes=60_000,
    arena_bytes=150_000,
    static_bytes=30_000,
    ccm_static_bytes=30_000,
    stack_reserved_bytes=4096,
)
LIMITS = Limits(latency_s=10.45, ram_bytes=188_160, flash_bytes=262_144, cosine=0.995)


def iteration(
    cycles: int = 168_000_000, outputs: Int8 = EXPECTED, waiting_cycles: int = 0
) -> Iteration:
    return Iteration(outputs, cycles, waiting_cycles, (LayerCycles("stem", 691_200, cycles),))


def measurement(*iterations: Iteration, timing: str = "modelled") -> Measurement:
    """A measurement in which everything is as it should be."""
    prepared = Prepared(
        replace(scenario.load("face_m4"), limits=LIMITS),
        board=board.load("stm32f439"),
        network=Network("face_m4", 0, 7, OUTPUT, rows=4, columns=4),
        schedule=cast("Schedule", SimpleNamespace(layers=range(3), streams=False, cycles=1000)),
        compile=lambda: pytest.fail("nothing here needs the program"),
        input=EXPECTED,
        expected=EXPECTED,
        float_outputs=OUTPUT.dequantise(EXPECTED),
        toolchain=Toolchain("zig", "0.17.0", (), Path("zig")),
        image=Image(Path("face.elf"), b"id", (), (), FOOTPRINT),
        closeness=Closeness({"astronaut": 30.0, "moon": 20.0}, {"y": 0.01}),
    )
    return Measurement(
        prepared,
        target="emulator",
        timing=timing,
        iterations=iterations or (iteration(),),
        stack_bytes=2_000,
        resends=0,
        retries=0,
        seconds={"run": 1.5},
        recoveries={"reflash": 1},
    )


def judged(result: Measurement) -> dict[str, Metric]:
    return {metric.name: metric for metric in judge.judge(result)}


def test_the_hosts_part_of_a_run_stands_beside_the_latency() -> None:
    metrics = judged(measurement(iteration(waiting_cycles=84_000_000)))
    assert metrics["latency"].value == 1.0
    assert metrics["latency.waiting"].value == 0.5
    assert "latency.waiting" not in judged(measurement())


def test_a_good_measurement_passes_in_every_metric() -> None:
    metrics = judged(measurement())
    assert {metric.verdict for metric in metrics.values()} == {Verdict.PASS}
    assert metrics["latency"].value == 1.0
    assert metrics["latency"].ratio == pytest.approx(1 / 10.45)
    assert metrics["ram.total"].value == 182_000
    assert metrics["ram.paper"].value == 150_000
    assert metrics["cycles.layer.stem"].value == 168_000_000
    assert metrics["time.run"].value == 1.5


@given(st.integers(0, EXPECTED.size - 1), st.integers(1, 80))
def test_one_wrong_output_is_a_mismatch_and_is_located(where: int, by: int) -> None:
    outputs = EXPECTED.copy()
    outputs[where] += by
    result = measurement(iteration(outputs=outputs))
    assert judged(result)["output.mismatches"].verdict is Verdict.MISMATCH
    assert compare(outputs, EXPECTED) == Mismatch(count=1, first=where, largest=by)


def test_missing_outputs_are_a_mismatch() -> None:
    mismatch = compare(EXPECTED[:-3], EXPECTED)
    assert mismatch is not None
    assert mismatch.count == 3


def test_a_lossy_quantisation_is_an_accuracy_failure_and_no_mismatch() -> None:
    good = measurement()
    noise = np.where(np.arange(EXPECTED.size) % 2, 6, -6).astype(np.float32)
    prepared = replace(good.prepared, float_outputs=good.prepared.float_outputs + noise)
    metrics = judged(replace(good, prepared=prepared))
    assert metrics["output.cosine"].verdict is Verdict.ACCURACY
    assert metrics["output.mismatches"].verdict is Verdict.PASS


def test_without_limits_the_cosine_has_a_floor_and_the_rest_no_verdict() -> None:
    good = measurement()
    unasked = replace(good.prepared.scenario, limits=Limits())
    noise = 30 * np.where(np.arange(EXPECTED.size) % 2, 1, -1).astype(np.float32)
    floats = good.prepared.float_outputs + noise
    metrics = judged(
        replace(good, prepared=replace(good.prepared, scenario=unasked, float_outputs=floats))
    )
    assert metrics["output.cosine"].value < LEAST_COSINE
    assert metrics["output.cosine"].verdict is Verdict.ACCURACY
    assert judged(good)["latency"].is_judged
    (row,) = in_context(report_rows.CONTEXT, [metrics["latency"]])
    assert (row.cells()["limit"], row.cells()["verdict"]) == (None, "")


def test_a_slow_kernel_is_a_latency_failure() -> None:
    assert judged(measurement(iteration(1_755_600_001)))["latency"].verdict is Verdict.LATENCY


def test_a_fat_image_is_a_memory_failure_where_it_is_fat() -> None:
    good = measurement()
    fat = replace(FOOTPRINT, static_bytes=60_000)
    image = replace(good.prepared.image, footprint=fat)
    metrics = judged(replace(good, prepared=replace(good.prepared, image=image)))
    assert metrics["ram.total"].verdict is Verdict.MEMORY
    assert metrics["ram.paper"].verdict is Verdict.PASS


def test_instruction_counts_never_pass_for_time() -> None:
    metrics = judged(measurement(timing="instructions"))
    assert "latency" not in metrics
    assert "cycles" not in metrics
    assert metrics["instructions"].value == 168_000_000


def test_the_cosine_of_nothing_is_zero() -> None:
    zeros = np.zeros(4, dtype=np.float32)
    assert cosine(zeros, zeros) == 0.0


# Several iterations


def wrong_at(*places: int) -> Int8:
    outputs = EXPECTED.copy()
    outputs[list(places)] += 1
    return outputs


def test_an_early_iteration_that_is_wrong_is_a_mismatch_and_is_named() -> None:
    result = measurement(iteration(outputs=wrong_at(3, 7)), iteration(), iteration())
    metric = judged(result)["output.mismatches"]
    assert (metric.value, metric.verdict) == (2, Verdict.MISMATCH)
    assert metric.samples == (2, 0, 0)
    assert judge.explain(metric, result) == (
        "iteration 1 of 3: 2 outputs differ from the integer reference, the first at 3, by up to 1"
    )


def test_every_wrong_iteration_is_told() -> None:
    result = measurement(iteration(outputs=wrong_at(1)), iteration(outputs=wrong_at(2)))
    told = judge.explain(judged(result)["output.mismatches"], result).splitlines()
    assert [line.partition(":")[0] for line in told] == ["iteration 1 of 2", "iteration 2 of 2"]


def test_a_single_wrong_iteration_has_no_number() -> None:
    result = measurement(iteration(outputs=wrong_at(1)))
    told = judge.explain(judged(result)["output.mismatches"], result)
    assert told.startswith("1 outputs differ")


@pytest.mark.parametrize(
    ("timing", "name"), [("modelled", "cycles.spread"), ("instructions", "instructions.spread")]
)
def test_counts_that_disagree_are_a_failure_where_the_target_counts_exactly(
    timing: str, name: str
) -> None:
    result = measurement(iteration(100), iteration(100), iteration(101), timing=timing)
    metric = judged(result)[name]
    assert (metric.value, metric.verdict) == (1, Verdict.MISMATCH)
    assert "took 100, 100, 101" in judge.explain(metric, result)


def test_equal_counts_pass_and_a_single_iteration_claims_nothing() -> None:
    assert judged(measurement(iteration(), iteration()))["cycles.spread"].verdict is Verdict.PASS
    assert "cycles.spread" not in judged(measurement())


def test_on_silicon_counts_may_vary_and_the_median_speaks() -> None:
    result = measurement(iteration(103), iteration(100), iteration(101), timing="silicon")
    metrics = judged(result)
    assert metrics["cycles.spread"].value == 3
    assert metrics["cycles.spread"].verdict is Verdict.PASS
    assert metrics["cycles"].value == 101
    assert metrics["cycles"].samples == (103, 100, 101)
    assert metrics["cycles.layer.stem"].value == 101


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_the_middle_iteration_is_one_that_was_measured(counts: list[int]) -> None:
    result = measurement(*map(iteration, counts), timing="silicon")
    assert sum(count < result.cycles for count in counts) <= len(counts) / 2
    assert sum(count > result.cycles for count in counts) <= len(counts) / 2
    assert result.cycles in counts


class Scripted:
    """A device whose runs give what the test says."""

    def __init__(self, *runs: tuple[int, Int8]) -> None:
        self._runs = list(runs)
        self._last = EXPECTED
        self.resends = 0
        self.line = None

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        assert seconds > 120
        assert what.startswith("inference ")
        yield

    def load_input(self, data: bytes) -> None:
        assert data == EXPECTED.tobytes()

    def run(self, *, per_layer: bool, work_s: float) -> Run:
        assert per_layer
        assert work_s > 30
        cycles, self._last = self._runs.pop(0)
        return Run(cycles, cycles, cycles, 0, ())

    def outputs(self) -> bytes:
        return self._last.tobytes()

    def memory(self) -> SimpleNamespace:
        return SimpleNamespace(stack_high_water_bytes=2_000)


def test_the_outputs_of_every_iteration_are_read_and_kept() -> None:
    good = measurement().prepared
    scenario = replace(good.scenario, iterations=2)
    prepared = replace(good, scenario=scenario)
    device = cast("Device", Scripted((100, wrong_at(5)), (100, EXPECTED)))
    result = measure(prepared, device, Stopwatch(), target=EmulatedTarget)
    assert judged(result)["output.mismatches"].verdict is Verdict.MISMATCH
    assert [one.cycles for one in result.iterations] == [100, 100]


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("output.sqnr.least", Limits(sqnr_least_db=20.5)),
        ("output.sqnr.mean", Limits(sqnr_mean_db=25.5)),
        ("output.clipped", Limits(clipped=0.005)),
    ],
)
def test_noise_and_clipping_beyond_their_limits_are_accuracy_failures(
    name: str, limits: Limits
) -> None:
    good = measurement()
    prepared = good.prepared
    strict = replace(prepared.scenario, limits=limits)
    metrics = judged(replace(good, prepared=replace(prepared, scenario=strict)))
    failed = {name for name, metric in metrics.items() if metric.verdict is not Verdict.PASS}
    assert failed == {name}
    assert metrics[name].verdict is Verdict.ACCURACY


def lasting(seconds: float) -> Prepared:
    """A scenario that is expected to run so long."""
    good = measurement().prepared
    cycles = int(seconds * good.board.clock_hz)
    schedule = SimpleNamespace(layers=range(3), streams=False, cycles=cycles)
    return replace(good, schedule=cast("Schedule", schedule))


@pytest.mark.parametrize(
    ("timing", "longest_s"), [("silicon", 5 + 3 * 2.0), ("modelled", 70.0), ("instructions", 70.0)]
)
def test_an_inference_has_the_time_that_its_cycles_should_take_with_a_margin(
    timing: str, longest_s: float
) -> None:
    prepared = lasting(2.0)
    assert longest_work_s(prepared, timing) == pytest.approx(longest_s)


@pytest.mark.parametrize(
    ("timing", "fixed_s", "margin"), [("silicon", 30, 3), ("modelled", 120, 20)]
)
def test_a_run_has_the_time_of_its_cycles_and_of_its_bytes_with_a_margin(
    timing: str, fixed_s: float, margin: float
) -> None:
    good = lasting(2.0)
    prepared = replace(good, board=replace(good.board, baud=9600))
    layers = len(prepared.schedule.layers)
    crossing = prepared.input.nbytes + prepared.expected.nbytes + 128 * layers
    expected_s = 2 + crossing * 10 / 9600
    assert longest_run_s(prepared, timing) == pytest.approx(fixed_s + margin * expected_s)
