"""Noise and clipping of several photographs' outputs, which a cosine of few outputs hides."""

import numpy as np
import pytest

from hil.compiler.program import Output, Program, Tensor
from hil.compiler.similarity import cosine
from hil.config import scenario
from hil.run import closeness
from hil.run.closeness import MOST_DB, Pair
from hil.vision import photographs

LOGITS = Tensor("logits", (1, 1, 2), scale=0.0125, zero_point=0)  # to 1.59
MAP = Tensor("map", (1, 2, 2), scale=1.0, zero_point=-28)  # -100 to 155


def program(*tensors: Tensor) -> Program:
    return Program("made", LOGITS, (), Output(tensors))


def pair(of_float: list[float], of_integers: list[float]) -> Pair:
    return Pair(np.array(of_float, np.float32), np.array(of_integers, np.float32))


def test_logits_cut_off_at_a_fifth_have_a_cosine_of_1_and_hardly_any_signal() -> None:
    cut = pair([-7.9, 7.9], [-1.59, 1.59])
    close = closeness.of(program(LOGITS), {"person": cut})
    assert cosine(cut.of_float, cut.of_integers) == pytest.approx(1.0)
    assert close.least_sqnr_db == pytest.approx(20 * np.log10(7.9 / (7.9 - 1.59)), abs=0.01)
    assert close.most_clipped == 1.0


def test_the_worst_photograph_and_the_mean_are_told() -> None:
    close = closeness.of(
        program(LOGITS),
        {"good": pair([1.0, 0.0], [0.99, 0.0]), "bad": pair([1.0, 0.0], [0.9, 0.0])},
    )
    assert close.least_sqnr_db == pytest.approx(20.0, abs=1e-4)
    assert close.mean_sqnr_db == pytest.approx(30.0, abs=1e-3)
    assert close.most_clipped == 0.0


def test_the_map_that_is_clipped_most_is_told_over_all_photographs() -> None:
    close = closeness.of(
        program(LOGITS, MAP),
        {
            "one": pair([0.0, 0.0, -100.4, 155.4, 0.0, 0.0], [0.0] * 6),
            "other": pair([0.0, 0.0, -100.6, 155.6, 0.0, 0.0], [0.0] * 6),
        },
    )
    assert close.clipped == {"logits": 0.0, "map": 0.25}


@pytest.mark.parametrize(
    ("of_float", "of_integers", "decibels"), [(1.0, 1.0, MOST_DB), (0.0, 1.0, -MOST_DB)]
)
def test_a_ratio_that_would_be_infinite_stays_a_number(
    of_float: float, of_integers: float, decibels: float
) -> None:
    close = closeness.of(program(LOGITS), {"x": pair([of_float] * 2, [of_integers] * 2)})
    assert close.least_sqnr_db == decibels


def test_every_scenario_is_held_to_noise_and_clipping() -> None:
    for name in scenario.names():
        limits = scenario.load(name).limits
        assert None not in {limits.sqnr_least_db, limits.sqnr_mean_db, limits.clipped}, name


def test_photographs_that_runs_compare_on_are_none_of_calibrations() -> None:
    compared = set(photographs.comparison_set())
    assert compared < set(photographs.evaluation_set())
    assert not compared & set(photographs.calibration_set())
