"""How close the quantised program is to the float network: cosine, and noise layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.compiler import Compiled
from hil.compiler.program import Float32, Int8, Tensor
from hil.compiler.reference import trace


@dataclass(frozen=True)
class Quality:
    """Integer reference against float network.

    Attributes:
        cosine: of all outputs, by photograph.
        sqnr_db: signal-to-quantisation-noise ratio, 10 log10(power of the float map / power of the
            difference), over all photographs, by operator in the program's order.
    """

    cosine: dict[str, float]
    sqnr_db: dict[str, float]

    @property
    def least_cosine(self) -> float:
        """The worst photograph's."""
        return min(self.cosine.values())


def measure(compiled: Compiled, images: Mapping[str, Float32]) -> Quality:
    """Run both on images.

    Args:
        compiled: the network.
        images: preprocessed, (rows, columns, channels), by name.
    """
    program = compiled.program
    signal = dict.fromkeys((op.name for op in program.operators), 0.0)
    noise = dict(signal)
    cosines = {}
    for name, image in images.items():
        maps = trace(program, program.quantise_input(image))
        real = compiled.graph.activations([image])
        for operator in program.operators:
            exact = real[operator.output.name][0]
            signal[operator.name] += float(np.square(exact).sum())
            off = _dequantise(operator.output, maps[operator.output.name]) - exact
            noise[operator.name] += float(np.square(off).sum())
        outputs = program.output.tensors
        cosines[name] = cosine(
            np.concatenate([_dequantise(t, maps[t.name]).reshape(-1) for t in outputs]),
            np.concatenate([real[t.name].reshape(-1) for t in outputs]),
        )
    return Quality(cosines, {name: _decibels(signal[name], noise[name]) for name in signal})


def cosine(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Cosine of the angle between two vectors; 0 where one of them is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a.astype(np.float64) @ b.astype(np.float64)) / lengths if lengths else 0.0


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return np.inf
    return 10.0 * float(np.log10(signal / noise)) if signal else -np.inf


def _dequantise(tensor: Tensor, values: Int8) -> npt.NDArray[np.float64]:
    return (values.astype(np.float64) - tensor.zero_point) * tensor.scale
