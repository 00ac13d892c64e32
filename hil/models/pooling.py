"""The poolings that the paper compares RNNPool with, all reducing a map by the same factor."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6
from hil.models.gated import CellName, rnnpool
from hil.models.renet import ReNet
from hil.models.rnnpool import Order
from hil.models.variants import Pooling

if TYPE_CHECKING:
    from collections.abc import Callable


class GlobalAverage(nn.Module):
    """The mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, channels, 1, 1)."""
        return x.mean(dim=(2, 3), keepdim=True)


class Classifier(nn.Module):
    """A linear layer on a map of one pixel."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, 1, 1) to (n, classes, 1, 1)."""
        logits: Tensor = self.linear(torch.flatten(x, 1))
        return logits[:, :, None, None]


def early_pooling(
    pooling: Pooling,
    inputs: int,
    outputs: int,
    *,
    patch: int,
    stride: int = 4,
    order: Order = "rows_first",
    cell: CellName = "fastgrnn",
) -> nn.Module | None:
    """Make the layer that stands early in a network and takes a large map to a small one.

    Args:
        pooling: its kind; None is made for "none".
        inputs: channels of the large map.
        outputs: channels of the small map, four times the units of an RNNPool's cells.
        patch: of RNNPool, and kernel of a strided convolution.
        stride: by which the map shrinks.
        order: of an RNNPool's outputs.
        cell: of an RNNPool.
    """
    units = outputs // 4
    makers: dict[Pooling, Callable[[], nn.Module | None]] = {
        "none": lambda: None,
        "average": lambda: plain_pooling(nn.AvgPool2d, inputs, outputs, stride=stride),
        "max": lambda: plain_pooling(nn.MaxPool2d, inputs, outputs, stride=stride),
        "strided": lambda: strided_convolution(inputs, outputs, kernel=patch, stride=stride),
        "renet": lambda: ReNet(inputs, 2 * units, patch=stride),
        "rnnpool": lambda: rnnpool(
            inputs, (units, units), cell=cell, patch=patch, stride=stride, order=order
        ),
    }
    return makers[pooling]()


def strided_convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Module:
    """Convolution with the patch and stride of an RNNPool layer.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: pixels of its side.
        stride: both ways.
    """
    return ConvBNReLU6(inputs, outputs, kernel=kernel, stride=stride)


def plain_pooling(
    kind: type[nn.AvgPool2d] | type[nn.MaxPool2d], inputs: int, outputs: int, *, stride: int
) -> nn.Module:
    """Average or maximum of stride x stride pixels, then a 1x1 convolution where channels differ.

    The paper's text has all poolings leave maps of one size. A pooling keeps its channels, so
    something must widen them, and the paper does not say what; the 1x1 convolution costs 0.2 M
    multiply-accumulates in the Visual Wake Words network and meets its count there within 1 %.

    Args:
        kind: torch's average or maximum pooling.
        inputs: channels.
        outputs: channels.
        stride: pixels of a window's side, and from window to window.
    """
    pool: nn.Module = kind(stride)
    if inputs == outputs:
        return pool
    return nn.Sequential(pool, ConvBNReLU6(inputs, outputs, kernel=1))
