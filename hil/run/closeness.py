"""How close the integers are to the float network on several photographs.

A cosine says little of few outputs: of two opposite logits it is their sign. Noise and clipping
show what it hides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hil.compiler.similarity import sqnr_db

if TYPE_CHECKING:
    from hil.compiler.program import Float32, Program, Tensor

MOST_DB = 100.0
"""Of a signal-to-quantisation-noise ratio; where nothing differs it would be infinite."""


@dataclass(frozen=True)
class Pair:
    """What both say of a photograph, (count,) each."""

    of_float: "Float32"
    of_integers: "Float32"


@dataclass(frozen=True)
class Closeness:
    """Integers against float on some photographs.

    Attributes:
        sqnr_db: of all outputs, by photograph: signal-to-quantisation-noise ratio.
        clipped: by map of the result, the share of the float network's values on all photographs
            that lie beyond what the map can hold.
    """

    sqnr_db: Mapping[str, float]
    clipped: Mapping[str, float]

    @property
    def least_sqnr_db(self) -> float:
        """The worst photograph's."""
        return min(self.sqnr_db.values())

    @property
    def mean_sqnr_db(self) -> float:
        """Of all photographs."""
        return sum(self.sqnr_db.values()) / len(self.sqnr_db)

    @property
    def most_clipped(self) -> float:
        """The worst map's share."""
        return max(self.clipped.values())


def of(program: "Program", pairs: Mapping[str, Pair]) -> Closeness:
    """Compare the outputs of some photographs, by name.

    Args:
        program: the quantised network.
        pairs: float and integer outputs, (count,), by the photograph's name.
    """
    noise = {name: sqnr_db(pair.of_float, pair.of_integers) for name, pair in pairs.items()}
    return Closeness(
        {name: float(np.clip(value, -MOST_DB, MOST_DB)) for name, value in noise.items()},
        _clipped(program, [pair.of_float for pair in pairs.values()]),
    )


def _clipped(program: "Program", outputs: "Iterable[Float32]") -> dict[str, float]:
    stacked = np.stack([*outputs]).astype(np.float64)
    shares, at = {}, 0
    for tensor in program.output.tensors:
        values = stacked[:, at : at + tensor.count]
        low, high = _holds(tensor)
        shares[tensor.name] = float(np.mean((values < low) | (values > high)))
        at += tensor.count
    return shares


def _holds(tensor: "Tensor") -> tuple[float, float]:
    """The least and the greatest value that is rounded to a level, rather than cut off."""
    levels = (tensor.least - 0.5 - tensor.zero_point, tensor.most + 0.5 - tensor.zero_point)
    low, high = (level * tensor.scale for level in levels)
    return low, high
