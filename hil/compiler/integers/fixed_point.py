"""Factors between scales as TensorFlow Lite writes them, and how it rounds by them.

Source: TensorFlow Lite, kernels/internal/quantization_util.cc (QuantizeMultiplier) and
kernels/internal/common.h (MultiplyByQuantizedMultiplier, without single rounding).
"""

import math
from dataclasses import dataclass

import numpy as np

from hil.compiler.integers.exact import Int64, rounded_shift
from hil.errors import BuildError

_ONE = 1 << 31
_LEAST_EXPONENT, _MOST_EXPONENT = -31, 31


@dataclass(frozen=True)
class FixedPoint:
    """multiplier * 2**(exponent - 31), the multiplier in 2**30 .. 2**31 - 1, or 0."""

    multiplier: int
    exponent: int

    @classmethod
    def of(cls, real: float) -> "FixedPoint":
        """Round a factor that is not negative.

        Raises:
            BuildError: it is so large that a sum of 1 leaves 32 bits.
        """
        if not real < 2.0**_MOST_EXPONENT:
            raise BuildError(
                f"a factor between scales is {real:g}, which no 32-bit number holds",
                hint="the scales of its input, weights and output do not belong together",
                stage="quantise",
            )
        mantissa, exponent = math.frexp(real)
        multiplier = math.floor(mantissa * _ONE + 0.5)
        if multiplier == _ONE:
            multiplier, exponent = _ONE // 2, exponent + 1
        if exponent < _LEAST_EXPONENT:
            return cls(0, 0)
        return cls(multiplier, exponent)

    def scaled(self, sums: Int64) -> Int64:
        """Scale sums, rounding twice: the product to whole numbers, then its shift to the right."""
        left, right = max(self.exponent, 0), max(-self.exponent, 0)
        product = ((sums << left) * np.int64(self.multiplier) + (_ONE >> 1)) >> 31
        return rounded_shift(product, right)

    def scaled_once(self, sums: Int64) -> Int64:
        """Scale sums, rounding once, halves upwards."""
        places = 31 - self.exponent
        if places > 62:
            return np.zeros_like(sums)
        return (sums * np.int64(self.multiplier) + (1 << places >> 1)) >> places
