"""A torch module becomes a graph: batch norm folded, activations and additions fused.

Each node names the value in the traced network that it computes, so that the float network can be
asked for any activation.
"""

import copy

import torch
from torch import fx, nn

from hil.compiler import operators
from hil.compiler.front.graph import Graph, values_of
from hil.compiler.front.order import put_rows_first
from hil.compiler.operators.kind import INPUT, Node, Place, Source, refused
from hil.compiler.program import Shape
from hil.errors import BuildError
from hil.models.blocks import FlattenMaps


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
        known = isinstance(m, FlattenMaps) or operators.of_layer(m) is not None
        return known or super().is_leaf_module(m, module_qualified_name)


def _shapes(traced: fx.GraphModule, input_shape: Shape) -> dict[str, Shape]:
    """Find the shape of every value of the traced network, from a batch of no images."""
    rows, columns, channels = input_shape
    values = values_of(traced, torch.zeros(0, channels, rows, columns, dtype=torch.float64), None)
    return {name: shape_of(value) for name, value in values.items()}


def shape_of(value: torch.Tensor) -> Shape:
    """Say rows, columns and channels of a batch of maps; of vectors, that they are one pixel."""
    if value.dim() != 4:
        return (1, 1, value.shape[1:].numel())
    _, channels, rows, columns = value.shape
    return (rows, columns, channels)


class _Builder:
    """Adds the traced network's nodes one by one."""

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
            case "call_function":
                self._add_function(node)
            case "output":
                pass
            case _:
                raise self._unknown(node, str(node.target))

    def _add_module(self, node: fx.Node, layer: nn.Module) -> None:
        if isinstance(layer, FlattenMaps):
            self.outputs = tuple(self._name_of[n.name] for n in node.all_input_nodes)
            return
        kind = operators.of_layer(layer)
        if kind is None:
            raise self._unknown(node, type(layer).__name__)
        self._put(node, kind.trace(layer, self._place(node, str(node.target))))

    def _add_function(self, node: fx.Node) -> None:
        assert callable(node.target)  # noqa: S101
        kind = operators.of_function(node.target)
        if kind is None:
            raise self._unknown(node, str(node.target))
        self._put(node, kind.trace(None, self._place(node, node.name)))

    def _place(self, node: fx.Node, name: str) -> Place:
        sources = tuple(self._source(n) for n in node.all_input_nodes)
        return Place(name, node.name, self.shapes[node.name], sources, self.nodes.keys())

    def _source(self, node: fx.Node) -> Source:
        name = self._name_of[node.name]
        return Source(
            name=name,
            shape=self.shapes[node.name],
            node=self.nodes.get(name),
            order=[INPUT, *self.nodes].index(name),
            is_shared=len(node.users) != 1,
        )

    def _put(self, node: fx.Node, made: Node) -> None:
        self.nodes[made.name] = made
        self._name_of[node.name] = made.name

    def _unknown(self, node: fx.Node, what: str) -> BuildError:
        return refused(
            node.name,
            f"the compiler has no operator for {what}",
            hint=f"it knows additions and {operators.layer_names()}",
        )
