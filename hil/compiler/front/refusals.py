"""What cannot be compiled is told at once: which layer, why, and what would work."""

from collections.abc import Iterable

import torch
from torch import fx, nn

from hil.compiler import operators
from hil.compiler.code.c import identifier
from hil.compiler.front.nothing import NOTHING
from hil.compiler.operators.kind import Node, refused
from hil.errors import BuildError
from hil.models.blocks import FlattenMaps

_VECTOR = "torch.flatten(x, 1), before linear layers or at the end"
_INSTEAD = {
    "Linear": "it on a vector: torch.flatten(x, 1) before it",
    "AdaptiveAvgPool2d": "a size that divides the map's",
    "Hardtanh": "nn.ReLU6, which is Hardtanh(0, 6)",
    "hardtanh": "nn.ReLU6, which is hardtanh(x, 0, 6)",
    "BatchNorm1d": "nn.BatchNorm2d before the map is flattened",
    "dropout": "nn.Dropout",
    "pad": "padding by zeros, before a convolution",
    "ZeroPad2d": "it before convolutions alone",
    "add": "x + y, of two maps of one shape",
    "cat": "torch.cat(maps, dim=1): channels alone are joined",
    "mean": "x.mean((2, 3)), over rows and columns",
    "flatten": _VECTOR,
    "view": _VECTOR,
    "reshape": _VECTOR,
    "conv2d": "nn.Conv2d",
    "linear": "nn.Linear",
    "batch_norm": "nn.BatchNorm2d",
}


def owner(node: fx.Node) -> str:
    """Name the layer whose code a value of the traced network comes from."""
    stack = list(node.meta.get("nn_module_stack", ()))
    if node.op == "call_module":
        return str(node.target)
    return f"{stack[-1]}.{node.name}" if stack else node.name


def check(traced: fx.GraphModule, node: fx.Node) -> None:
    """Refuse a call of what the compiler does not know, or on what it cannot take.

    Args:
        traced: the network.
        node: a call of a layer or a function.

    Raises:
        BuildError: it is refused.
    """
    match node.op:
        case "call_module":
            _check_layer(node, traced.get_submodule(str(node.target)))
            _check_arguments(node)
        case "call_function":
            if not operators.knows_function(node.target):
                raise _unknown(node, getattr(node.target, "__name__", str(node.target)))
            _check_arguments(node)
        case "call_method":
            raise _unknown(node, str(node.target))
        case "get_attr":
            raise refused(
                str(node.target),
                "a constant of the network takes part in its computation",
                hint="constants belong into the weights and biases of layers",
            )


def _unknown(node: fx.Node, what: str) -> BuildError:
    instead = _INSTEAD.get(what)
    there = f"there are x + y, {operators.layer_names()}, and FlattenMaps at the end"
    return refused(
        owner(node),
        f"the compiler has no operator for {what}",
        hint=f"use {instead}; {there}" if instead else there,
    )


def _check_layer(node: fx.Node, layer: nn.Module) -> None:
    """Refuse a layer that does not compute what its class does, or has numbers that are none."""
    name = owner(node)
    known: list[type[nn.Module]] = [FlattenMaps, *NOTHING]
    known += [of for kind in operators.KINDS for of in kind.layers]
    of = next((one for one in known if isinstance(layer, one)), None)
    if of is None:
        raise _unknown(node, type(layer).__name__)
    if type(layer).forward is not of.forward:
        raise refused(
            name,
            f"{type(layer).__name__} computes something else than the {of.__name__} that it is",
            hint=f"use {of.__name__} itself",
        )
    if layer._forward_hooks or layer._forward_pre_hooks:  # noqa: SLF001
        raise refused(
            name,
            "it has hooks, which can change what it computes",
            hint="take the hooks off; torch.nn.utils.remove_weight_norm takes its one off",
        )
    for part, values in (*layer.named_parameters(), *layer.named_buffers()):
        if not torch.isfinite(values).all():
            raise refused(
                name,
                f"its {part} holds values that are not finite",
                hint="was the training stable, and is the checkpoint whole?",
            )
    if isinstance(layer, nn.Dropout | nn.Dropout2d) and layer.training:
        raise refused(
            name,
            "it drops values in evaluation too",
            hint="let the network's eval() reach it",
        )
    changes = getattr(layer, "inplace", False) and not isinstance(layer, NOTHING)
    if changes and len(node.all_input_nodes[0].users) > 1:
        raise refused(
            name,
            "it changes in place a map that others read too",
            hint="make it with inplace=False",
        )


def _check_arguments(node: fx.Node) -> None:
    """Refuse arguments that are no maps, and maps that stand there twice."""
    given = (*node.args, *node.kwargs.values())
    other = next((one for one in given if not isinstance(one, fx.Node)), None)
    if other is not None:
        raise refused(
            owner(node),
            f"it is called with {other!r}, which is no map of the network",
            hint="layers and additions take maps alone; constants belong into weights and biases",
        )
    if len(set(given)) != len(given):
        raise refused(
            owner(node),
            "it reads one map twice",
            hint="let the layer before give twice the values, or twice the channels",
        )


def check_value(traced: fx.GraphModule, node: fx.Node, value: object) -> None:
    """Refuse a layer's result that is no map, or one without a pixel.

    Args:
        traced: the network.
        node: what gave the value.
        value: its result.

    Raises:
        BuildError: it is refused.
    """
    if node.op not in {"call_module", "call_function"} or is_end(traced, node):
        return
    shape = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else type(value).__name__
    if not isinstance(value, torch.Tensor) or value.dim() != 4 or 0 in value.shape[1:]:
        raise refused(
            owner(node),
            f"its result is {shape}, not a map of (channels, rows, columns)",
            hint="is the input large enough for the network's windows and strides?",
        )


def check_input(traced: fx.GraphModule) -> None:
    """Refuse a network that does not take one map.

    Raises:
        BuildError: it is refused.
    """
    inputs = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise refused(
            "forward",
            f"the network takes {len(inputs)} inputs: {', '.join(str(n.target) for n in inputs)}",
            hint="a network takes one map: forward(self, x)",
        )


def check_end(traced: fx.GraphModule) -> None:
    """Refuse a network that does not end in one `FlattenMaps` of what layers compute.

    Raises:
        BuildError: it is refused.
    """
    nodes = list(traced.graph.nodes)
    ends = [node for node in nodes if is_end(traced, node)]
    if len(ends) != 1 or nodes[-1].args[0] is not ends[0] or len(ends[0].users) != 1:
        raise refused(
            "forward",
            "the network's result is no vector, no map, and no tuple of those",
            hint="return what layers compute, or end in one hil.models.blocks.FlattenMaps",
        )
    read = ends[0].all_input_nodes
    if not read or any(node.op == "placeholder" for node in read):
        raise refused(
            "forward",
            "its FlattenMaps reads the network's input, or nothing",
            hint="let a layer compute every map of the result",
        )


def check_names(nodes: Iterable[Node]) -> None:
    """Refuse layers whose names are one in C.

    Raises:
        BuildError: names both layers.
    """
    owners: dict[str, str] = {}
    for node in nodes:
        first = owners.setdefault(identifier(node.name), node.name)
        if first != node.name:
            raise refused(
                node.name,
                f"it and the layer {first} would both be {identifier(node.name)} in C",
                hint="rename one of them",
            )


def is_end(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is the `FlattenMaps` that a network ends in."""
    if node.op != "call_module":
        return False
    return isinstance(traced.get_submodule(str(node.target)), FlattenMaps)
