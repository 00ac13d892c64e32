"""Post-training quantisation: a float graph and calibration images make a `Program`.

Every operator chooses its own integers, in `operators/`; `docs/quantisation.md` says which choices
were made and what they buy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from hil.compiler import operators
from hil.compiler.equalise import factors
from hil.compiler.front.graph import Graph
from hil.compiler.integers.levels import Levels
from hil.compiler.integers.ranges import affine
from hil.compiler.integers.recipe import DEFAULT, Recipe
from hil.compiler.operators.kind import INPUT, ITS_INPUTS, Calibration, Float64, Node, refused
from hil.compiler.program import Float32, Operator, Output, Program, Quantised, Tensor
from hil.compiler.sensitivity import felt
from hil.errors import BuildError
from hil.vision.photographs import InputSpec

_FLOAT_MOST = float(np.finfo(np.float32).max)


def quantise(
    graph: Graph,
    calibration: Sequence[Float32],
    *,
    name: str,
    input_range: tuple[float, float],
    recipe: Recipe = DEFAULT,
    levels: Levels | None = None,
) -> Program:
    """Quantise a network on images.

    Args:
        graph: the float network.
        calibration: preprocessed images, (rows, columns, channels) each.
        name: of the program.
        input_range: least and greatest value of any preprocessed image.
        recipe: how.
        levels: of photographs, of which the images are made; None where they are not.

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
    return quantise_on(
        graph, activations, name=name, input_range=input_range, recipe=recipe, levels=levels
    )


def quantise_on(
    graph: Graph,
    activations: Mapping[str, Float64],
    *,
    name: str,
    input_range: tuple[float, float],
    recipe: Recipe = DEFAULT,
    levels: Levels | None = None,
) -> Program:
    """Quantise a network on its activations, as `graph.activations` gives them.

    Args:
        graph: the network's operators.
        activations: by node and `INPUT`, (images, rows, columns, channels).
        name: of the program.
        input_range: the least and the greatest value of the input.
        recipe: how integers are chosen.
        levels: the input's scale and zero point; None to choose them by `input_range`.

    Raises:
        BuildError: an accumulator would not fit 32 bits.
    """
    tensors = {INPUT: _input(graph, input_range, levels if recipe.exact_input else None)}
    met: dict[str, Quantised] = {}
    if recipe.asks_for_integers:
        met[INPUT] = tensors[INPUT].quantise(activations[INPUT])
    by = Calibration(
        tensors,
        activations,
        _chains(graph),
        recipe,
        _results(graph),
        _centred(graph),
        factors(graph, activations) if recipe.equalised else {},
        felt(graph, activations[INPUT]) if recipe.ranges == "task" else {},
        met,
        wide(graph) if recipe.wide_results else frozenset(),
    )
    steps: list[Operator] = []
    for node in graph.nodes:
        steps.append(_quantised(node, by))
        tensors[node.name] = steps[-1].output
        if recipe.asks_for_integers:
            met[node.name] = _answers(steps[-1], met)
    return Program(
        name=name,
        input=tensors[INPUT],
        operators=tuple(steps),
        output=Output(tuple(tensors[n] for n in graph.outputs)),
        notes={"calibration": f"{len(activations[INPUT])} images"}
        | {name: str(choice) for name, choice in asdict(recipe).items()},
    )


def _input(graph: Graph, whole: tuple[float, float], levels: Levels | None) -> Tensor:
    """Make the input's tensor: the levels themselves, where the first layers can read them."""
    readers = [node for node in graph.nodes if INPUT in node.inputs]
    if levels and all(operators.of(node).takes_levels(node) for node in readers):
        return levels.tensor(INPUT, graph.input_shape)
    first = affine(*whole)
    return Tensor(INPUT, graph.input_shape, first.scale, first.zero_point)


def levels_of(spec: InputSpec) -> Levels | None:
    """Return the levels of a network's input, or None for a grey one, whose are exact anyway."""
    if spec.channels == 1:
        return None
    colours = np.arange(spec.channels) % 3
    deviation = spec.deviation or (1.0, 1.0, 1.0)
    return Levels(
        tuple(float(spec.mean[c]) for c in colours), tuple(float(deviation[c]) for c in colours)
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


def _answers(step: Operator, met: Mapping[str, Quantised]) -> Quantised:
    """Compute a step on every calibration image, from the maps that it reads."""
    read = {tensor.name: met[tensor.name] for tensor in step.inputs}
    count = len(next(iter(read.values())))
    kind = operators.of(step)
    return np.stack(
        [
            kind.compute(step, {name: maps[i] for name, maps in read.items()}, None)
            for i in range(count)
        ]
    )


def _results(graph: Graph) -> frozenset[str]:
    """Find the maps of the result, and those whose range such a map has."""
    found = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in found and operators.of(node).given(node) is ITS_INPUTS:
            found.update(node.inputs)
    return frozenset(found)


def wide(graph: Graph) -> frozenset[str]:
    """Find the maps that are int16 where the result's are: these, and those of one range with one.

    Raises:
        BuildError: one of the result's maps cannot be; says which.
    """
    nodes = {node.name: node for node in graph.nodes}
    read = [source for node in graph.nodes for source in node.inputs]
    found: set[str] = set()
    rest = list(graph.outputs)
    for name in rest:
        node = nodes.get(name)
        if (
            node is None
            or not operators.of(node).gives_int16(node)
            or read.count(name) != (name not in graph.outputs)
        ):
            raise refused(
                name,
                "its map cannot be int16",
                hint="the result's maps can where they are convolutions', or max-outs of these, "
                "that no other layer reads",
                stage="quantise",
            )
        found.add(name)
        if operators.of(node).given(node) is ITS_INPUTS:
            rest += node.inputs
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
