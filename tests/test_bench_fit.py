"""The cost model's cycles are those that a fit on measured layers gives."""

import pytest

from hil.build import firmware
from hil.compiler.kernels.cycles import CYCLES, KEPT
from hil.compiler.kernels.registry import KERNELS
from hil.config import board
from hil.studies.bench import fit
from hil.studies.bench.fit_cases import cases, plain_cases

BY_THEMSELVES = ("lookup.", "maxout.", "l2norm.", "pool2d.", "conv2d.", "inverted_residual.")
"""Work that no layer of another case holds, so that a fit of the plain cases gives the same."""


@pytest.fixture(scope="module")
def measured() -> list[fit.Layer]:
    return fit.layers(plain_cases(), board.load("stm32f439"), firmware.find_toolchain("zig"))


def test_a_fit_on_the_plain_cases_gives_the_committed_cycles(measured: list[fit.Layer]) -> None:
    fitted = fit.fit(measured, KEPT)
    names = {name for name in CYCLES if name.startswith(BY_THEMSELVES)} - set(KEPT)
    assert names <= set(fitted)
    assert {name: fitted[name] for name in names} == {name: CYCLES[name] for name in names}


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


def test_every_kind_of_work_belongs_to_a_kernel_or_a_part_of_one() -> None:
    parts = {part for kernel in KERNELS for part in (kernel.name, *kernel.parts)}
    known = parts | {"product", "widen", "flash", "depthwise", "stem"}
    assert {name.partition(".")[0] for name in CYCLES} <= known
