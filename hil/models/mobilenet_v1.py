"""MobileNetV1 of the paper's table 3, with an early RNNPool or ReNet or none."""

from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6, FlattenMaps, Separable
from hil.models.gated import CellName
from hil.models.pooling import Classifier, GlobalAverage, early_pooling
from hil.models.rnnpool import Order
from hil.models.variants import VARIANTS

_STEM = 32
_HIDDEN = 16
_PATCH = 6
_CLASSES = 1000

# Channels, stride: MobileNet (Howard et al., 2017), table 1.
_EARLY = ((64, 1), (128, 2), (128, 1), (256, 2))
_LATE = ((256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class MobileNetV1(nn.Module):
    """MobileNetV1 at 224x224 RGB.

    An early pooling takes the stem's 112x112x32 map to 28x28x64, in the place of the first four
    separable convolutions. The paper does not say how many it replaces; with these four the count
    with ReNet is the paper's to its last digit, and the largest map is the paper's 28x28x256.

    Args:
        row: a key of `VARIANTS`, of which table 3 has "base", "renet" and "rnnpool".
        order: of the RNNPool's outputs.
        width: multiplier of all channels.
        cell: of the RNNPool.

    Source: MobileNet (Howard et al., 2017), table 1; RNNPool paper, table 3.
    """

    def __init__(
        self,
        row: str,
        *,
        order: Order = "rows_first",
        width: float = 1.0,
        cell: CellName = "fastgrnn",
    ) -> None:
        super().__init__()
        pooling, _ = VARIANTS[row]
        stem, pooled = int(_STEM * width), 4 * int(_HIDDEN * width)
        self.stem = ConvBNReLU6(3, stem, stride=2)
        self.pool = early_pooling(pooling, stem, pooled, patch=_PATCH, order=order, cell=cell)
        layers: list[nn.Module] = []
        channels = stem if self.pool is None else pooled
        for outputs, stride in (*_EARLY, *_LATE) if self.pool is None else _LATE:
            layers.append(Separable(channels, int(outputs * width), stride=stride))
            channels = int(outputs * width)
        self.blocks = nn.ModuleList(layers)
        self.last = GlobalAverage()
        self.classifier = Classifier(channels, _CLASSES)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, 224, 224) to logits (n, classes)."""
        x = self.stem(x)
        if self.pool is not None:
            x = self.pool(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.output(self.classifier(self.last(x)))
        return logits


def mnv1(
    row: str,
    *,
    order: Order = "rows_first",
    width: float = 1.0,
    cell: CellName = "fastgrnn",
) -> MobileNetV1:
    """Make a network of table 3, or a narrower one of its kind.

    Args:
        row: of table 3, such as "rnnpool".
        order: of RNNPool's outputs in the weights.
        width: factor on the channels.
        cell: of the pooling layer.
    """
    return MobileNetV1(row, order=order, width=width, cell=cell)
