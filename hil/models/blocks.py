"""The convolutional blocks that the networks are built of."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Stages: TypeAlias = Sequence[tuple[int, int, int, int]]
"""Rows of the papers' tables of inverted residuals: expansion, channels, repeats, stride."""


class PaddedConv2d(nn.Conv2d):
    """A convolution whose four edges are padded with zeros each by its own count of pixels.

    Args:
        conv: whose weights it shares; its own padding counts too.
        edges: pixels left, right, top and bottom, as `nn.ZeroPad2d` has them.
    """

    def __init__(self, conv: nn.Conv2d, edges: tuple[int, int, int, int]) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(conv.__dict__)
        vertical, horizontal = (int(p) for p in conv.padding)
        left, right, top, bottom = edges
        self.edges = (left + horizontal, right + horizontal, top + vertical, bottom + vertical)
        self.padding = (0, 0)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as torch names it
        """Map (n, inputs, rows, columns) to (n, outputs, ...)."""
        return super().forward(functional.pad(input, self.edges))


class ConvBN(nn.Module):
    """Convolution without bias, padded by (kernel - 1) / 2, and batch norm."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, rows, columns) to (n, outputs, rows / stride, ...), rounded up."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


class ConvBNReLU6(ConvBN):
    """`ConvBN` and a ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel=kernel, stride=stride, groups=groups)
        self.activation = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, rows, columns) to (n, outputs, rows / stride, ...), rounded up."""
        activated: Tensor = self.activation(super().forward(x))
        return activated


class MBConv(nn.Module):
    """Inverted residual: expand 1x1, depthwise 3x3, project 1x1 linearly.

    Where input and output have one shape, the input is added to the result.

    Args:
        expansion: width of the depthwise stage over `inputs`; at 1 there is no expanding
            convolution.

    Source: MobileNetV2 (Sandler et al., 2018), section 3.3.
    """

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int = 1) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvBNReLU6(inputs, hidden, kernel=1) if expansion != 1 else None
        self.depthwise = ConvBNReLU6(hidden, hidden, stride=stride, groups=hidden)
        self.project = ConvBN(hidden, outputs, kernel=1)
        self.shortcut = stride == 1 and inputs == outputs
        self.channels = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, rows, columns) to (n, outputs, rows / stride, ...), rounded up."""
        hidden = x if self.expand is None else self.expand(x)
        y: Tensor = self.project(self.depthwise(hidden))
        return x + y if self.shortcut else y


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise convolution, each with batch norm and ReLU6.

    Source: MobileNet (Howard et al., 2017), section 3.1.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = ConvBNReLU6(inputs, inputs, stride=stride, groups=inputs)
        self.pointwise = ConvBNReLU6(inputs, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, rows, columns) to (n, outputs, rows / stride, ...), rounded up."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class L2Norm(nn.Module):
    """Each pixel's channel vector scaled to unit length, then by a learned weight per channel.

    Source: S3FD (Zhang et al., 2017), section 3.2; ParseNet (Liu et al., 2015).
    """

    def __init__(self, channels: int, *, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to the same shape."""
        length = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight.view(1, -1, 1, 1)


class MaxOut(nn.Module):
    """The first `groups` channels reduced to their maximum, the others kept."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, channels - groups + 1, rows, columns)."""
        best = x[:, : self.groups].amax(dim=1, keepdim=True)
        return torch.cat([best, x[:, self.groups :]], dim=1)


class Concat(nn.Module):
    """Maps of one size, their channels one after another."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Map any number of (n, channels, rows, columns) to (n, all channels, rows, columns)."""
        return torch.cat(maps, dim=1)


class FlattenMaps(nn.Module):
    """The network's result: maps in (row, column, channel) order, one after another."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Map any number of (n, channels, rows, columns) to (n, count)."""
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1) for m in maps], dim=1)


def vector_of(result: Tensor | Sequence[Tensor]) -> Tensor:
    """Return what a network gives as `FlattenMaps` would give it.

    Args:
        result: a vector (n, count), a map (n, channels, rows, columns), or several of either.

    Returns:
        (n, count), the values of several one after another.
    """
    parts = [result] if isinstance(result, Tensor) else result
    maps = [part if part.dim() == 4 else part.flatten(1)[:, :, None, None] for part in parts]
    y: Tensor = FlattenMaps()(*maps)
    return y


class Branches(nn.Module):
    """Layers side by side that read one map; the result is their maps, one after another."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.flatten = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, count)."""
        y: Tensor = self.flatten(*(layer(x) for layer in self.layers))
        return y


def inverted_residuals(inputs: int, stages: Stages, *, width: float = 1.0) -> list[MBConv]:
    """Make the inverted residuals of a network's stages.

    Args:
        inputs: channels of the first one's input.
        stages: one after another.
        width: multiplier of the channels.
    """
    blocks = []
    for expansion, channels, repeats, stride in stages:
        outputs = _divisible(channels * width)
        for i in range(repeats):
            first = stride if i == 0 else 1
            blocks.append(MBConv(inputs, outputs, expansion=expansion, stride=first))
            inputs = outputs
    return blocks


def _divisible(channels: float) -> int:
    """Round to a multiple of 8, at least 8, and not down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
