"""Integers whose rounding is that of TensorFlow Lite's reference kernels, as far as it can be.

There a sum is multiplied by a fixed-point number of 31 bits and rounded twice, but for fully
connected layers, which round once; here it is shifted
to the left, nudged, multiplied and rounded once. Both are steps: an output level is reached at a
least sum. Two arithmetics are equal where all these least sums are. So a multiplier and a nudge are
sought with which they are, and the steps that still differ are counted: at each of them one sum, or
two, get the level beside.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.compiler.integers.exact import INT32_MOST, Int64
from hil.compiler.integers.fixed_point import FixedPoint
from hil.errors import BuildError

MOST_SHIFT = 7
_TRIED = np.arange(-2, 3)  # multipliers beside the nearest one
_AROUND = np.arange(-3, 4)  # sums beside the one where a step is expected
_UNREACHED = 1 << 40


@dataclass(frozen=True, eq=False)
class Requantisation:
    """How a layer's sums become levels: smmulr((sum << shift) + nudge, multiplier).

    Attributes:
        multiplier, nudge: int64, (channels,); a nudge may hold whole units of the sum too.
        steps: levels that sums of the layer can reach, over all channels.
        missed: steps that another least sum has than in TensorFlow Lite.
    """

    multiplier: Int64
    nudge: Int64
    shift: int
    steps: int
    missed: int


def requantisation(
    name: str,
    factors: npt.NDArray[np.float64],
    levels: tuple[int, int],
    span: tuple[Int64, Int64],
    *,
    twice: bool = True,
) -> Requantisation:
    """Choose them for a layer.

    Args:
        name: of the layer, for errors.
        factors: (channels,), from a unit of the sum to one of the output.
        levels: the least and the greatest level, the output's zero point taken off.
        span: (channels,) each, the least and the greatest sum that there can be.
        twice: whether TensorFlow Lite rounds the layer's sums twice, or once.

    Raises:
        BuildError: a sum would not fit 32 bits.
    """
    fixed = [FixedPoint.of(float(factor)) for factor in factors]
    wanted = np.arange(levels[0] + 1, levels[1] + 1)
    least = np.stack([_least_sums(one, wanted, twice=twice) for one in fixed])
    reached = (span[0][:, None] < least) & (least <= span[1][:, None])
    reach = int(np.maximum(-span[0], span[1]).max())
    best: Requantisation | None = None
    for shift in range(MOST_SHIFT + 1):
        if (reach + 2) << shift > INT32_MOST:
            break
        found = _at(shift, fixed, wanted, least, reached)
        if found is not None and (best is None or found.missed < best.missed):
            best = found
        if best is not None and best.missed == 0:
            break
    if best is None:
        raise BuildError(
            f"{name}: its sums can reach {reach:,}, or its scales are too far apart",
            hint="the scales of its input, weights and output do not belong together",
            stage="quantise",
        )
    return best


def constant_levels(
    factors: npt.NDArray[np.float64],
    levels: tuple[int, int],
    span: tuple[Int64, Int64],
    *,
    twice: bool = True,
) -> dict[int, int]:
    """Find the channels whose every sum gives one level, and the level.

    A converter gives a channel without weights a scale near zero, and with it a bias that leaves
    no bit for a shift.

    Args:
        factors: of each channel, from sums to levels.
        levels: the least and the greatest level of the output.
        span: the least and the greatest sum of each channel.
        twice: whether the sum is doubled first, as the kernels do.

    Returns:
        the level by channel, of the constant ones alone.
    """
    found = {}
    for channel, factor in enumerate(factors):
        fixed = FixedPoint.of(float(factor))
        scaled = fixed.scaled if twice else fixed.scaled_once
        ends = scaled(np.array([span[0][channel], span[1][channel]], np.int64)).clip(*levels)
        if ends[0] == ends[1]:
            found[channel] = int(ends[0])
    return found


def _least_sums(fixed: FixedPoint, wanted: Int64, *, twice: bool) -> Int64:
    """The least sum that reaches each level there."""
    if fixed.multiplier == 0:
        return np.where(wanted <= 0, -_UNREACHED, _UNREACHED).astype(np.int64)
    factor = fixed.multiplier * 2.0 ** (fixed.exponent - 31)
    near = np.floor((wanted - 0.5) / factor).clip(-_UNREACHED, _UNREACHED).astype(np.int64)
    sums = near[:, None] + _AROUND
    is_near = np.abs(near) < 1 << 31
    scaled = fixed.scaled if twice else fixed.scaled_once
    levels = scaled(np.where(is_near[:, None], sums, 0))
    first = (levels < wanted[:, None]).sum(axis=1)
    found: Int64 = np.where(is_near, near + _AROUND[0] + first, near)
    return found


def _at(
    shift: int, fixed: list[FixedPoint], wanted: Int64, least: Int64, reached: npt.NDArray[np.bool_]
) -> Requantisation | None:
    multipliers, nudges, missed = [], [], 0
    for one, sums, there in zip(fixed, least, reached, strict=True):
        nearest = round(one.multiplier * 2.0 ** (one.exponent + 1 - shift))
        if nearest > INT32_MOST:
            return None
        if nearest == 0 or not there.any():
            multipliers.append(min(nearest, INT32_MOST))
            nudges.append(0)
            continue
        tried = [m for m in nearest + _TRIED if 0 < m <= INT32_MOST]
        count, multiplier, nudge = max(
            (*_best_nudge(int(m), shift, wanted[there], sums[there]), -abs(int(m) - nearest))
            for m in tried
        )[:3]
        multipliers.append(multiplier)
        nudges.append(nudge)
        missed += int(there.sum()) - count
    return Requantisation(
        np.array(multipliers, np.int64), np.array(nudges, np.int64), shift, int(reached.sum()),
        missed,
    )  # fmt: skip


def _best_nudge(multiplier: int, shift: int, wanted: Int64, sums: Int64) -> tuple[int, int, int]:
    """Count the steps that the best nudge gives at the same sums; return it too.

    A step of ours is at the least sum a with (a << shift) + nudge >= b, b being the least number
    whose product reaches the level. It is at `sums` for nudges from b - (sums << shift) on, for
    2**shift of them.
    """
    bounds = -((-((wanted << 32) - (1 << 31))) // multiplier)
    first = np.sort(bounds - (sums << shift))
    within = np.arange(1, len(first) + 1) - np.searchsorted(first, first - (1 << shift) + 1)
    best = int(within.argmax())
    return int(within[best]), multiplier, int(first[best])
