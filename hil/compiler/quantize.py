"""Post-training quantisation: a float graph and calibration images make a `Program`.

`program.py` states every operator's arithmetic; `docs/quantisation.md` says which choices were made
and what they buy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from hil.compiler.choices import DEFAULT, Choices
from hil.compiler.graph import (
    INPUT,
    Best,
    Convolution,
    Float64,
    Graph,
    Join,
    Node,
    Norm,
    Pool,
    Sweep,
    Window,
)
from hil.compiler.program import (
    Concat,
    Conv2D,
    Float32,
    GRUSweep,
    Int8,
    L2Norm,
    MaxOut,
    Operator,
    Output,
    Pool2D,
    Program,
    Rescale,
    Residual,
    RNNPool,
    Tensor,
)
from hil.compiler.quantize_cell import Seen, quantise_cell
from hil.compiler.quantize_gru import STATE_SCALE, TABLE_BITS, quantise_gru
from hil.compiler.ranges import Affine, affine, chosen_affine, multiplier_and_shift
from hil.compiler.rounding import round_to_nearest, round_weights
from hil.errors import BuildError
from hil.models import rnnpool

_INT32 = 2**31 - 1
_RESIDUAL_BITS = 22  # of its multiplier, so that 255 times it and the rounding fit 32 bits
_SAMPLES = 60_000  # steps of each cell that its ranges are chosen on


def quantise(
    graph: Graph,
    calibration: Sequence[Float32],
    *,
    name: str,
    input_range: tuple[float, float],
    choices: Choices = DEFAULT,
) -> Program:
    """Quantise a network on images.

    Args:
        graph: the float network.
        calibration: preprocessed images, (rows, columns, channels) each.
        name: of the program.
        input_range: least and greatest value of any preprocessed image.
        choices: how.

    Raises:
        BuildError: an accumulator would not fit 32 bits, or there are no images.
    """
    if not calibration:
        raise BuildError("there are no calibration images", stage="quantise")
    activations = graph.activations(calibration)
    return quantise_on(graph, activations, name=name, input_range=input_range, choices=choices)


def quantise_on(
    graph: Graph,
    activations: Mapping[str, Float64],
    *,
    name: str,
    input_range: tuple[float, float],
    choices: Choices = DEFAULT,
) -> Program:
    """Quantise a network on its activations, as `graph.activations` gives them.

    Raises:
        BuildError: an accumulator would not fit 32 bits.
    """
    input_tensor = _tensor(INPUT, graph.input_shape, affine(*input_range))
    ranges = _Ranges(activations, _joined(graph), choices)
    tensors = {INPUT: input_tensor}
    operators: list[Operator] = []
    for node in graph.nodes:
        operator = _operator(node, tensors, activations, ranges, choices)
        operators.append(operator)
        tensors[node.name] = operator.output
    return Program(
        name=name,
        input=input_tensor,
        operators=tuple(operators),
        output=Output(tuple(tensors[n] for n in graph.outputs)),
        notes={"calibration": f"{len(activations[INPUT])} images"}
        | {name: str(choice) for name, choice in asdict(choices).items()},
    )


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Scales and zero points that are free to choose.

    Attributes:
        joined: for maps that end in a concatenation, the last one of its chain.
    """

    activations: Mapping[str, Float64]
    joined: dict[str, str]
    choices: Choices

    def tensor(self, node: Node) -> Tensor:
        """A node's output, its range chosen on its own values or on its chain's."""
        chosen_on = self.joined.get(node.name, node.name)
        how = chosen_affine(self.activations[chosen_on], self.choices)
        return _tensor(node.name, node.shape, how)


def _joined(graph: Graph) -> dict[str, str]:
    """Find the maps that share a range, so that concatenation copies them as they are.

    Dense blocks concatenate again and again what they have concatenated; the last map of the chain
    holds all others. An RNNPool's and a maximum's range is given: such maps are rescaled once.
    """
    last: dict[str, str] = {}
    nodes = {node.name: node for node in graph.nodes}
    for node in reversed(graph.nodes):
        if isinstance(node, Join):
            chain = last.setdefault(node.name, node.name)
            for source in map(nodes.get, node.inputs):
                free = isinstance(source, Convolution | Join | Norm)
                free = free or (isinstance(source, Window) and source.kind == "average")
                if source is not None and free:
                    last.setdefault(source.name, chain)
    return last


