"""A network as a small graph of operators with float weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from hil.compiler.operators.kind import INPUT, Float64, Node
from hil.compiler.program import Float32, Shape
from hil.models.threads import one_thread


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as a graph of layers: its nodes, in the order in which they are computed.

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
        values = values_of(self.traced, batch, {node.value for node in self.nodes})
        maps = {node.name: values[node.value] for node in self.nodes} | {INPUT: batch}
        return {name: m.permute(0, 2, 3, 1).contiguous().numpy() for name, m in maps.items()}


def values_of(
    traced: fx.GraphModule, batch: torch.Tensor, wanted: set[str] | None
) -> dict[str, torch.Tensor]:
    """Run the traced network and keep the values of the wanted nodes, or of all.

    Args:
        traced: the network.
        batch: images, (images, channels, rows, columns).
        wanted: names of nodes; None for all.

    Returns:
        by node, the values as torch lays them out.
    """
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
