"""How much a network's task feels an error of each value of each map.

The task's loss is the squared error of the outputs, each of the result's maps measured in its own
standard deviation. To first order a small error e of a value adds e**2 * g**2 to it, where g is the
gradient of an output; averaged over outputs of random signs this is the diagonal of the
Gauss-Newton matrix.

Source: Post-training 4-bit quantization (Banner et al.), and Up or Down? Adaptive Rounding (Nagel
et al., 2020), section 3, on the loss's second order; Hutchinson's estimator for the diagonal.
"""

from typing import Any

import numpy as np
import torch
from torch import fx

from hil.compiler.front.graph import Graph
from hil.compiler.operators.kind import Float64
from hil.models.threads import one_thread

_DRAWS = 2  # of random signs, for each image
_FLOOR = 0.05  # of the mean: what calibration's photographs do not show may still matter


def felt(graph: Graph, images: Float64) -> dict[str, Float64]:
    """Estimate it for every map.

    Args:
        graph: the float network.
        images: of calibration, (images, rows, columns, channels).

    Returns:
        By node's name, of its activations' shape; 1 on average.
    """
    random = np.random.default_rng(0)
    found: dict[str, list[Float64]] = {node.name: [] for node in graph.nodes}
    with one_thread():
        for image in images:
            for name, squares in _of_image(graph, image, random).items():
                found[name].append(squares)
    return {name: _level(np.stack(squares)) for name, squares in found.items()}


def _of_image(graph: Graph, image: Float64, random: np.random.Generator) -> dict[str, Float64]:
    names = {node.value: node.name for node in graph.nodes}
    values: dict[str, torch.Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if isinstance(value, torch.Tensor) and n.name in names:
                values[names[n.name]] = value
            return value

    batch = torch.from_numpy(image).permute(2, 0, 1)[None].requires_grad_()
    with torch.enable_grad():
        Recorder(graph.traced).run(batch)
    wanted = {name: value for name, value in values.items() if value.requires_grad}
    totals = {name: np.zeros(_shape(value)) for name, value in values.items()}
    results = [values[name] for name in graph.outputs]
    for _ in range(_DRAWS):
        signs = [
            torch.from_numpy(random.choice([-1.0, 1.0], tuple(result.shape))) for result in results
        ]
        summed = torch.stack(
            [
                (sign * result).sum() / result.detach().std().clamp_min(1e-12)
                for sign, result in zip(signs, results, strict=True)
            ]
        ).sum()
        gradients = torch.autograd.grad(
            summed, list(wanted.values()), retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(wanted, gradients, strict=True):
            if gradient is not None:
                totals[name] += np.square(_maps(gradient))
    return totals


def _maps(value: torch.Tensor) -> Float64:
    """(rows, columns, channels) of a batch of one."""
    mapped: Float64 = value.reshape(value.shape[1], -1).T.reshape(_shape(value)).numpy()
    return mapped


def _shape(value: torch.Tensor) -> tuple[int, int, int]:
    if value.dim() != 4:
        return (1, 1, value.numel())
    return (value.shape[2], value.shape[3], value.shape[1])


def _level(squares: Float64) -> Float64:
    mean = float(squares.mean())
    if mean == 0.0:
        return np.ones_like(squares)
    levelled: Float64 = squares / mean + _FLOOR
    return levelled
