"""Accuracy of a classifier over many photographs, and what another loses against it."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64: TypeAlias = npt.NDArray[np.int64]
Float64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier is right.

    Attributes:
        confusion: (classes, classes): photographs by their label, then by the answer.
    """

    confusion: Int64

    @property
    def value(self) -> float:
        """Share of photographs whose label is answered, 0 to 1."""
        total = int(self.confusion.sum())
        return int(np.trace(self.confusion)) / total if total else 0.0


def measure(labels: Int64, answers: Int64, classes: int) -> Accuracy:
    """Count the answers of a classifier, right and wrong, by class.

    Args:
        labels: of the photographs, (photographs,).
        answers: to them, (photographs,).
        classes: how many there are.
    """
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    return Accuracy(confusion)


def drop_error(
    labels: Int64, first: Int64, second: Int64, samples: int = 200, seed: int = 0
) -> float:
    """Return the standard error of what the second classifier loses against the first.

    Args:
        labels: of the photographs, (photographs,).
        first: the first's answers, (photographs,).
        second: the second's, (photographs,).
        samples: of the photographs, with repetition, over which the loss is spread.
        seed: of the random numbers.
    """
    count = len(labels)
    loss = (first == labels).astype(np.float64) - (second == labels)
    drawn = np.random.default_rng(seed).integers(0, count, (samples, count))
    return float(loss[drawn].mean(axis=1).std(ddof=1))
