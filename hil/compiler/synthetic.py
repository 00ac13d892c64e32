"""A program without calibration, to plan memory with: the one quantiser on made-up activations.

Shapes, operators, the zeros of sparse cells and so the plan are those of a program calibrated on
photographs; scales and results mean nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hil.compiler import operators
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.integers.recipe import PLANNED, Recipe, with_options
from hil.compiler.operators.kind import INPUT, Float64
from hil.compiler.program import Program, Shape
from hil.compiler.quantise import quantise_on
from hil.models import LoadedModel
from hil.models.seeded import initialise
from hil.models.threads import one_thread

_MOST_PIXELS = 32  # a side of a made-up map: enough for a range, unless an operator reads more
_QUICK = Recipe(ranges="whole", rounding="nearest")  # neither choice changes what is planned


def synthetic_program(
    structure: LoadedModel, seed: int = 0, options: Sequence[str] = ()
) -> Program:
    """Quantise a network on nothing but its shape.

    Args:
        structure: the network; its weights are overwritten.
        seed: of the weights, which decide where the zeros of sparse cells are.
        options: of the quantiser, of which those count that change what is planned.

    Raises:
        BuildError: the network holds an operator that the compiler does not know.
    """
    with one_thread():
        initialise(structure.module, seed)
        graph = trace(structure.module, structure.spec.shape)
        program = quantise_on(
            graph,
            activations(graph, structure.spec.range, seed),
            name=structure.model_id,
            input_range=structure.spec.range,
            recipe=with_options([name for name in options if name in PLANNED], _QUICK),
        )
    return replace(program, parameters=structure.parameters)


def activations(
    graph: Graph, input_range: tuple[float, float], seed: int = 0
) -> dict[str, Float64]:
    """Make up every node's output, by name (and `INPUT`): (1, rows, columns, channels).

    The input is drawn evenly from its range, and what follows such that it goes with what it is
    computed from. Maps are cut to what is needed to choose a range.

    Args:
        graph: the network's operators.
        input_range: the least and the greatest value of the input.
        seed: of the values that are made up.
    """
    random = np.random.default_rng(seed)
    most = max([_MOST_PIXELS, *(operators.of(node).least_side(node) for node in graph.nodes)])

    def size(shape: Shape) -> tuple[int, int, int, int]:
        return (1, min(shape[0], most), min(shape[1], most), shape[2])

    maps = {INPUT: random.uniform(*input_range, size(graph.input_shape))}
    for node in graph.nodes:
        drawn = random.normal(size=size(node.shape))
        maps[node.name] = operators.of(node).plausible(node, drawn, maps)
    return maps
