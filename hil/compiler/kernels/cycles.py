"""What a kernel's work costs on a Cortex-M4: cycles of each kind of work.

A kernel counts its work by name (`Kernel.work`) and says what each kind of its own costs
(`Kernel.cycles`); so does a part that several kernels call (`Part`). `registry.COSTS` has all of
them. The sum of counts times cycles ranks schedules; it does not replace a measurement.
`hil bench kernels --fit` measures small layers on the emulated board and derives these again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Work: TypeAlias = Mapping[str, float]
"""How much of each kind of work, by the names of `registry.COSTS`."""


@dataclass(frozen=True)
class Cost:
    """Cycles of a kind of work, as a fit gives them or, with a reason, not.

    Attributes:
        of: what the cycles are of.
        fitted: what a fit of all kinds gives, where that is not taken; 0 where less than nothing.
        kept: why it is not taken.
    """

    cycles: float
    of: str
    fitted: float | None = None
    kept: str = ""


Costs: TypeAlias = Mapping[str, Cost]
"""By the name of the kind of work, which begins with what does it."""


@dataclass(frozen=True)
class Factor:
    """How many times the cycles some work takes in some place.

    Attributes:
        of: which cycles over which.
        measured: on the emulated board, on the layer that tests/test_bench_fit.py measures.
        kept: why that is not taken.
    """

    factor: float
    of: str
    measured: float
    kept: str


@dataclass(frozen=True)
class Part:
    """A C file of firmware/kernels that kernels call.

    Attributes:
        name: of the file, without ending.
        code_bytes: code and constants, as the compiler that makes most of the file makes it.
        cycles: what each kind of work of its own costs.
    """

    name: str
    code_bytes: int
    cycles: Costs = field(default_factory=dict)


FLASH: Costs = {
    "flash.word": Cost(0.443, "more for a word read in order from flash, for each wait state"),
    "flash.entry": Cost(0.773, "more for a word read from flash at random, for each wait state"),
}
"""What flash adds, whichever kernel reads it."""


def cycles_of(work: Work, cycles: Mapping[str, float]) -> float:
    """Return the cycles of some work.

    Args:
        work: how often each kind of work is done.
        cycles: what each kind costs, in cycles.
    """
    return sum(cycles[name] * count for name, count in work.items())


def times(factor: float, work: Work) -> dict[str, float]:
    """Return a work so many times.

    Args:
        factor: how many times.
        work: how often each kind of work is done.
    """
    return {name: factor * count for name, count in work.items()}


def add(*works: Work) -> dict[str, float]:
    """Return several pieces of work as one."""
    total: dict[str, float] = {}
    for work in works:
        for name, count in work.items():
            total[name] = total.get(name, 0.0) + count
    return total