def _operator(
    node: Node,
    tensors: Mapping[str, Tensor],
    activations: Mapping[str, Float64],
    ranges: _Ranges,
    choices: Choices,
) -> Operator:
    inputs = tuple(tensors[n] for n in node.inputs)
    match node:
        case Convolution():
            output = ranges.tensor(node)
            return _convolution(node, inputs, output, activations[node.inputs[0]], choices)
        case Pool():
            return _pool(node, inputs[0], activations[node.inputs[0]], choices)
        case Sweep():
            return _sweep(node, inputs[0], activations[node.inputs[0]])
        case Norm():
            output = ranges.tensor(node)
            multiplier = np.rint(4.0 * node.weight / output.scale).astype(np.int32)
            return L2Norm(node.name, inputs, output, node.macs, multiplier)
        case Best():
            output = _tensor(node.name, node.shape, Affine(inputs[0].scale, inputs[0].zero_point))
            return MaxOut(node.name, inputs, output, node.macs, node.groups)
        case Window():
            return _window(node, inputs[0], ranges)
        case Join():
            output = ranges.tensor(node)
            rescales = tuple(_rescale(x, output) for x in inputs)
            return Concat(node.name, inputs, output, node.macs, rescales)
        case _:
            raise BuildError(f"cannot quantise {type(node).__name__} ({node.name})")


def _tensor(name: str, shape: tuple[int, int, int], how: Affine) -> Tensor:
    return Tensor(name, shape, how.scale, how.zero_point)


def _convolution(
    node: Convolution,
    inputs: tuple[Tensor, ...],
    output: Tensor,
    activations: Float64,
    choices: Choices,
) -> Conv2D:
    x = inputs[0]
    weight_scale = _weight_scales(node, x.scale)
    if choices.weight_scales == "tensor":
        weight_scale = np.full_like(weight_scale, weight_scale.max())
    if choices.rounding == "nearest":
        rounded, real_bias = round_to_nearest(node, weight_scale), node.bias
    else:
        rounded, real_bias = round_weights(node, activations, weight_scale)
    weight = rounded.astype(np.int8)
    bias = np.rint(real_bias / (x.scale * weight_scale)).astype(np.int64)
    multiplier, shift = multiplier_and_shift(x.scale * weight_scale / output.scale)
    _check_accumulator(node.name, x, weight, bias, shift)
    how = Affine(output.scale, output.zero_point)
    residual = None
    if node.residual is not None:
        residual = _residual(inputs[1], output)
    return Conv2D(
        node.name,
        inputs,
        output,
        node.macs,
        weight=weight,
        bias=bias.astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        stride=node.stride,
        padding=node.padding,
        depthwise=node.depthwise,
        low=how.quantise(node.low) if np.isfinite(node.low) else -128,
        high=how.quantise(node.high) if np.isfinite(node.high) else 127,
        residual=residual,
    )


def _weight_scales(node: Convolution, x_scale: float) -> Float64:
    """One scale per output channel: by its largest weight, unless the bias asks for more."""
    largest = np.abs(node.weight).max(axis=(1, 2, 3)) / 127.0
    for_bias = np.abs(node.bias) / (x_scale * 2.0**29)
    scales: Float64 = np.maximum(np.maximum(largest, for_bias), 1e-12)
    return scales


def _check_accumulator(
    name: str, x: Tensor, weight: Int8, bias: npt.NDArray[np.int64], shift: int
) -> None:
    """No input whatever may overflow acc << shift."""
    most = max(127 - x.zero_point, x.zero_point + 128)
    rows = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) * most + np.abs(bias)
    if int(rows.max()) << shift > _INT32:
        raise BuildError(
            f"{name}: its sums can reach {int(rows.max()) << shift}, beyond 32 bits",
            stage="quantise",
        )


