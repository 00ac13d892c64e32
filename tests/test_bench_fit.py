"""The cost model's cycles are those that a fit on measured layers gives."""

from functools import partial
from pathlib import Path

import pytest
from torch import nn

from hil.build import firmware
from hil.compiler.kernels.cycles import FLASH
from hil.compiler.kernels.kernel import Choices
from hil.compiler.kernels.product import TWO_MEMORIES
from hil.compiler.kernels.registry import COSTS, CYCLES, KEPT, KERNELS, PARTS
from hil.compiler.kernels.streamed_block import BLOCK_IN_TWO_MEMORIES
from hil.compiler.plan import Budget, place
from hil.config import board
from hil.models.blocks import MBConv
from hil.studies.bench import fit, fit_cases
from hil.studies.bench.fit_cases import cases, plain_cases
from hil.studies.bench.kernels import measure, quantise

pytestmark = pytest.mark.slow


RECORD = Path(__file__).parent / "fit_layers.csv"
"""Every layer of `cases`, as `hil bench kernels --fit --csv tests/fit_layers.csv` measures it."""

AGAIN = "hil bench kernels --fit --csv tests/fit_layers.csv measures again; state what it prints"


@pytest.fixture(scope="module")
def recorded() -> list[fit.Layer]:
    return fit.read_csv(RECORD)


@pytest.fixture(scope="module")
def measured() -> list[fit.Layer]:
    return fit.layers(plain_cases(), board.load("stm32f439"), firmware.find_toolchain("zig"))


def test_a_fit_of_the_recorded_layers_gives_the_committed_cycles(recorded: list[fit.Layer]) -> None:
    committed = {name: cycles for name, cycles in CYCLES.items() if name not in KEPT}
    assert fit.fit(recorded, KEPT) == committed, AGAIN


def test_what_is_kept_says_what_a_fit_gives_and_why_it_is_not_taken(
    recorded: list[fit.Layer],
) -> None:
    fitted = fit.fit(recorded)
    kept = {name: cost for name, cost in COSTS.items() if cost.kept or cost.fitted is not None}
    assert set(kept) == set(KEPT)
    assert {name: cost.fitted for name, cost in kept.items()} == {
        name: fitted.get(name, 0.0) for name in KEPT
    }, AGAIN
    assert all(cost.cycles != cost.fitted for cost in kept.values())


def test_the_record_holds_every_case_and_every_kind_of_work(recorded: list[fit.Layer]) -> None:
    named = {layer.name.partition(": ")[0] for layer in recorded}
    assert named == {case.name for case in cases()}, AGAIN
    assert {name for layer in recorded for name in layer.work} == set(CYCLES)


def test_layers_take_the_cycles_and_count_the_work_that_are_recorded(
    measured: list[fit.Layer], recorded: list[fit.Layer]
) -> None:
    known = {layer.name: layer for layer in recorded}
    assert {layer.name: layer for layer in measured} == {
        layer.name: known[layer.name] for layer in measured
    }, AGAIN


def test_a_record_is_read_as_it_was_written(recorded: list[fit.Layer], tmp_path: Path) -> None:
    fit.write_csv(recorded, tmp_path / "again.csv")
    assert fit.read_csv(tmp_path / "again.csv") == recorded
    assert (tmp_path / "again.csv").read_bytes() == RECORD.read_bytes()


def test_estimates_of_measured_layers_are_near(measured: list[fit.Layer]) -> None:
    worst = fit.errors(measured)
    print(", ".join(f"{kernel} {error:+.0%}" for kernel, error in worst.items()))
    assert all(abs(error) <= 0.6 for error in worst.values())
    assert fit.error_table(measured, CYCLES).row_count == len(worst)
    assert fit.table(measured, CYCLES).row_count == len(CYCLES)


def test_a_fit_finds_the_cycles_that_layers_were_made_of() -> None:
    works = [{"scale.value": 100, "flash.word": 7}, {"scale.value": 50, "flash.word": 90}]
    known = {"scale.value": 6.25, "flash.word": 0.5}
    made = [
        fit.Layer("made", "scale", work, round(sum(known[n] * c for n, c in work.items()) * 1000))
        for work in works
    ]
    thousands = [
        fit.Layer(m.name, m.kernel, {n: 1000 * c for n, c in m.work.items()}, m.cycles)
        for m in made
    ]
    assert fit.fit(thousands) == known


def test_work_that_would_cost_less_than_nothing_costs_nothing() -> None:
    layers = [
        fit.Layer("one", "scale", {"scale.value": 100}, 1000),
        fit.Layer("both", "scale", {"scale.value": 100, "flash.word": 10}, 900),
    ]
    assert set(fit.fit(layers)) == {"scale.value"}


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)


def test_every_kind_of_work_is_stated_once_where_it_is_done() -> None:
    stated = [(kernel.name, name) for kernel in KERNELS for name in kernel.cycles]
    stated += [(part.name, name) for part in PARTS for name in part.cycles]
    own = {"product": "matmul", "widen": "matmul"}
    for file, name in stated:
        does = name.partition(".")[0]
        assert own.get(does, does) == file, name
    names = [name for _, name in stated]
    assert len(names) == len(set(names))
    assert set(CYCLES) - set(names) == set(FLASH)


def test_factors_of_two_memories_say_what_is_measured() -> None:
    """A convolution and a block, with all in one memory and with the weights in another."""
    chip, zig = board.load("stm32f439"), firmware.find_toolchain("zig")
    branches = (partial(nn.Conv2d, 16, 48, 1), partial(MBConv, 16, 24, expansion=3))
    case = fit_cases.Case("two memories", (16, 20, 16), branches)
    program = quantise(case.name, case.shape, case.network())
    cycles, regions = [], []
    for ccm_bytes in (None, 2050):
        plan = place(program, Budget.of(chip), Choices(ccm_bytes=ccm_bytes))
        where = [{s.name: s.region for s in step.scratch} for step in plan.steps]
        regions.append([where[0]["copy"] == where[0]["window"], where[1]["weights"] == "ccm"])
        cycles.append([layer.cycles for layer in measure("", program, plan, chip, zig).layers])
    assert regions == [[True, True], [False, False]]
    ratios = [round(apart / together, 2) for together, apart in zip(*cycles, strict=True)]
    assert ratios == [TWO_MEMORIES.measured, BLOCK_IN_TWO_MEMORIES.measured]
