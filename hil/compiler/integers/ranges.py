"""Ranges of real values with the least quantisation error, and factors between scales."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.compiler.integers.exact import INT32_MOST
from hil.compiler.integers.recipe import Recipe
from hil.errors import BuildError

Reals: TypeAlias = npt.NDArray[np.floating]

_SAMPLES = 100_000  # of a map; more change no figure in docs/quantisation.md
_SHRINKS = np.linspace(1.0, 0.4, 25)
_MOST_SHIFT = 30


@dataclass(frozen=True)
class Affine:
    """real = scale * (q - zero_point), q of so many bits."""

    scale: float
    zero_point: int
    bits: int = 8

    def quantise(self, real: float) -> int:
        """Round to the nearest level, saturating."""
        return _saturated(np.rint(real / self.scale) + self.zero_point, self.bits)


def affine(low: float, high: float, bits: int = 8) -> Affine:
    """Spread all levels over a range; it is widened to hold 0, which gets a level of its own.

    Args:
        low: the least real value.
        high: the greatest.
        bits: of a level.

    Returns:
        scale and zero point.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    levels = (1 << bits) - 1
    scale = (high - low) / levels or 1.0 / levels
    return Affine(float(scale), _saturated(np.rint(-(1 << bits - 1) - low / scale), bits), bits)


def _saturated(level: float, bits: int) -> int:
    return int(np.clip(level, -(1 << bits - 1), (1 << bits - 1) - 1))


def chosen_affine(values: Reals, recipe: Recipe, felt: Reals | None = None) -> Affine:
    """Choose a map's range, from its values in calibration, in the way that is asked for.

    Args:
        values: of any shape.
        recipe: how.
        felt: of the values' shape, how much a squared error of each weighs; None for alike.
    """
    match recipe.ranges:
        case "least error" | "task":
            return best_affine(values, felt)
        case "whole":
            return affine(float(values.min()), float(values.max()))
        case "percentile":
            tails = [100.0 - recipe.percentile, recipe.percentile]
            low, high = np.percentile(values.reshape(-1)[_sampled(values)], tails)
            return affine(float(low), float(high))


def best_affine(values: Reals, felt: Reals | None = None) -> Affine:
    """Choose the range that gives the least mean squared error on these values.

    Clipping a few far values makes all others finer; the search shrinks the range of all values in
    25 steps to 0.4 of it.

    Args:
        values: of any shape.
        felt: of the same shape, how much a squared error of each weighs; None for alike.
    """
    at = _sampled(values)
    sample = values.reshape(-1)[at]
    weight = None if felt is None else felt.reshape(-1)[at]
    low, high = float(sample.min()), float(sample.max())
    candidates = [affine(low * shrink, high * shrink) for shrink in _SHRINKS]
    return min(candidates, key=lambda candidate: _error(sample, candidate, weight))


def multiplier_and_shift(factors: Reals) -> tuple[npt.NDArray[np.int32], int]:
    """Write positive factors as multiplier * 2**shift / 2**32, with the least shift for all.

    Returns:
        Multipliers, int32, and the shift.

    Raises:
        BuildError: a factor is no number, or beyond 32 bits.
    """
    if not float(factors.max()) < 2.0**_MOST_SHIFT:
        raise BuildError(
            f"two scales are {float(factors.max()):.3g} apart, more than 2**{_MOST_SHIFT}",
            hint="the weights are far larger than what they give in calibration needs",
            stage="quantise",
        )
    shift = 0
    while np.rint(factors.max() * 2.0 ** (32 - shift)) > INT32_MOST:
        shift += 1
    return np.rint(factors * 2.0 ** (32 - shift)).astype(np.int32), shift


def check_sums(name: str, sums: npt.NDArray[np.number], shift: int) -> None:
    """Prove that no input whatever overflows an accumulator.

    Args:
        name: of the operator.
        sums: the greatest magnitudes that its accumulators can reach.
        shift: by which they are scaled up.

    Raises:
        BuildError: one can.
    """
    most = int(sums.max()) << shift
    if most > INT32_MOST:
        raise BuildError(
            f"{name}: its sums can reach {most}, beyond 32 bits",
            hint="its output varies far less in calibration than its weights let it",
            stage="quantise",
        )


def _sampled(values: Reals) -> npt.NDArray[np.int64]:
    """Choose places in the flattened values, those of the least and the greatest among them."""
    flat = values.reshape(-1)
    # A prime stride, so that no channel is left out of an interleaved map.
    stride = max(1, flat.size // _SAMPLES)
    while stride > 1 and any(stride % p == 0 for p in (2, 3, 5, 7)):
        stride += 1
    return np.concatenate([np.arange(0, flat.size, stride), [flat.argmin(), flat.argmax()]])


def _error(values: Reals, candidate: Affine, weight: Reals | None) -> float:
    levels = np.clip(np.rint(values / candidate.scale) + candidate.zero_point, -128, 127)
    difference = (levels - candidate.zero_point) * candidate.scale - values
    squares = np.square(difference)
    return float((squares if weight is None else squares * weight).mean())
