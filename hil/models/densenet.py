"""DenseNet121 and what the paper makes of it, with an early pooling and RNNPool at the end."""

from collections.abc import Sequence

from torch import Tensor, nn

from hil.models.blocks import Concat, FlattenMaps
from hil.models.pooling import Classifier, GlobalAverage, early_pooling
from hil.models.rnnpool import Order, RNNPool
from hil.models.variants import VARIANTS

_GROWTH = 32
_BOTTLENECK = 4  # of a dense layer's 1x1 convolution, over the growth
_STEM = 64
_LAYERS = (6, 12, 24, 16)  # of the dense blocks
_TRANSITION = 256  # channels that the third dense block starts from
_HIDDEN = 48  # units of both cells of the early RNNPool, table 9
_PATCH = 8
_CLASSES = 10


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution; the result joins the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.squeeze = _NormReluConv(inputs, _BOTTLENECK * growth, kernel=1)
        self.grow = _NormReluConv(_BOTTLENECK * growth, growth, kernel=3)
        self.join = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, rows, columns) to (n, inputs + growth, rows, columns)."""
        y: Tensor = self.join(x, self.grow(self.squeeze(x)))
        return y


class DenseNet121(nn.Module):
    """DenseNet121 at 224x224 RGB, with one of the paper's poolings or none.

    An early pooling takes the stem's 112x112 map to 28x28, in the place of the max pooling, the
    first two dense blocks and the transition between them. The transition after it leads to the
    256 channels that the third dense block starts from, whatever the pooling leaves: so the third
    block ends in the 1024 channels that the paper's memory figure counts, and parameters agree. The
    paper's body says that 28x28x128 are left, its figure 2 and its counts say 192.

    Args:
        row: a key of `VARIANTS`.
        order: of all RNNPools' outputs.
        stem: channels of the first convolution.
        hidden: units of both cells of an early RNNPool; any early pooling leaves four times as
            many channels.
        transition: channels that the third dense block starts from.
        growth: channels that a dense layer adds.
        layers: of the dense blocks.

    Source: DenseNet (Huang et al., 2017), table 1; RNNPool paper, figure 2, tables 2 and 9.
    """

    def __init__(
        self,
        row: str,
        *,
        order: Order = "rows_first",
        stem: int = _STEM,
        hidden: int = _HIDDEN,
        transition: int = _TRANSITION,
        growth: int = _GROWTH,
        layers: Sequence[int] = _LAYERS,
    ) -> None:
        super().__init__()
        pooling, last = VARIANTS[row]
        self.stem = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stem_activation = nn.ReLU()
        self.pool = early_pooling(pooling, stem, 4 * hidden, patch=_PATCH, order=order)
        blocks: list[nn.Module] = []
        channels = stem if self.pool is None else 4 * hidden
        if self.pool is None:
            blocks.append(nn.MaxPool2d(3, 2, 1))
            channels = _dense_block(blocks, channels, growth, layers[0])
            channels = _transition(blocks, channels, channels // 2)
            channels = _dense_block(blocks, channels, growth, layers[1])
        channels = _transition(blocks, channels, transition)
        channels = _dense_block(blocks, channels, growth, layers[2])
        channels = _transition(blocks, channels, channels // 2)
        channels = _dense_block(blocks, channels, growth, layers[3])
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU()
        self.last: nn.Module = GlobalAverage()
        if last == "rnnpool":
            units = channels // 4
            self.last = RNNPool(
                channels, (units, units), patch=7, stride=7, repeat_last=0, order=order
            )
        self.classifier = Classifier(channels, _CLASSES)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, 224, 224) to logits (n, classes)."""
        x = self.stem_activation(self.stem_norm(self.stem(x)))
        if self.pool is not None:
            x = self.pool(x)
        for block in self.blocks:
            x = block(x)
        x = self.activation(self.norm(x))
        logits: Tensor = self.output(self.classifier(self.last(x)))
        return logits


class _NormReluConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, kernel: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.activation = nn.ReLU()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.activation(self.norm(x)))
        return y


def _dense_block(layers: list[nn.Module], channels: int, growth: int, count: int) -> int:
    """Append a dense block; returns the channels that it leaves."""
    for _ in range(count):
        layers.append(DenseLayer(channels, growth))
        channels += growth
    return channels


def _transition(layers: list[nn.Module], inputs: int, outputs: int) -> int:
    """Append a 1x1 convolution and a halving of the map; returns the channels left."""
    layers += [_NormReluConv(inputs, outputs, kernel=1), nn.AvgPool2d(2)]
    return outputs


def densenet121(
    row: str,
    *,
    order: Order = "rows_first",
    stem: int = _STEM,
    hidden: int = _HIDDEN,
    transition: int = _TRANSITION,
    growth: int = _GROWTH,
    layers: Sequence[int] = _LAYERS,
) -> DenseNet121:
    """Make a network of the ImageNet-10 column of table 2, or a smaller one of its kind.

    Args:
        row: of table 2, such as "rnnpool".
        order: of RNNPool's outputs in the weights.
        stem: channels of the first convolution.
        hidden: units of each of RNNPool's cells.
        transition: channels that the first block reads.
        growth: channels that a layer adds.
        layers: of each block.
    """
    return DenseNet121(
        row,
        order=order,
        stem=stem,
        hidden=hidden,
        transition=transition,
        growth=growth,
        layers=layers,
    )
