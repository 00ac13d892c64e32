from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.build.image import Footprint, Image
from hil.build.toolchain import Toolchain
from hil.compiler.program import Output, Program, Tensor
from hil.config import board, scenario
from hil.errors import Verdict
from hil.results.rows import Metric
from hil.run import judge
from hil.run.measurement import CompiledScenario, LayerCycles, Measurement, Prepared

if TYPE_CHECKING:
    from hil.compiler.graph import Graph
    from hil.compiler.plan import Plan
    from hil.models import LoadedModel

EXPECTED = np.arange(-40, 40, dtype=np.int8)
MAP = Tensor("y", (4, 4, 5), scale=0.5, zero_point=0)
FOOTPRINT = Footprint(
    flash_code_bytes=10_000,
    flash_weights_bytes=60_000,
    arena_bytes=150_000,
    static_bytes=30_000,
    ccm_static_bytes=30_000,
    stack_reserved_bytes=4096,
)


def measurement(
    *, timing: str = "modelled", cycles: int = 168_000_000, waiting_cycles: int = 0
) -> Measurement:
    """A measurement in which everything is as it should be."""
    program = Program("face_m4", MAP, (), Output((MAP,)), parameters=7)
    compiled = CompiledScenario(
        scenario.load("face_m4"),
        board.load("stm32f439"),
        loaded=cast("LoadedModel", None),
        graph=cast("Graph", None),
        program=program,
        plan=cast("Plan", None),
    )
    prepared = Prepared(
        compiled,
        input=EXPECTED,
        expected=EXPECTED,
        float_outputs=program.dequantise_output(EXPECTED),
        toolchain=Toolchain("zig", "0.17.0", (), Path("zig")),
        image=Image(Path("face.elf"), b"id", (), (), FOOTPRINT),
    )
    return Measurement(
        prepared,
        target="emulator",
        timing=timing,
        outputs=EXPECTED,
        cycles=cycles,
        waiting_cycles=waiting_cycles,
        layers=(LayerCycles("stem", 691_200, cycles),),
        stack_bytes=2_000,
        resends=0,
        retries=0,
        seconds={"run": 1.5},
    )


def judged(result: Measurement) -> dict[str, Metric]:
    return {metric.name: metric for metric in judge.judge(result)}


def test_the_hosts_part_of_a_run_stands_beside_the_latency() -> None:
    metrics = judged(measurement(waiting_cycles=84_000_000))
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
    result = replace(measurement(), outputs=outputs)
    assert judged(result)["output.mismatches"].verdict is Verdict.MISMATCH
    assert judge.compare(outputs, EXPECTED) == judge.Mismatch(count=1, first=where, largest=by)


def test_missing_outputs_are_a_mismatch() -> None:
    mismatch = judge.compare(EXPECTED[:-3], EXPECTED)
    assert mismatch is not None
    assert mismatch.count == 3


def test_a_lossy_quantisation_is_an_accuracy_failure_and_no_mismatch() -> None:
    good = measurement()
    noise = np.where(np.arange(EXPECTED.size) % 2, 6, -6).astype(np.float32)
    prepared = replace(good.prepared, float_outputs=good.prepared.float_outputs + noise)
    metrics = judged(replace(good, prepared=prepared))
    assert metrics["output.cosine"].verdict is Verdict.ACCURACY
    assert metrics["output.mismatches"].verdict is Verdict.PASS


def test_a_slow_kernel_is_a_latency_failure() -> None:
    assert judged(measurement(cycles=1_755_600_001))["latency"].verdict is Verdict.LATENCY


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
    assert judge.cosine(zeros, zeros) == 0.0
