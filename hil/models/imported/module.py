"""An imported network in floats: what its integers stand for, to hold them against."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hil.models.imported.network import Chances, Conv, Layer, Mean, Network, Pool, Sum


class Imported(nn.Module):
    """The network that a file states, computed in floats from its weights times their scales."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        for layer in network.layers:
            self.add_module(layer.name, _module(layer, network))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, outputs), maps pixel by pixel."""
        values = {self.network.input.name: x}
        for layer in self.network.layers:
            read = [values[name] for name in layer.inputs]
            values[layer.output.name] = getattr(self, layer.name)(*read)
        ends = [values[name].permute(0, 2, 3, 1).flatten(1) for name in self.network.outputs]
        return torch.cat(ends, dim=1)


class _Real(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.low, self.high = layer.low, layer.high

    def clamped(self, y: Tensor) -> Tensor:
        if math.isinf(self.low) and math.isinf(self.high):
            return y
        return torch.clamp(y, self.low, self.high)


class _Conv(_Real):
    def __init__(self, layer: Conv, x_scale: float) -> None:
        super().__init__(layer)
        scales = layer.weight_scales
        weight = layer.weight.astype(np.float64) * scales[:, None, None, None]
        bias = layer.bias.astype(np.float64) * scales * x_scale
        self.weight = nn.Parameter(torch.from_numpy(weight).permute(0, 3, 1, 2).float())
        self.bias = nn.Parameter(torch.from_numpy(bias).float())
        self.stride, self.groups = layer.stride, len(scales) if layer.depthwise else 1
        top, left, bottom, right = layer.padding
        self.edges = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, self.edges)
        y = functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)
        return self.clamped(y)


class _Pool(_Real):
    def __init__(self, layer: Pool) -> None:
        super().__init__(layer)
        self.kind, self.window, self.stride = layer.kind, layer.window, layer.stride
        top, left, bottom, right = layer.padding
        self.edges = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "average":
            return self.clamped(functional.avg_pool2d(x, self.window, self.stride))
        padded = functional.pad(x, self.edges, value=-math.inf)
        return self.clamped(functional.max_pool2d(padded, self.window, self.stride))


class _Mean(_Real):
    def forward(self, x: Tensor) -> Tensor:
        return self.clamped(x.mean((2, 3), keepdim=True))


class _Sum(_Real):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.clamped(x + y)


class _Chances(_Real):
    def __init__(self, layer: Chances) -> None:
        super().__init__(layer)
        self.beta = layer.beta

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.beta * x, dim=1)


def _module(layer: Layer, network: Network) -> nn.Module:
    match layer:
        case Conv():
            return _Conv(layer, network.maps[layer.inputs[0]].scale)
        case Pool():
            return _Pool(layer)
        case Mean():
            return _Mean(layer)
        case Sum():
            return _Sum(layer)
        case Chances():
            return _Chances(layer)
    raise TypeError(type(layer).__name__)
