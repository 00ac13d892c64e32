"""An imported network becomes a program: its own integers, and how far rounding is the file's."""

import copy
from dataclasses import dataclass

import numpy as np
from torch import fx, nn

from hil.compiler.front.graph import Graph
from hil.compiler.integers.exact import Int64, smmulr
from hil.compiler.integers.ranges import check_sums, multiplier_and_shift
from hil.compiler.integers.requantise import constant_levels, requantisation
from hil.compiler.operators.add import add_of
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.kind import Node, refused
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.operators.softmax import softmax_of
from hil.compiler.program import Int8, Operator, Output, Padding, Program, Tensor
from hil.models import LoadedModel
from hil.models.imported.module import Imported
from hil.models.imported.network import Chances, Conv, Layer, Map, Mean, Pool, Sum

_ONE = 1 << 32  # a multiplier's, in smmulr
_QUARTER = 4  # levels of a constant, with a multiplier of a quarter


@dataclass(frozen=True)
class Exactness:
    """How a layer's rounding compares with that of TensorFlow Lite's reference kernel.

    Attributes:
        steps: levels of its outputs that sums can reach, over all channels.
        missed: steps at which a sum, or two, get the level beside; 0 where it is equal.
        counted: whether these are known; a mean over all pixels is rounded once here, and any of
            its outputs may be the level beside.
    """

    layer: str
    steps: int
    missed: int
    counted: bool = True


@dataclass(frozen=True)
class Translated:
    """A program, the float network beside it, and how exact each layer is."""

    program: Program
    graph: Graph
    exactness: tuple[Exactness, ...]


def translate(module: Imported, name: str) -> Translated:
    """Make a program of an imported network.

    Args:
        module: the network, as it was read from its file.
        name: of the program.

    Raises:
        BuildError: a layer's sums would not fit 32 bits.
    """
    network = module.network
    tensors = {m.name: _tensor(m) for m in network.maps.values()}
    made = [_operator(layer, tensors) for layer in network.layers]
    outputs = tuple(tensors[one] for one in network.outputs)
    program = Program(
        name=name,
        input=tensors[network.input.name],
        operators=tuple(operator for operator, _ in made),
        output=Output(outputs),
        parameters=sum(p.numel() for p in module.parameters()),
        notes={"imported": network.digest},
    )
    return Translated(program, _graph(module, program), tuple(exact for _, exact in made))


def translated(loaded: LoadedModel) -> Translated:
    """Make a program of a loaded network. Raises BuildError: it was not imported."""
    if not isinstance(loaded.module, Imported):
        raise refused(loaded.model_id, "it was not imported", "name a .tflite file")
    return translate(loaded.module, loaded.model_id)


def _tensor(of: Map) -> Tensor:
    return Tensor(of.name, of.shape, of.scale, of.zero_point)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        return not isinstance(m, Imported)


def _graph(module: Imported, program: Program) -> Graph:
    """The float network, each of whose layers is a node."""
    doubled = copy.deepcopy(module).double()
    traced = fx.GraphModule(doubled, _Tracer().trace(doubled))
    values = {str(n.target): n.name for n in traced.graph.nodes if n.op == "call_module"}
    nodes = tuple(
        Node(
            operator.output.name,
            tuple(x.name for x in operator.inputs),
            operator.output.shape,
            values[operator.name],
            operator.macs,
        )
        for operator in program.operators
    )
    return Graph(program.input.shape, nodes, tuple(t.name for t in program.output.tensors), traced)


def _operator(layer: Layer, tensors: dict[str, Tensor]) -> tuple[Operator, Exactness]:
    inputs = tuple(tensors[name] for name in layer.inputs)
    output = tensors[layer.output.name]
    match layer:
        case Conv():
            return _conv(layer, inputs[0], output)
        case Pool():
            return _pool(layer, inputs[0], output)
        case Mean():
            return _mean(layer, inputs[0], output)
        case Sum():
            low, high = layer.levels
            added = add_of(layer.name, (inputs[0], inputs[1]), output, low, high)
            return added, Exactness(layer.name, 0, 0)
        case Chances():
            chances = softmax_of(layer.name, inputs[0], output, layer.beta)
            return chances, Exactness(layer.name, 0, 0)
    raise refused(layer.name, f"{type(layer).__name__} is no layer", "a layer of network.py")


