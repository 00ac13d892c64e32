"""A torch module becomes a graph: batch norm folded, activations and additions fused.

Each node names the value in the traced network that it computes, so that the float network can be
asked for any activation.
"""

import copy
from itertools import chain, count
from typing import Any

import torch
from torch import fx, nn

from hil.compiler import operators
from hil.compiler.front import refusals
from hil.compiler.front.graph import Graph
from hil.compiler.front.nothing import leave_out
from hil.compiler.front.order import put_in_order
from hil.compiler.front.ordinary import rewrite
from hil.compiler.front.shapes import observe
from hil.compiler.operators.kind import INPUT, Node, Place, Source, refused
from hil.compiler.program import Shape
from hil.models.blocks import FlattenMaps
from hil.models.imported.module import Imported


def trace(module: nn.Module, input_shape: Shape) -> Graph:
    """Turn a network into a graph.

    Args:
        module: maps one (1, channels, rows, columns) tensor to one (1, count) tensor; taken as in
            evaluation mode.
        input_shape: rows, columns, channels.

    Raises:
        BuildError: the network holds what the compiler cannot take; the error names the layer, the
            reason and what would work.
    """
    if isinstance(module, Imported):
        raise refused(
            module.network.name,
            "it was imported with its own integers, which no other choice can change",
            hint="hil import shows its layers, hil plan and hil profile what they cost",
        )
    module = copy.deepcopy(module).double().eval()
    graph = _graph(module)
    traced = fx.GraphModule(module, graph)
    graph = traced.graph
    refusals.check_input(traced)
    rewrite(traced, input_shape)
    for node in list(graph.nodes):
        refusals.check(traced, node)
        leave_out(traced, node)
    refusals.check_end(traced)
    put_in_order(traced)
    builder = _Builder(traced, _shapes(traced, input_shape))
    for node in graph.nodes:
        builder.add(node)
    refusals.check_names(builder.nodes.values())
    return Graph(input_shape, tuple(builder.nodes.values()), builder.outputs, traced)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, FlattenMaps) or operators.knows_layer(m)
        return known or super().is_leaf_module(m, module_qualified_name)


def _graph(module: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(module)
    except Exception as error:  # the network's own code ran, so it can be any
        raise refused(
            "forward",
            f"the network cannot be traced: {type(error).__name__}: {error}",
            hint="forward has to call the same layers whatever the values of its input are",
        ) from error


def _shapes(traced: fx.GraphModule, input_shape: Shape) -> dict[str, Shape]:
    """Find the shape of every value of the traced network, from a batch of no images.

    Raises:
        BuildError: a layer cannot be computed on what it reads.
    """
    shapes: dict[str, Shape] = {}

    def see(node: fx.Node, value: Any) -> None:
        refusals.check_value(traced, node, value)
        shapes[node.name] = shape_of(value)

    observe(traced, input_shape, 0, see)
    return shapes


def shape_of(value: torch.Tensor) -> Shape:
    """Say rows, columns and channels of a batch of maps; of vectors, that they are one pixel."""
    if value.dim() != 4:
        return (1, 1, value.shape[1:].numel())
    _, channels, rows, columns = value.shape
    return (rows, columns, channels)


class _Builder:
    """Adds the traced network's nodes, which have been checked, one by one."""

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
                kind = operators.of_function(node.target)
                self._put(node, kind.trace_call(self._place(node, refusals.owner(node))))

    def _add_module(self, node: fx.Node, layer: nn.Module) -> None:
        if isinstance(layer, FlattenMaps):
            self.outputs = tuple(self._name_of[n.name] for n in node.all_input_nodes)
            return
        place = self._place(node, str(node.target).removesuffix(".conv"))
        self._put(node, operators.of_layer(layer).trace(layer, place))

    def _place(self, node: fx.Node, name: str) -> Place:
        sources = tuple(self._source(n) for n in node.all_input_nodes)
        return Place(self._free(name), node.name, self.shapes[node.name], sources)

    def _free(self, name: str) -> str:
        """A name that no node has yet: a layer that is called twice is two nodes."""
        taken = {INPUT, *self.nodes}
        again = (f"{name}.{times}" for times in count(2))
        return next(one for one in chain([name], again) if one not in taken)

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
