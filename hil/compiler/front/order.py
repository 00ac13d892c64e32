"""Layers whose channels may come in several orders, rewritten for the compiler's."""

from collections.abc import Sequence

from torch import fx, nn

from hil.compiler import operators
from hil.compiler.front.refusals import owner
from hil.compiler.operators.kind import refused

_HINT = 'use order="rows_first"'


def put_in_order(traced: fx.GraphModule) -> None:
    """Give every layer the compiler's order of channels, and permute what reads it, in place.

    Raises:
        BuildError: a reader whose channels cannot be permuted.
    """
    for node in traced.graph.nodes:
        layer = _layer(traced, node)
        order = operators.of_layer(layer).put_in_order(layer) if layer else None
        if order is None:
            continue
        if _calls(node) > 1:
            raise refused(
                owner(node),
                "it is called more than once, so that its order of channels cannot be changed",
                hint=_HINT,
            )
        _permute_readers(traced, node, order)


def _permute_readers(traced: fx.GraphModule, node: fx.Node, order: Sequence[int]) -> None:
    """Let whatever reads a map find in channel i what was in channel order[i]."""
    for reader in node.users:
        layer = _layer(traced, reader) if _calls(reader) == 1 else None
        match operators.of_layer(layer).permute(layer, order) if layer else "impossible":
            case "passed":
                _permute_readers(traced, reader, order)
            case "impossible":
                raise refused(
                    owner(reader),
                    "it reads a layer whose order of channels cannot be changed there",
                    hint=_HINT,
                )


def _calls(node: fx.Node) -> int:
    """Count the calls of the layer that a node calls; 1 of a function."""
    nodes = node.graph.nodes
    return sum(n.op == node.op == "call_module" and n.target == node.target for n in nodes) or 1


def _layer(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the layer that a node calls, None where no operator is made of such."""
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    return layer if layer is not None and operators.knows_layer(layer) else None
