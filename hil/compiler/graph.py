"""A network as a small graph: traced, batch norm folded, activations and additions fused.

The nodes are the operators that the quantiser knows, with float weights; each names the value in
the traced network that it computes, so that the float network can be asked for any activation.
"""

import copy
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from hil.compiler.pool_order import put_rows_first
from hil.compiler.program import Float32, Padding
from hil.errors import BuildError
from hil.models.blocks import Concat, FlattenMaps, L2Norm, MaxOut
from hil.models.pooling import Classifier, GlobalAverage
from hil.models.renet import GRUSweep
from hil.models.rnnpool import RNNPool
from hil.models.threads import one_thread

Float64: TypeAlias = npt.NDArray[np.float64]
Shape: TypeAlias = tuple[int, int, int]

INPUT = "input"
_LEAVES = (
    RNNPool, GRUSweep, L2Norm, MaxOut, Concat, GlobalAverage, Classifier, FlattenMaps
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Node:
    """An operator with float weights.

    Attributes:
        inputs: names of the nodes it reads, or `INPUT`.
        shape: of its output: rows, columns, channels.
        value: the traced network's name for what it computes.
        macs: multiply-accumulates, nothing shared.
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    value: str
    macs: int


@dataclass(frozen=True, eq=False)
class Convolution(Node):
    """y = clip(bias + weight * x, low, high) + residual, of which the last two exclude each other.

    A batch norm or an activation that no convolution can take in is a depthwise one of 1x1.

    Attributes:
        weight: (out, kernel rows, kernel columns, in), or (channels, kernel rows, kernel columns,
            1) if depthwise.
        residual: name of the node whose map is added.
    """

    weight: Float64
    bias: Float64
    stride: int
    padding: Padding
    depthwise: bool
    low: float = -np.inf
    high: float = np.inf
    residual: str | None = None

    @property
    def is_clipped(self) -> bool:
        """Whether an activation was taken in."""
        return self.low != -np.inf or self.high != np.inf


@dataclass(frozen=True, eq=False)
class Pool(Node):
    """An RNNPool layer."""

    layer: RNNPool


@dataclass(frozen=True, eq=False)
class Sweep(Node):
    """A GRU along a map's columns or rows, half a ReNet layer."""

    layer: GRUSweep


@dataclass(frozen=True, eq=False)
class Norm(Node):
    """An L2 norm with a weight per channel."""

    weight: Float64


@dataclass(frozen=True, eq=False)
class Best(Node):
    """A max-out of the first `groups` channels."""

    groups: int


@dataclass(frozen=True, eq=False)
class Join(Node):
    """The inputs' channels one after another."""


@dataclass(frozen=True, eq=False)
class Window(Node):
    """An average, in which the padding counts as zeros, or a maximum, in which it does not.

    Attributes:
        window: rows, columns.
    """

    kind: Literal["average", "max"]
    window: tuple[int, int]
    stride: int
    padding: Padding


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        outputs: names of the nodes whose maps, flattened, are the result.
        traced: a copy of the network in double precision, so that ranges chosen on its activations
            are the same on every machine.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    traced: fx.GraphModule

    def activations(self, images: Sequence[Float32]) -> dict[str, Float64]:
        """Compute every node's output in double precision.

        Args:
            images: preprocessed, (rows, columns, channels) each.

        Returns:
            By node's name (and `INPUT`), (images, rows, columns, channels).
        """
        batch = torch.from_numpy(np.stack(images)).double().permute(0, 3, 1, 2)
        values = _values(self.traced, batch, {node.value for node in self.nodes})
        maps = {node.name: values[node.value] for node in self.nodes} | {INPUT: batch}
        return {name: m.permute(0, 2, 3, 1).contiguous().numpy() for name, m in maps.items()}


def trace(module: nn.Module, input_shape: Shape) -> Graph:
    """Turn a network into a graph.

    Args:
        module: in evaluation mode, mapping one (1, channels, rows, columns) tensor to one (1,
            count) tensor.
        input_shape: rows, columns, channels.

    Raises:
        BuildError: the network holds an operator that the compiler does not know.
    """
    module = copy.deepcopy(module).double()
    graph = _Tracer().trace(module)
    traced = fx.GraphModule(module, graph)
    put_rows_first(traced)
    builder = _Builder(traced, _shapes(traced, input_shape))
    for node in graph.nodes:
        builder.add(node)
    return Graph(input_shape, tuple(builder.nodes.values()), builder.outputs, traced)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LEAVES) or super().is_leaf_module(m, module_qualified_name)


