"""How far two vectors of outputs are apart."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Whole: TypeAlias = npt.NDArray[np.int8 | np.int16]


@dataclass(frozen=True)
class Mismatch:
    """Where the firmware's outputs part from the integer reference.

    Attributes:
        count: how many outputs differ. first: index of the first. largest: greatest difference.
    """

    count: int
    first: int
    largest: int

    def __str__(self) -> str:
        return (
            f"{self.count} outputs differ from the integer reference, "
            f"the first at {self.first}, by up to {self.largest}"
        )


def compare(outputs: Whole, expected: Whole) -> Mismatch | None:
    """Compare outputs to the bit, (count,) each; None when they are equal.

    Args:
        outputs: of the board.
        expected: the integer reference's.
    """
    if outputs.shape != expected.shape:
        missing = abs(expected.size - outputs.size)
        return Mismatch(count=missing, first=min(outputs.size, expected.size), largest=255)
    difference = np.abs(outputs.astype(np.int32) - expected.astype(np.int32))
    wrong = np.flatnonzero(difference)
    if wrong.size == 0:
        return None
    return Mismatch(count=int(wrong.size), first=int(wrong[0]), largest=int(difference.max()))


def differing(outputs: Whole, expected: Whole) -> int:
    """Count the outputs that differ, (count,) each.

    Args:
        outputs: of the board.
        expected: the integer reference's.
    """
    mismatch = compare(outputs, expected)
    return mismatch.count if mismatch else 0