def _residual(source: Tensor, output: Tensor) -> Residual:
    factor = source.scale / output.scale
    shift = int(np.clip(_RESIDUAL_BITS - 1 - np.floor(np.log2(factor)), 1, 30))
    return Residual(source, int(np.rint(factor * 2.0**shift)), shift)


def _pool(node: Pool, x: Tensor, activations: Float64, choices: Choices) -> RNNPool:
    of_row, of_summary = _observe(node.layer, activations)
    row = quantise_cell(
        node.layer.row,
        of_row,
        x_scale=x.scale,
        x_most=max(127 - x.zero_point, x.zero_point + 128),
        index_bits=choices.index_bits,
    )
    summary = quantise_cell(
        node.layer.summary,
        of_summary,
        x_scale=row.state_scale,
        x_most=2**15,
        index_bits=choices.index_bits,
    )
    output = _tensor(node.name, node.shape, Affine(256.0 * summary.state_scale, 0))
    return RNNPool(
        node.name,
        (x,),
        output,
        node.macs,
        patch=node.layer.patch,
        stride=node.layer.stride,
        row=row,
        summary=summary,
    )


def _sweep(node: Sweep, x: Tensor, activations: Float64) -> GRUSweep:
    most = max(127 - x.zero_point, x.zero_point + 128)
    made = quantise_gru(node.layer, activations, x_scale=x.scale, x_most=most)
    return GRUSweep(
        node.name,
        (x,),
        _tensor(node.name, node.shape, Affine(256.0 * STATE_SCALE, 0)),
        node.macs,
        patch=node.layer.patch,
        along=node.layer.along,
        forward=made.forward,
        backward=made.backward,
        product_shift=made.product_shift,
        index_shift=made.index_shift,
        index_bits=TABLE_BITS,
        table=made.table,
    )


def _rescale(x: Tensor, output: Tensor) -> Rescale | None:
    if (x.scale, x.zero_point) == (output.scale, output.zero_point):
        return None
    multipliers, shift = multiplier_and_shift(np.array([x.scale / output.scale]))
    if 255 << shift > _INT32:
        raise BuildError(
            f"{output.name}: the scales of {x.name} and of the concatenation are 2**{shift} apart",
            stage="quantise",
        )
    return Rescale(int(multipliers[0]), shift)


def _window(node: Window, x: Tensor, ranges: _Ranges) -> Pool2D:
    output = _tensor(node.name, node.shape, Affine(x.scale, x.zero_point))
    multiplier = shift = 0
    if node.kind == "average":
        output = ranges.tensor(node)
        pixels = node.window[0] * node.window[1]
        factors, shift = multiplier_and_shift(np.array([x.scale / (pixels * output.scale)]))
        multiplier = int(factors[0])
        every = np.ones((1, *node.window, 1), np.int8)
        _check_accumulator(node.name, x, every, np.zeros(1, np.int64), shift)
    return Pool2D(
        node.name,
        (x,),
        output,
        node.macs,
        kind=node.kind,
        window=node.window,
        stride=node.stride,
        padding=node.padding,
        multiplier=multiplier,
        shift=shift,
    )


def _observe(layer: rnnpool.RNNPool, activations: Float64) -> tuple[Seen, Seen]:
    """Run the float layer and sample what its cells meet."""
    steps: tuple[list[tuple[torch.Tensor, torch.Tensor]], ...] = ([], [])
    with torch.inference_mode():
        layer.pool(
            torch.from_numpy(activations).permute(0, 3, 1, 2),
            lambda a, h: steps[0].append((a.flatten(0, -2), h.flatten(0, -2))),
            lambda a, h: steps[1].append((a.flatten(0, -2), h.flatten(0, -2))),
        )
    row, summary = (_sampled(s) for s in steps)
    return row, summary


def _sampled(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> Seen:
    # An odd stride, so that no position within the patches is left out.
    stride = max(1, sum(len(a) for a, _ in steps) // _SAMPLES) | 1
    pre_activations = torch.cat([a[::stride] for a, _ in steps]).numpy()
    states = torch.cat([h[::stride] for _, h in steps]).numpy()
    return Seen(pre_activations, states)
