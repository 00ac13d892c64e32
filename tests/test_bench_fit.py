"""The cost model's cycles are those that a fit on measured layers gives."""

from pathlib import Path

import pytest

from hil.build import firmware
from hil.compiler.kernels.cycles import FLASH
from hil.compiler.kernels.registry import COSTS, CYCLES, KEPT, KERNELS, PARTS
from hil.config import board
from hil.studies.bench import fit
from hil.studies.bench.fit_cases import cases, plain_cases

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
