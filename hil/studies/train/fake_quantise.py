"""Quantisation-aware training: the network feels the rounding that the quantiser will do.

Weights are rounded to 8 bits per output channel, maps to 8 bits over the range that they were seen
to have. Gradients pass the rounding as if it were not there (the straight-through estimator).

Source: Jacob et al., 2018, section 3.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hil.models.blocks import ConvBN
from hil.models.fastgrnn import FastGRNN
from hil.models.rnnpool import RNNPool

_LEVELS, _MOST = 255, 127
_SLOWNESS = 0.99
_WEIGHTED = (nn.Conv2d, nn.Linear, FastGRNN)
_MAPS = (ConvBN, RNNPool, nn.Linear)


class FakeQuantiser:
    """Rounds a network's weights and maps while it trains.

    Args:
        module: told by its hooks; its state dict stays as it is.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = [
            parameter
            for layer in module.modules()
            if isinstance(layer, _WEIGHTED)
            for name, parameter in layer.named_parameters(recurse=False)
            if name in {"weight", "W", "U"}
        ]
        self._ranges: dict[str, tuple[float, float]] = {}
        for name, layer in module.named_modules():
            if isinstance(layer, _MAPS):
                layer.register_forward_hook(self._rounding(name))

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The range of every map so far, by its layer."""
        return dict(self._ranges)

    @ranges.setter
    def ranges(self, known: dict[str, tuple[float, float]]) -> None:
        self._ranges = {name: (low, high) for name, (low, high) in known.items()}

    @contextmanager
    def rounded_weights(self) -> Iterator[None]:
        """Round the weights while the block runs; gradients that it leaves are the weights'."""
        exact = [weight.detach().clone() for weight in self._weights]
        with torch.no_grad():
            for weight in self._weights:
                weight.copy_(_rounded_weight(weight))
        try:
            yield
        finally:
            with torch.no_grad():
                for weight, was in zip(self._weights, exact, strict=True):
                    weight.copy_(was)

    def _rounding(self, name: str):  # type: ignore[no-untyped-def]
        def hook(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
            del inputs
            if layer.training:
                self._note(name, float(output.detach().amin()), float(output.detach().amax()))
            if name not in self._ranges:
                return output
            return output + (_rounded_map(output, *self._ranges[name]) - output).detach()

        return hook

    def _note(self, name: str, low: float, high: float) -> None:
        was = self._ranges.get(name, (low, high))
        lowest = _SLOWNESS * was[0] + (1 - _SLOWNESS) * low
        highest = _SLOWNESS * was[1] + (1 - _SLOWNESS) * high
        self._ranges[name] = (min(0.0, lowest), max(0.0, highest))


def _rounded_weight(weight: Tensor) -> Tensor:
    """Round to -127..127 steps, each output channel's own; a cell's matrix has one step."""
    axes = tuple(range(1, weight.dim())) if weight.dim() != 2 else (1,)
    step = weight.abs().amax(dim=axes, keepdim=True).clamp(min=1e-12) / _MOST
    return (weight / step).round() * step


def _rounded_map(values: Tensor, low: float, high: float) -> Tensor:
    step = max(high - low, 1e-12) / _LEVELS
    return (values / step).round().clamp(round(low / step), round(high / step)) * step
