"""Channels of a map brought to one range, the layers that read it taking the factors in.

A map has one scale, so the channels that reach least far are rounded most coarsely. Where the layer
behind has weights of its own for each channel, or can take other ones, each channel may have a
factor: its bytes then use their whole range, and the firmware computes no more than before.

Source: Data-Free Quantization Through Weight Equalization and Bias Correction (Nagel et al., 2019),
section 4.1; with ReLU6 a factor lets the channel clip where its bytes end, which is beyond all that
calibration met.
"""

from collections.abc import Mapping

import numpy as np

from hil.compiler import operators
from hil.compiler.front.graph import Graph
from hil.compiler.operators.kind import Float64

_MARGIN = 2.0  # beyond what calibration met: other photographs reach further, and are cut off
_LEAST = 1 / 16  # so that multipliers stay within their bits, and rare channels are not cut off


def factors(graph: Graph, activations: Mapping[str, Float64]) -> dict[str, tuple[float, ...]]:
    """Choose the factors of every map of which all readers can take them in.

    Args:
        graph: the network's operators.
        activations: what each node gave in calibration, (images, rows, columns, channels).

    Returns:
        By map, for each channel, 1 at most.
    """
    shares: dict[str, float] = {}
    for node in graph.nodes:
        kind = operators.of(node)
        for source in node.inputs:
            shares[source] = min(shares.get(source, 1.0), kind.takes_factors(node, source))
    return {
        node.name: _chosen(activations[node.name], shares[node.name])
        for node in graph.nodes
        if node.name not in graph.outputs
        and shares.get(node.name, 0.0) > 0.0
        and operators.of(node).gives_factors(node)
    }


def _chosen(values: Float64, share: float) -> tuple[float, ...]:
    reach = np.abs(values).max(axis=(0, 1, 2))
    most = float(reach.max()) or 1.0
    chosen = np.clip(_MARGIN * reach / most, _LEAST, 1.0) ** share
    return tuple(float(one) for one in chosen)
