"""Limits of closeness hold for other weights and photographs than those that a scenario names."""

from dataclasses import replace

import pytest

from hil.compiler.similarity import cosine
from hil.config import board, scenario
from hil.config.scenario import Scenario
from hil.run import closeness, compiled
from hil.run.closeness import Closeness, Pair
from hil.vision import photographs

SEEDS = (2, 4)  # of 0 to 5, those on which most networks lose most
SEEDED = [name for name in scenario.names() if scenario.load(name).checkpoint is None]


def compared(chosen: Scenario) -> tuple[dict[str, Pair], Closeness]:
    quantised = compiled.quantise_scenario(chosen, board.load("stm32f439"))
    pairs = {}
    for name in photographs.evaluation_set():
        _, integers, real = compiled.answers(quantised, photographs.read(name))
        pairs[name] = Pair(real, quantised.program.dequantise_output(integers))
    return pairs, closeness.of(quantised.program, pairs)


def beyond(chosen: Scenario) -> list[str]:
    """The limits that do not hold on nine photographs."""
    limits = chosen.limits
    pairs, close = compared(chosen)
    alike = {name: cosine(pair.of_integers, pair.of_float) for name, pair in pairs.items()}
    worst = min(alike, key=alike.__getitem__)
    held = {
        f"cosine {alike[worst]:.4f} on {worst}": alike[worst] >= (limits.cosine or -1),
        f"least {close.least_sqnr_db:.1f} dB": close.least_sqnr_db >= (limits.sqnr_least_db or 0),
        f"mean {close.mean_sqnr_db:.1f} dB": close.mean_sqnr_db >= (limits.sqnr_mean_db or 0),
        f"clipped {close.most_clipped:.3f}": close.most_clipped <= (limits.clipped or 1),
    }
    return [what for what, holds in held.items() if not holds]


@pytest.mark.parametrize("seed", [6])
def test_limits_of_a_small_network_hold_with_other_seeds(seed: int) -> None:
    assert beyond(replace(scenario.load("densenet_small"), seed=seed)) == []


def test_a_limit_that_does_not_hold_is_named() -> None:
    chosen = scenario.load("densenet_small")
    strict = replace(chosen.limits, cosine=1.0, sqnr_least_db=90.0)
    cosine_, least = beyond(replace(chosen, limits=strict))
    assert cosine_.startswith("cosine 0.99")
    assert least.startswith("least 3")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SEEDED)
def test_limits_hold_with_other_seeds(name: str, seed: int) -> None:
    assert beyond(replace(scenario.load(name), seed=seed)) == []
