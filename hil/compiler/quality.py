"""How close the quantised program is to the float network: cosine, and noise layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.compiler import Compiled
from hil.compiler.front.graph import Graph
from hil.compiler.operators.kind import Float64, Kept
from hil.compiler.program import Float32, Program, Quantised, Tensor
from hil.compiler.reference import maps as maps_of
from hil.compiler.similarity import cosine, decibels, sqnr_db


@dataclass(frozen=True)
class Quality:
    """Integer reference against float network.

    Attributes:
        cosine: of all outputs, by photograph.
        outputs_sqnr_db: likewise, signal-to-quantisation-noise ratio: 10 log10(power of the float
            outputs / power of the difference).
        map_cosine: the least of any photograph, by output map.
        sqnr_db: that of an operator's output over all photographs, in the program's order.
        rounding_db: the same of the float map when it alone is rounded to the operator's int8
            output: what wider outputs could mend at most.
    """

    cosine: dict[str, float]
    outputs_sqnr_db: dict[str, float]
    map_cosine: dict[str, float]
    sqnr_db: dict[str, float]
    rounding_db: dict[str, float]

    @property
    def least_cosine(self) -> float:
        """The worst photograph's."""
        return min(self.cosine.values())

    @property
    def mean_cosine(self) -> float:
        """Of all photographs."""
        return sum(self.cosine.values()) / len(self.cosine)

    @property
    def least_sqnr_db(self) -> float:
        """The worst photograph's."""
        return min(self.outputs_sqnr_db.values())

    @property
    def mean_sqnr_db(self) -> float:
        """Of all photographs."""
        return sum(self.outputs_sqnr_db.values()) / len(self.outputs_sqnr_db)


@dataclass(frozen=True)
class Candidate:
    """A program to measure, and what is kept of its cells' states: see `reference.maps`."""

    program: Program
    kept: Kept | None = None


def measure(compiled: Compiled, images: Mapping[str, Float32]) -> Quality:
    """Run both on images.

    Args:
        compiled: the network.
        images: preprocessed, (rows, columns, channels), by name.
    """
    return measure_all(compiled.graph, [Candidate(compiled.program)], images, _untold)[0]


def measure_all(
    graph: Graph,
    candidates: Sequence[Candidate],
    images: Mapping[str, Float32],
    begin: Callable[[str], None],
) -> list[Quality]:
    """Run several programs of one network beside it.

    Args:
        graph: the float network.
        candidates: its programs.
        images: preprocessed, (rows, columns, channels), by name.
        begin: told each image's name before it is run.
    """
    tallies = [_Tally(candidate) for candidate in candidates]
    for name, image in images.items():
        begin(name)
        real = graph.activations([image])
        for tally in tallies:
            tally.add(name, image, real)
    return [tally.quality() for tally in tallies]


def _untold(name: str) -> None:
    del name


@dataclass
class _Powers:
    """Sums of squares, over photographs, of an operator's output and of two differences."""

    signal: float = 0.0
    noise: float = 0.0
    rounding: float = 0.0


@dataclass
class _Tally:
    candidate: Candidate
    cosine: dict[str, float] = field(default_factory=dict)
    outputs_sqnr_db: dict[str, float] = field(default_factory=dict)
    map_cosine: dict[str, float] = field(default_factory=dict)
    powers: dict[str, _Powers] = field(default_factory=dict)

    def add(self, name: str, image: Float32, real: Mapping[str, Float64]) -> None:
        """Run the program on an image whose float activations are these."""
        program = self.candidate.program
        maps = maps_of(program, program.quantise_input(image), self.candidate.kept)
        for operator in program.operators:
            tensor = operator.output
            exact = real[tensor.name][0]
            powers = self.powers.setdefault(operator.name, _Powers())
            powers.signal += float(np.square(exact).sum())
            powers.noise += _power_of_difference(tensor, maps[tensor.name], exact)
            powers.rounding += _power_of_difference(tensor, tensor.quantise(exact), exact)
        pairs = [
            (t.name, t.dequantise(maps[t.name]).reshape(-1), real[t.name].reshape(-1))
            for t in program.output.tensors
        ]
        for output, got, exact in pairs:
            self.map_cosine[output] = min(self.map_cosine.get(output, 1.0), cosine(got, exact))
        all_got = np.concatenate([got for _, got, _ in pairs])
        all_exact = np.concatenate([exact for _, _, exact in pairs])
        self.cosine[name] = cosine(all_got, all_exact)
        self.outputs_sqnr_db[name] = sqnr_db(all_exact, all_got)

    def quality(self) -> Quality:
        return Quality(
            cosine=self.cosine,
            outputs_sqnr_db=self.outputs_sqnr_db,
            map_cosine=self.map_cosine,
            sqnr_db={n: decibels(p.signal, p.noise) for n, p in self.powers.items()},
            rounding_db={n: decibels(p.signal, p.rounding) for n, p in self.powers.items()},
        )


def _power_of_difference(tensor: Tensor, values: Quantised, exact: Float64) -> float:
    return float(np.square(tensor.dequantise(values) - exact).sum())
