"""Networks trained with RNNPool's old order of outputs, rewritten for today's order."""

import torch
from torch import fx, nn

from hil.compiler.front.refusals import owner
from hil.compiler.operators.kind import refused
from hil.models.rnnpool import RNNPool


def put_rows_first(traced: fx.GraphModule) -> None:
    """Make every RNNPool give row summaries first, and permute what reads it, in place.

    Raises:
        BuildError: a reader whose channels cannot be permuted.
    """
    for node in traced.graph.nodes:
        layer = _layer(traced, node)
        if isinstance(layer, RNNPool) and layer.order == "columns_first":
            layer.order = "rows_first"
            half = layer.channels // 2
            order = torch.arange(layer.channels).roll(half)
            with torch.no_grad():
                _permute_readers(traced, node, order)


def _permute_readers(traced: fx.GraphModule, node: fx.Node, order: torch.Tensor) -> None:
    """Let whatever reads a map find in channel i what was in channel order[i]."""
    for reader in node.users:
        layer = _layer(traced, reader)
        match layer:
            case nn.Conv2d(groups=1):
                layer.weight.copy_(layer.weight[:, order])
            case nn.Conv2d() | nn.BatchNorm2d():
                for values in (*layer.parameters(), *layer.buffers()):
                    if values.dim() > 0:
                        values.copy_(values[order])
                _permute_readers(traced, reader, order)
            case nn.ReLU() | nn.ReLU6():
                _permute_readers(traced, reader, order)
            case _:
                raise refused(
                    owner(reader),
                    "it reads an RNNPool whose order of channels cannot be changed there",
                    hint='use order="rows_first"',
                )


def _layer(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None
