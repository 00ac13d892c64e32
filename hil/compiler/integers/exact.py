"""Whole numbers as the Cortex-M4 computes them, in numpy.

Sums of products are taken in float64, which holds every integer up to 2**53 and so every 32-bit
accumulator exactly.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.compiler.program import Padding

Int64: TypeAlias = npt.NDArray[np.int64]
Whole: TypeAlias = npt.NDArray[np.float64]
"""Integers, held in float64."""

INT32_MOST = 2**31 - 1
INT16_MOST = 2**15 - 1


def smmulr(a: Int64, b: Int64) -> Int64:
    """Multiply 32-bit integers and keep the upper half of the product, rounded.

    Args:
        a: values within int32.
        b: values within int32, of a shape that fits.

    Returns:
        (a * b + 2**31) >> 32, as the instruction SMMULR computes it.
    """
    return (a * b + 2**31) >> 32


def rounded_shift(values: Int64, shift: int) -> Int64:
    """Divide by 2**shift and round to the nearest, halves away from 0.

    Args:
        values: of any shape.
        shift: bits, 0 and more.
    """
    if shift == 0:
        return values
    return (values + (1 << shift >> 1) - (values < 0)) >> shift


def windows(
    x: Whole,
    size: tuple[int, int],
    *,
    stride: int,
    padding: Padding,
    outputs: tuple[int, int],
    fill: float,
) -> list[tuple[int, int, Whole]]:
    """Find, for each place in a window, the pixels that the windows of a whole map meet there.

    Args:
        x: the map, (rows, columns, channels).
        size: of a window: rows, columns.
        stride: between windows, both ways.
        padding: around the map; what the last window meets beyond it is filled too.
        outputs: windows down and across.
        fill: value of the pixels outside the map.

    Returns:
        Row and column in the window, and pixels (windows down, windows across, channels).
    """
    (rows, columns), (window_rows, window_columns) = outputs, size
    bottom = (rows - 1) * stride + window_rows - padding.top - x.shape[0]
    right = (columns - 1) * stride + window_columns - padding.left - x.shape[1]
    edges = ((padding.top, max(0, bottom)), (padding.left, max(0, right)), (0, 0))
    padded = np.pad(x, edges, constant_values=fill)
    down, across = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    return [
        (i, j, padded[i : i + down : stride, j : j + across : stride])
        for i in range(window_rows)
        for j in range(window_columns)
    ]