def _conv(layer: Conv, x: Tensor, y: Tensor) -> tuple[Conv2D, Exactness]:
    low, high = layer.levels
    levels = (low - y.zero_point, high - y.zero_point)
    weight, bias = layer.weight, layer.bias.astype(np.int64)
    span = _span(weight, bias, x)
    constant = constant_levels(layer.factors, levels, span, twice=layer.rounds_twice)
    at = list(constant)
    if constant:
        weight, bias = weight.copy(), bias.copy()
        weight[at], bias[at] = 0, 0
        span = _span(weight, bias, x)
    found = requantisation(layer.name, layer.factors, levels, span, twice=layer.rounds_twice)
    nudge, multiplier = found.nudge.copy(), found.multiplier.copy()
    nudge[at], multiplier[at] = [_QUARTER * level for level in constant.values()], _ONE // _QUARTER
    whole = nudge >> found.shift
    reach = np.maximum(-span[0], span[1]) + np.abs(whole) + 1
    check_sums(layer.name, reach, found.shift)
    rows, columns, outputs = y.shape
    conv = Conv2D(
        layer.name, (x,), y, rows * columns * outputs * int(np.prod(weight.shape[1:])),
        weight=weight,
        bias=(bias + whole).astype(np.int32),
        multiplier=multiplier.astype(np.int32),
        shift=found.shift,
        stride=layer.stride,
        padding=Padding(*layer.padding),
        depthwise=layer.depthwise,
        low=low,
        high=high,
        nudge=(nudge - (whole << found.shift)).astype(np.int32),
    )  # fmt: skip
    return conv, Exactness(layer.name, found.steps, found.missed)


def _span(weight: Int8, bias: Int64, x: Tensor) -> tuple[Int64, Int64]:
    """The least and the greatest sum of each channel, over every input."""
    flat = weight.reshape(len(weight), -1).astype(np.int64)
    ends = np.stack([flat * (-128 - x.zero_point), flat * (127 - x.zero_point)])
    return bias + ends.min(axis=0).sum(axis=1), bias + ends.max(axis=0).sum(axis=1)


def _pool(layer: Pool, x: Tensor, y: Tensor) -> tuple[Pool2D, Exactness]:
    """An average over one scale: of the bytes as they are, so that halves round away from 0."""
    pixels = layer.window[0] * layer.window[1]
    multiplier = shift = missed = 0
    if layer.kind == "average":
        shift = 1 if pixels == 1 else 0
        multiplier = (1 << (32 - shift)) // pixels + (0 if pixels == 1 else 1)
        multiplier = min(multiplier, (1 << 31) - 1)
        sums = np.arange(-128 * pixels, 127 * pixels + 1, dtype=np.int64)
        wanted = np.trunc((sums + np.sign(sums) * (pixels // 2)) / pixels)
        missed = int((smmulr(sums << shift, np.array(multiplier)) != wanted).sum())
        check_sums(layer.name, np.array([128 * pixels]), shift)
        x, y = (Tensor(t.name, t.shape, t.scale, 0) for t in (x, y))
    pool = Pool2D(
        layer.name, (x,), y, 0,
        kind=layer.kind, window=layer.window, stride=layer.stride,
        padding=Padding(*layer.padding), multiplier=multiplier, shift=shift,
    )  # fmt: skip
    return pool, Exactness(layer.name, 256, missed)


def _mean(layer: Mean, x: Tensor, y: Tensor) -> tuple[Pool2D, Exactness]:
    rows, columns, _ = x.shape
    pixels = rows * columns
    factors, shift = multiplier_and_shift(np.array([x.scale / (pixels * y.scale)]))
    check_sums(layer.name, np.array([pixels * x.reach]), shift)
    pool = Pool2D(
        layer.name, (x,), y, 0,
        kind="average", window=(rows, columns), stride=1, padding=Padding(),
        multiplier=int(factors[0]), shift=shift,
    )  # fmt: skip
    return pool, Exactness(layer.name, 0, 0, counted=False)
