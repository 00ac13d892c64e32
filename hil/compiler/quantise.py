"""Post-training quantisation: a float graph and calibration images make a `Program`.

Every operator chooses its own integers, in `operators/`; `docs/quantisation.md` says which choices
were made and what they buy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from hil.compiler import operators
from hil.compiler.front.graph import Graph
from hil.compiler.integers.ranges import affine
from hil.compiler.integers.recipe import DEFAULT, Recipe
from hil.compiler.operators.kind import INPUT, ITS_INPUTS, Calibration, Float64, Node, refused
from hil.compiler.program import Float32, Operator, Output, Program, Tensor
from hil.errors import BuildError

_FLOAT_MOST = float(np.finfo(np.float32).max)


def quantise(
    graph: Graph,
    calibration: Sequence[Float32],
    *,
    name: str,
    input_range: tuple[float, float],
    recipe: Recipe = DEFAULT,
) -> Program:
    """Quantise a network on images.

    Args:
        graph: the float network.
        calibration: preprocessed images, (rows, columns, channels) each.
        name: of the program.
        input_range: least and greatest value of any preprocessed image.
        recipe: how.

    Raises:
        BuildError: an accumulator would not fit 32 bits, or there are no images.
    """
    if not calibration:
        raise BuildError(
            "there are no calibration images",
            hint="give preprocessed images, (rows, columns, channels) each",
            stage="quantise",
        )
    _check_images(graph, calibration)
    activations = graph.activations(calibration)
    return quantise_on(graph, activations, name=name, input_range=input_range, recipe=recipe)


def quantise_on(
    graph: Graph,
    activations: Mapping[str, Float64],
    *,
    name: str,
    input_range: tuple[float, float],
    recipe: Recipe = DEFAULT,
) -> Program:
    """Quantise a network on its activations, as `graph.activations` gives them.

    Raises:
        BuildError: an accumulator would not fit 32 bits.
    """
    first = affine(*input_range)
    tensors = {INPUT: Tensor(INPUT, graph.input_shape, first.scale, first.zero_point)}
    by = Calibration(tensors, activations, _chains(graph), recipe, _results(graph), _centred(graph))
    steps: list[Operator] = []
    for node in graph.nodes:
        steps.append(_quantised(node, by))
        tensors[node.name] = steps[-1].output
    return Program(
        name=name,
        input=tensors[INPUT],
        operators=tuple(steps),
        output=Output(tuple(tensors[n] for n in graph.outputs)),
        notes={"calibration": f"{len(activations[INPUT])} images"}
        | {name: str(choice) for name, choice in asdict(recipe).items()},
    )


def _check_images(graph: Graph, images: Sequence[Float32]) -> None:
    for image in images:
        if image.shape != graph.input_shape or not np.isfinite(image).all():
            raise refused(
                INPUT,
                f"a calibration image of {image.shape} is not of {graph.input_shape}, or holds "
                "values that are not finite",
                hint="preprocess images as the network expects them",
                stage="quantise",
            )


def _quantised(node: Node, by: Calibration) -> Operator:
    """Quantise a node; whatever cannot be done names it."""
    values = by.activations[node.name]
    if not max(-values.min(), values.max()) < _FLOAT_MOST:
        raise refused(
            node.name,
            "it gives values in calibration that are not finite in single precision",
            hint="its weights, or those of the layers before, are far too large",
            stage="quantise",
        )
    try:
        made: Operator = operators.of(node).quantise(node, by)
    except BuildError as error:
        if error.what.startswith(f"{node.name}: "):
            raise
        raise refused(node.name, error.what, hint=error.hint, stage="quantise") from error
    return made


def _results(graph: Graph) -> frozenset[str]:
    """Find the maps of the result, and those whose range such a map has."""
    found = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in found and operators.of(node).given(node) is ITS_INPUTS:
            found.update(node.inputs)
    return frozenset(found)


def _centred(graph: Graph) -> frozenset[str]:
    """Find the maps whose channels may each stand around a centre of their own.

    A map's bytes say how far each value is from the centre; whoever reads it must know.
    """
    readers: dict[str, list[bool]] = {}
    for node in graph.nodes:
        for source in node.inputs:
            readers.setdefault(source, []).append(operators.of(node).takes_centre(node, source))
    return frozenset(
        name for name, taken in readers.items() if all(taken) and name not in graph.outputs
    )


def _chains(graph: Graph) -> dict[str, str]:
    """Find the maps that share a range, so that concatenation copies them as they are.

    Dense blocks concatenate again and again what they have concatenated; the last map of the chain
    holds all others. A map whose range is given is rescaled once.

    Returns:
        For every map that shares a range the map whose range it is.
    """
    last: dict[str, str] = {}
    nodes = {node.name: node for node in graph.nodes}
    for node in reversed(graph.nodes):
        if operators.of(node).joins:
            chain = last.setdefault(node.name, node.name)
            for source in map(nodes.get, node.inputs):
                if source is not None and operators.of(source).given(source) is None:
                    last.setdefault(source.name, chain)
    return last
