"""MobileNetV2 and what the paper makes of it, with an early pooling and RNNPool at the end."""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv, Stages, inverted_residuals
from hil.models.edgeml import block_names, pool_names
from hil.models.gated import CellName, rnnpool
from hil.models.pooling import Classifier, GlobalAverage, early_pooling
from hil.models.rnnpool import Order, RNNPool
from hil.models.variants import VARIANTS, Last, Pooling

_PATCH = 6  # of the early pooling, table 9


@dataclass(frozen=True)
class Size:
    """A MobileNetV2's dimensions.

    Attributes:
        width: multiplier of the stages' channels.
        stem, last: channels of the first and the last convolution.
        hidden: units of both cells of the early RNNPool; every early pooling leaves four times as
            many channels.
    """

    width: float
    stem: int
    last: int
    hidden: int
    classes: int


IMAGENET_10 = Size(width=1.0, stem=32, last=1280, hidden=16, classes=10)
VISUAL_WAKE_WORDS = Size(width=0.35, stem=8, last=320, hidden=8, classes=2)

# Expansion, channels, repeats, stride: MobileNetV2, table 2; RNNPool paper, table 10.
_STAGES: Stages = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STAGES_AFTER_POOLING = _STAGES[3:]


class MobileNetV2(nn.Module):
    """MobileNetV2 at 224x224 RGB, with one of the paper's poolings or none.

    An early pooling stands after the first convolution and takes its 112x112 map to 28x28, in the
    place of the first three stages. The last pooling takes the 7x7 map to one pixel; as RNNPool
    its cells have a quarter of the channels as units.

    Args:
        size: dimensions.
        pooling: the early one.
        last: the last one.
        order: of all RNNPools' outputs.
        cell: of all RNNPools.

    Source: RNNPool paper, section 4.1, tables 2 and 10, appendix C; EdgeML, visual_wakewords.
    """

    def __init__(
        self,
        size: Size,
        *,
        pooling: Pooling,
        last: Last,
        order: Order = "rows_first",
        cell: CellName = "fastgrnn",
    ) -> None:
        super().__init__()
        self.stem = ConvBNReLU6(3, size.stem, stride=2)
        self.pool = early_pooling(
            pooling, size.stem, 4 * size.hidden, patch=_PATCH, order=order, cell=cell
        )
        early = pooling == "none"
        inputs = size.stem if early else 4 * size.hidden
        stages = _STAGES if early else _STAGES_AFTER_POOLING
        blocks = inverted_residuals(inputs, stages, width=size.width)
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvBNReLU6(blocks[-1].channels, size.last, kernel=1)
        self.last: nn.Module = GlobalAverage()
        if last == "rnnpool":
            units = size.last // 4
            self.last = rnnpool(
                size.last,
                (units, units),
                cell=cell,
                patch=7,
                stride=7,
                repeat_last=0,
                order=order,
            )
        self.classifier = Classifier(size.last, size.classes)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, 224, 224) to logits (n, classes)."""
        x = self.stem(x)
        if self.pool is not None:
            x = self.pool(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.output(self.classifier(self.last(self.head(x))))
        return logits

    def edgeml_names(self) -> dict[str, tuple[str, ...]]:
        """Where EdgeML's state dicts keep the parameters of each submodule: our path to theirs."""
        names: dict[str, tuple[str, ...]] = {
            "stem.conv": ("features_init.0",),
            "stem.norm": ("features_init.1",),
        }
        names |= pool_names("pool", "rnn_model")
        for i, block in enumerate(self.blocks):
            if isinstance(block, MBConv):
                names |= block_names(f"blocks.{i}", f"features.{i}", block)
        head = f"features.{len(self.blocks)}"
        names |= {"head.conv": (f"{head}.0",), "head.norm": (f"{head}.1",)}
        names |= pool_names("last", "rnn_model_end")
        # A dropout stands before the linear layer, unless RNNPool does.
        linear = "classifier.0" if isinstance(self.last, RNNPool) else "classifier.1"
        return names | {"classifier.linear": (linear,)}


def variant(
    family: Size, name: str, *, order: Order = "rows_first", cell: CellName = "fastgrnn"
) -> MobileNetV2:
    """Make a row of the paper's table 2.

    Args:
        family: dimensions.
        name: a key of `VARIANTS`.
        order: of all RNNPools' outputs.
        cell: of all RNNPools.
    """
    pooling, last = VARIANTS[name]
    return MobileNetV2(family, pooling=pooling, last=last, order=order, cell=cell)


def vww(
    name: str,
    *,
    stem: int = VISUAL_WAKE_WORDS.stem,
    order: Order = "rows_first",
    cell: CellName = "fastgrnn",
) -> MobileNetV2:
    """Make a network of the Visual Wake Words column.

    Args:
        name: a key of `VARIANTS`.
        stem: channels of the first convolution. The paper's networks have 8; a trained one with
            RNNPool at the end alone has 32.
        order: of all RNNPools' outputs.
        cell: of all RNNPools; trained networks with GRU and LSTM are public too.
    """
    return variant(replace(VISUAL_WAKE_WORDS, stem=stem), name, order=order, cell=cell)


def mnv2(
    name: str,
    *,
    width: float = IMAGENET_10.width,
    order: Order = "rows_first",
    cell: CellName = "fastgrnn",
) -> MobileNetV2:
    """Make a network of the ImageNet-10 column.

    Args:
        name: a key of `VARIANTS`.
        width: multiplier of the stages' channels, but as in MobileNetV2 not of the last
            convolution's. At 0.9 the "rnnpool" row fits 2 MiB of flash.
        order: of all RNNPools' outputs.
        cell: of all RNNPools.
    """
    return variant(replace(IMAGENET_10, width=width), name, order=order, cell=cell)
