"""A small network with RNNPool, quick to train: is a photograph of 25x25 pixels a face?"""

from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv
from hil.models.pooling import Classifier, GlobalAverage, early_pooling
from hil.models.variants import Pooling

_STEM, _UNITS, _PATCH, _LAST = 8, 8, 6, 48


class FaceOrNot(nn.Module):
    """A convolution, an early pooling from 24x24 to 6x6, two inverted residuals, a mean.

    Args:
        pooling: the early one, to compare.
    """

    def __init__(self, pooling: Pooling = "rnnpool") -> None:
        super().__init__()
        channels = 4 * _UNITS
        self.stem = ConvBNReLU6(1, _STEM)
        self.pool = early_pooling(pooling, _STEM, channels, patch=_PATCH) or nn.Identity()
        self.blocks = nn.Sequential(
            MBConv(channels, channels, expansion=2),
            MBConv(channels, _LAST, expansion=2, stride=2),
        )
        self.mean = GlobalAverage()
        self.classifier = Classifier(_LAST, 2)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 1, 24, 24) to logits (n, 2): face, other."""
        pooled = self.pool(self.stem(x))
        logits: Tensor = self.output(self.classifier(self.mean(self.blocks(pooled))))
        return logits


def face_or_not(*, pooling: Pooling = "rnnpool") -> FaceOrNot:
    """Make the network.

    Args:
        pooling: "rnnpool", or another of the paper's table 2 in its place.
    """
    return FaceOrNot(pooling)
