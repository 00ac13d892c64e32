"""The poolings that the paper compares RNNPool with, all reducing a map by the same factor."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6
from hil.models.rnnpool import Order, RNNPool
from hil.models.variants import Pooling

if TYPE_CHECKING:
    from collections.abc import Callable


class ReNet(nn.Module):
    """ReNet: patches as vectors, swept by a GRU along the columns, then by one along the rows.

    Both GRUs run in both directions. Unlike RNNPool's, their sweeps cross the whole map, so that
    the whole map must be stored.

    Args:
        channels: of the input map.
        hidden: units in each direction; the output has twice as many channels.
        patch: size of the patches, which do not overlap.

    Source: ReNet (Visin et al., 2015), section 2; patches of 4x4 give the RNNPool paper's counts
        (table 2: 14.5 M multiply-accumulates in the Visual Wake Words network, 96 M in
        MobileNetV2).
    """

    def __init__(self, channels: int, hidden: int, *, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.channels = 2 * hidden
        self.vertical = nn.GRU(channels * patch**2, hidden, batch_first=True, bidirectional=True)
        self.horizontal = nn.GRU(2 * hidden, hidden, batch_first=True, bidirectional=True)

    def macs(self, rows: int, columns: int) -> int:
        """Multiply-accumulates on a map of this size."""
        grus = (self.vertical, self.horizontal)
        per_patch = sum(2 * 3 * g.hidden_size * (g.input_size + g.hidden_size) for g in grus)
        return (rows // self.patch) * (columns // self.patch) * per_patch

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, 2 * hidden, rows / patch, columns / patch)."""
        n, channels, rows, columns = x.shape
        down, across = rows // self.patch, columns // self.patch
        x = x[:, :, : down * self.patch, : across * self.patch]
        cells = x.reshape(n, channels, down, self.patch, across, self.patch)
        columns_of_patches = cells.permute(0, 4, 2, 1, 3, 5).reshape(n * across, down, -1)
        of_columns, _ = self.vertical(columns_of_patches)
        rows_of_cells = of_columns.reshape(n, across, down, -1).transpose(1, 2)
        of_rows, _ = self.horizontal(rows_of_cells.reshape(n * down, across, -1))
        y: Tensor = of_rows.reshape(n, down, across, -1).permute(0, 3, 1, 2)
        return y


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
) -> nn.Module | None:
    """Make the layer that stands early in a network and takes a large map to a small one.

    Args:
        pooling: its kind; None is made for "none".
        inputs: channels of the large map.
        outputs: channels of the small map, four times the units of an RNNPool's cells.
        patch: of RNNPool, and kernel of a strided convolution.
        stride: by which the map shrinks.
        order: of an RNNPool's outputs.
    """
    units = outputs // 4
    makers: dict[Pooling, Callable[[], nn.Module | None]] = {
        "none": lambda: None,
        "average": lambda: plain_pooling(nn.AvgPool2d, inputs, outputs, stride=stride),
        "max": lambda: plain_pooling(nn.MaxPool2d, inputs, outputs, stride=stride),
        "strided": lambda: strided_convolution(inputs, outputs, kernel=patch, stride=stride),
        "renet": lambda: ReNet(inputs, 2 * units, patch=stride),
        "rnnpool": lambda: RNNPool(inputs, (units, units), patch=patch, stride=stride, order=order),
    }
    return makers[pooling]()


def strided_convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Module:
    """Convolution with the patch and stride of an RNNPool layer."""
    return ConvBNReLU6(inputs, outputs, kernel=kernel, stride=stride)


def plain_pooling(
    kind: type[nn.AvgPool2d] | type[nn.MaxPool2d], inputs: int, outputs: int, *, stride: int
) -> nn.Module:
    """Average or maximum of stride x stride pixels, then a 1x1 convolution where channels differ.

    The paper's text has all poolings leave maps of one size. A pooling keeps its channels, so
    something must widen them, and the paper does not say what; the 1x1 convolution costs 0.2 M
    multiply-accumulates in the Visual Wake Words network and meets its count there within 1 %.
    """
    pool: nn.Module = kind(stride)
    if inputs == outputs:
        return pool
    return nn.Sequential(pool, ConvBNReLU6(inputs, outputs, kernel=1))
