"""How alike two vectors are."""

import math

import numpy as np
import numpy.typing as npt


def cosine(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Cosine of the angle between two vectors; 0 where one of them is zero.

    Products of float32 are exact in float64, and their sums are exact before they are rounded: so
    it is the same to the bit on every machine, whatever its BLAS does.

    Args:
        a: of any shape.
        b: of the same number of values.

    Returns:
        -1 to 1.
    """
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    lengths = math.sqrt(math.fsum(x * x)) * math.sqrt(math.fsum(y * y))
    return math.fsum(x * y) / lengths if lengths else 0.0


def sqnr_db(exact: npt.NDArray[np.floating], got: npt.NDArray[np.floating]) -> float:
    """Signal-to-quantisation-noise ratio: power of the exact values over that of the difference.

    Args:
        exact: of any shape.
        got: of the same shape.

    Returns:
        Decibels; infinite where nothing differs, minus infinity where the exact values are all 0.
    """
    x = exact.astype(np.float64).ravel()
    wrong = x - got.ravel()
    return decibels(math.fsum(x * x), math.fsum(wrong * wrong))


def decibels(signal: float, noise: float) -> float:
    """Write a ratio of two powers in decibels.

    Args:
        signal: a power.
        noise: a power.

    Returns:
        10 log10(signal / noise); infinite without noise.
    """
    if noise == 0.0:
        return np.inf
    return 10.0 * float(np.log10(signal / noise)) if signal else -np.inf
