"""Programs that others wrote and timed on an STM32F407: their published cycles, builds and runs."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.studies.timing_validation.compare import Comparison
from hil.studies.timing_validation.core import CoreRun

if TYPE_CHECKING:
    from hil.targets.emulator.timing import Rules

CACHES_ON = 0x600
"""FLASH_ACR: both caches and no wait states, without which nothing is prefetched."""

_TABLE = Path(__file__).with_name("silicon.csv")


@dataclass(frozen=True)
class Figure:
    """A published figure: a row of silicon.csv.

    Attributes:
        suite, program, step: what was timed.
        cycles: on silicon; a fraction where the authors give a mean.
        looked_at: "run" when the program was run to choose the rules; "known" when no more than
            its ratio by the rules before these was known to those who chose them.
    """

    suite: str
    program: str
    step: str
    cycles: float
    looked_at: str

    @property
    def name(self) -> str:
        """Of the figure, for people."""
        return f"{self.program} {self.step}"


@dataclass(frozen=True)
class Program:
    """One to build and to run.

    Attributes:
        figures: one for each stretch between two marks.
        marks: symbols where the run stops.
        build: writes the program to a path.
        repeats: how often a stretch does what its figure counts once.
    """

    figures: tuple[Figure, ...]
    marks: tuple[str, ...]
    build: Callable[[Path], object]
    repeats: Mapping[str, int]


@cache
def figures(suite: str) -> tuple[Figure, ...]:
    """Return a suite's published figures, in the table's order."""
    with _TABLE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["suite"] == suite]
    return tuple(
        Figure(suite, r["program"], r["step"], float(r["cycles"]), r["looked_at"]) for r in rows
    )


def of_program(suite: str, program: str) -> tuple[Figure, ...]:
    """Return a program's figures. Raises KeyError without any.

    Args:
        suite: of the evidence, such as "pqm4".
        program: as the evidence names it.
    """
    found = tuple(f for f in figures(suite) if f.program == program)
    if not found:
        raise KeyError(program)
    return found


def programs(suite: str) -> tuple[str, ...]:
    """Return the names of a suite's programs, in the table's order."""
    return tuple(dict.fromkeys(f.program for f in figures(suite)))


def compare(
    program: Program, board: Board, scratch: Path, rules: "Rules | None" = None
) -> Iterator[Comparison]:
    """Build a program, run it and compare its figures.

    Args:
        program: which.
        board: whose memory.
        scratch: a folder; what was built there before is taken.
        rules: other than those that figures are published with.

    Raises:
        BuildError: it does not compile.
    """
    first = program.figures[0]
    elf = scratch / f"{first.suite}-{first.program.replace('/', '-')}.elf"
    if not elf.exists():
        program.build(elf)
    marks = CoreRun(elf, board, acr=CACHES_ON, rules=rules).reach(program.marks)
    stretches = list(pairwise(marks))[:: 1 if len(marks) == len(program.figures) + 1 else 2]
    for figure, (before, after) in zip(program.figures, stretches, strict=True):
        cycles = (after.cycles - before.cycles) / program.repeats.get(figure.step, 1)
        yield Comparison(figure.suite, figure.name, cycles, figure.cycles, figure.looked_at)