def _values(
    traced: fx.GraphModule, batch: torch.Tensor, wanted: set[str] | None
) -> dict[str, torch.Tensor]:
    """Run the traced network and keep the values of the wanted nodes, or of all."""
    kept: dict[str, torch.Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if isinstance(value, torch.Tensor) and (wanted is None or n.name in wanted):
                kept[n.name] = value
            return value

    with one_thread(), torch.inference_mode():
        Recorder(traced).run(batch)
    return kept


def _shapes(traced: fx.GraphModule, input_shape: Shape) -> dict[str, Shape]:
    """Find the shape of every value of the traced network, from a batch of no images."""
    rows, columns, channels = input_shape
    values = _values(traced, torch.zeros(0, channels, rows, columns, dtype=torch.float64), None)
    return {name: _shape(value) for name, value in values.items()}


def _shape(value: torch.Tensor) -> Shape:
    if value.dim() != 4:
        return (1, 1, value.shape[1:].numel())
    _, channels, rows, columns = value.shape
    return (rows, columns, channels)


class _Builder:
    """Adds the traced network's nodes one by one, fusing those that belong together."""

    def __init__(self, traced: fx.GraphModule, shapes: dict[str, Shape]) -> None:
        self.traced = traced
        self.shapes = shapes
        self.nodes: dict[str, Node] = {}
        self.outputs: tuple[str, ...] = ()
        self._name_of: dict[str, str] = {}  # fx node -> our node

    def add(self, node: fx.Node) -> None:
        match node.op:
            case "placeholder":
                self._name_of[node.name] = INPUT
            case "call_module":
                self._add_module(node, self.traced.get_submodule(str(node.target)))
            case "call_function" if node.target is operator.add:
                self._add_sum(node)
            case "output":
                pass
            case _:
                raise self._unknown(node, str(node.target))

    def _add_module(self, node: fx.Node, layer: nn.Module) -> None:
        inputs = tuple(self._input(n) for n in node.all_input_nodes)
        name = str(node.target).removesuffix(".conv")
        shape = self.shapes[node.name]
        match layer:
            case nn.Conv2d():
                self._put(node, _convolution(name, inputs, shape, node.name, layer))
            case Classifier():
                self._put(node, _linear(name, inputs, node.name, layer.linear))
            case nn.BatchNorm2d() | nn.ReLU() | nn.ReLU6():
                self._add_elementwise(node, name, layer)
            case RNNPool() | GRUSweep():
                rows, columns, _ = self.shapes[node.all_input_nodes[0].name]
                common = (name, inputs, shape, node.name, layer.macs(rows, columns))
                self._put(
                    node,
                    Pool(*common, layer) if isinstance(layer, RNNPool) else Sweep(*common, layer),
                )
            case L2Norm():
                weight = layer.weight.detach().double().numpy()
                self._put(node, Norm(name, inputs, shape, node.name, 0, weight))
            case MaxOut():
                self._put(node, Best(name, inputs, shape, node.name, 0, layer.groups))
            case Concat():
                self._put(node, Join(name, inputs, shape, node.name, 0))
            case GlobalAverage() | nn.AvgPool2d() | nn.MaxPool2d():
                rows, columns, _ = self.shapes[node.all_input_nodes[0].name]
                window = _window(name, layer, (rows, columns))
                self._put(node, Window(name, inputs, shape, node.name, 0, *window))
            case FlattenMaps():
                self.outputs = inputs
            case _:
                raise self._unknown(node, type(layer).__name__)

    def _add_sum(self, node: fx.Node) -> None:
        """Fuse an addition into the later of the two maps' convolutions."""
        names = [self._input(n) for n in node.all_input_nodes]
        if len(names) != 2:
            raise self._unknown(node, "addition of a constant or of a map to itself")
        order = [INPUT, *self.nodes]
        residual, last = sorted(names, key=order.index)
        source = next(n for n in node.all_input_nodes if self._name_of[n.name] == last)
        conv = self._open(source)
        if conv is None:
            raise self._unknown(
                node, f"{node.name} of which no map comes from a convolution alone, unclipped"
            )
        self._put(node, replace(_with_residual(conv, residual), value=node.name))

    def _add_elementwise(
        self, node: fx.Node, name: str, layer: nn.BatchNorm2d | nn.ReLU | nn.ReLU6
    ) -> None:
        """Let the convolution before take an operator in; where it cannot, make it one itself."""
        source = node.all_input_nodes[0]
        conv = self._open(source)
        if conv is None:
            own = name if name not in self.nodes else node.name
            conv = _identity(own, self._input(source), self.shapes[node.name])
        match layer:
            case nn.BatchNorm2d():
                conv = _fold(conv, layer)
            case nn.ReLU6():
                conv = replace(conv, low=0.0, high=6.0)
            case _:
                conv = replace(conv, low=0.0)
        self._put(node, replace(conv, value=node.name))

    def _open(self, source: fx.Node) -> Convolution | None:
        """The convolution that can take in what alone reads its output, if a value has one."""
        conv = self.nodes.get(self._input(source))
        if not isinstance(conv, Convolution) or len(source.users) != 1:
            return None
        return None if conv.residual or conv.is_clipped else conv

    def _put(self, node: fx.Node, made: Node) -> None:
        self.nodes[made.name] = made
        self._name_of[node.name] = made.name

    def _input(self, node: fx.Node) -> str:
        return self._name_of[node.name]

    def _unknown(self, node: fx.Node, what: str) -> BuildError:
        return BuildError(
            f"the compiler has no operator for {what} ({node.name})",
            hint="it knows Conv2d, BatchNorm2d, ReLU, ReLU6, AvgPool2d, MaxPool2d, additions and "
            "layers of hil.models",
            stage="trace",
        )


def _convolution(
    name: str, inputs: tuple[str, ...], shape: Shape, value: str, layer: nn.Conv2d
) -> Convolution:
    depthwise = layer.groups > 1
    if depthwise and not layer.groups == layer.in_channels == layer.out_channels:
        raise BuildError(f"{name}: {layer.groups} groups are neither dense nor depthwise")
    if layer.stride[0] != layer.stride[1] or layer.dilation != (1, 1):
        raise BuildError(f"{name}: uneven strides and dilation are not supported")
    weight = layer.weight.detach().double().permute(0, 2, 3, 1).numpy()
    vertical, horizontal = (int(p) for p in layer.padding)
    return Convolution(
        name,
        inputs,
        shape,
        value,
        macs=int(np.prod(shape)) * int(weight[0].size),
        weight=weight,
        bias=(
            np.zeros(layer.out_channels)
            if layer.bias is None
            else layer.bias.detach().double().numpy()
        ),
        stride=int(layer.stride[0]),
        padding=Padding(vertical, horizontal, vertical, horizontal),
        depthwise=depthwise,
    )


def _identity(name: str, x: str, shape: Shape) -> Convolution:
    """A depthwise convolution that changes nothing yet."""
    channels = shape[2]
    return Convolution(
        name,
        (x,),
        shape,
        value=name,
        macs=0,
        weight=np.ones((channels, 1, 1, 1)),
        bias=np.zeros(channels),
        stride=1,
        padding=Padding(),
        depthwise=True,
    )


def _window(
    name: str, layer: GlobalAverage | nn.AvgPool2d | nn.MaxPool2d, map_size: tuple[int, int]
) -> tuple[Literal["average", "max"], tuple[int, int], int, Padding]:
    """The kind, window, stride and padding of a pooling layer."""
    if isinstance(layer, GlobalAverage):
        return "average", map_size, 1, Padding()
    stride, across = _pair(layer.stride)
    vertical, horizontal = _pair(layer.padding)
    if isinstance(layer, nn.AvgPool2d):
        kind: Literal["average", "max"] = "average"
        padded = (vertical, horizontal) != (0, 0)
        plain = layer.divisor_override is None and (layer.count_include_pad or not padded)
    else:
        kind = "max"
        plain = _pair(layer.dilation) == (1, 1) and not layer.return_indices
    if stride != across or layer.ceil_mode or not plain:
        raise BuildError(
            f"{name}: a pooling with uneven strides, dilation, rounded-up size, indices or a "
            "divisor of its own is not supported",
            hint="averages count the padding as zeros (count_include_pad)",
            stage="trace",
        )
    padding = Padding(vertical, horizontal, vertical, horizontal)
    return kind, _pair(layer.kernel_size), stride, padding


def _pair(of: int | tuple[int, ...]) -> tuple[int, int]:
    return (of, of) if isinstance(of, int) else (of[0], of[1])


def _linear(name: str, inputs: tuple[str, ...], value: str, layer: nn.Linear) -> Convolution:
    """Treat a linear layer on a map of one pixel as the 1x1 convolution that it is."""
    return Convolution(
        name,
        inputs,
        (1, 1, layer.out_features),
        value,
        macs=layer.weight.numel(),
        weight=layer.weight.detach().double().numpy()[:, None, None, :],
        bias=layer.bias.detach().double().numpy(),
        stride=1,
        padding=Padding(),
        depthwise=False,
    )


def _fold(conv: Convolution, norm: nn.BatchNorm2d) -> Convolution:
    """Fold y = gamma (x - mean) / sqrt(variance + eps) + beta into weights and bias."""
    if norm.running_mean is None or norm.running_var is None:
        raise BuildError(f"{conv.name}: its batch norm keeps no statistics")
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    factor = gamma / np.sqrt(norm.running_var.double().numpy() + norm.eps)
    bias = (conv.bias - norm.running_mean.double().numpy()) * factor + beta
    return replace(conv, weight=conv.weight * factor[:, None, None, None], bias=bias)


def _with_residual(conv: Convolution, residual: str) -> Convolution:
    return replace(conv, residual=residual, inputs=(*conv.inputs, residual))
