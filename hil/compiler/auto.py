"""The quantiser's options chosen by measurement, on the calibration photographs.

The network is quantised on every other photograph and measured on those between them, so that an
option that only learns the photographs by heart is not taken. An option stays if it brings the
outputs closer to the float network's by `LEAST_GAIN_DB` on average; one that costs memory or cycles
if the board has room for it too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hil.compiler.front.graph import Graph
from hil.compiler.integers.levels import Levels
from hil.compiler.integers.recipe import DEFAULT, FREE, TRIED, Recipe, with_options
from hil.compiler.operators.kind import INPUT, Float64
from hil.compiler.program import Program
from hil.compiler.quantise import quantise_on
from hil.compiler.reference import maps
from hil.compiler.similarity import sqnr_db
from hil.errors import BuildError

Room: TypeAlias = Callable[[Program, Program], str]
"""Says why the second program costs too much beside the first; nothing where it does not."""

LEAST_GAIN_DB = 0.05
_MOST_DB = 100.0  # of a map without an error


@dataclass(frozen=True)
class Tried:
    """What was measured of a set of options.

    Attributes:
        sqnr_db: of the result's maps, mean over maps and photographs; None where the last option
            is none for the network.
        kept: whether it was better than all before, and there was room.
        why: it was not kept although it may have been better.
    """

    options: tuple[str, ...]
    sqnr_db: float | None
    kept: bool
    why: str = ""


def choose(
    graph: Graph,
    activations: Mapping[str, Float64],
    *,
    name: str,
    input_range: tuple[float, float],
    options: Sequence[str] = TRIED,
    recipe: Recipe = DEFAULT,
    levels: Levels | None = None,
    room: Room | None = None,
) -> tuple[Recipe, tuple[Tried, ...]]:
    """Take the options that help, one after the other.

    Args:
        graph: the float network.
        activations: of calibration, as `graph.activations` gives them.
        name: of the program.
        input_range: as `quantise_on` takes it.
        options: to try, in this order.
        recipe: to begin with.
        levels: of photographs, as `quantise` takes them.
        room: asked before an option is kept that costs something; None to keep none of these.

    Returns:
        The recipe, and what was tried.
    """
    count = len(activations[INPUT])
    shown = {key: values[::2] for key, values in activations.items()}
    asked = range(1, count, 2) if count > 1 else range(count)

    def made(tried: Recipe) -> Program:
        return quantise_on(
            graph, shown, name=name, input_range=input_range, recipe=tried, levels=levels
        )

    def measured(program: Program) -> float:
        return float(np.mean([_closeness(program, activations, i) for i in asked]))

    usual = made(recipe)
    best = measured(usual)
    report = [Tried((), best, kept=True)]
    taken: list[str] = []
    for option in options:
        names = (*taken, option)
        if option not in FREE and room is None:
            continue
        try:
            program = made(with_options(names, recipe))
        except BuildError as error:
            report.append(Tried(names, None, kept=False, why=error.what))
            continue
        found = measured(program)
        better = found >= best + LEAST_GAIN_DB
        why = room(usual, program) if better and room and option not in FREE else ""
        report.append(Tried(names, found, better and not why, why))
        if report[-1].kept:
            taken.append(option)
            best = found
    return with_options(taken, recipe), tuple(report)


def _closeness(program: Program, activations: Mapping[str, Float64], image: int) -> float:
    """Mean SQNR of the result's maps on one image, in decibels."""
    computed = maps(program, program.input.quantise(activations[INPUT][image]))
    ratios = [
        sqnr_db(activations[t.name][image].reshape(-1), t.dequantise(computed[t.name]).reshape(-1))
        for t in program.output.tensors
    ]
    return float(np.mean(np.clip(ratios, -_MOST_DB, _MOST_DB)))
