"""RNNPool face detectors: a stem, RNNPool, inverted residuals, and heads on several maps."""

from collections.abc import Sequence

from torch import Tensor, nn

from hil.models.blocks import (
    ConvBNReLU6,
    FlattenMaps,
    L2Norm,
    MaxOut,
    MBConv,
    Separable,
    inverted_residuals,
)
from hil.models.edgeml import block_names, pool_names
from hil.models.gated import CellName, rnnpool
from hil.models.rnnpool import Order, RNNPool
from hil.vision.detection import Anchor

_NORM_SCALES = (10.0, 8.0, 5.0)  # of the first three maps, as in S3FD
_BACKGROUNDS = 3  # background outputs of the first class head, of which the largest counts

_VGA_ANCHORS = tuple(Anchor(step, 4 * step) for step in (4, 8, 16, 32, 64, 128))
_QVGA_ANCHORS = (Anchor(8, 8), Anchor(8, 16), Anchor(16, 32), Anchor(16, 48))


class FaceDetector(nn.Module):
    """A single-shot detector in the form that all of the paper's face models share.

    The copies of the first three maps that go to the heads are L2-normalised; the backbone goes on
    from the maps as they are. Each head is one convolution; the class heads give [background,
    face], the first of them as a max-out over three backgrounds.

    Args:
        stem: convolutions before the pooling.
        pool: the RNNPool layer.
        blocks: what follows it, in a chain.
        taps: after how many blocks a map goes to the heads; 0 is the map before the pooling.
        tap_channels, head_kernels, anchors: of each map.
        reduce_first: channels of a strided convolution before each head of the first map, if any.

    Source: RNNPool paper, section 4.2 and appendix F; EdgeML, Face_Detection/models.
    """

    def __init__(
        self,
        *,
        stem: Sequence[nn.Module],
        pool: RNNPool,
        blocks: Sequence[nn.Module],
        taps: Sequence[int],
        tap_channels: Sequence[int],
        head_kernels: Sequence[int],
        anchors: Sequence[Anchor],
        reduce_first: int | None = None,
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.anchors = tuple(anchors)
        self.stem = nn.ModuleList(stem)
        self.pool = pool
        self.blocks = nn.ModuleList(blocks)
        self.norms = nn.ModuleList(
            L2Norm(channels, scale=scale)
            for channels, scale in zip(tap_channels, _NORM_SCALES, strict=False)
        )
        classes = [_BACKGROUNDS + 1] + [2] * (len(taps) - 1)
        reductions = [reduce_first] + [None] * (len(taps) - 1)
        shapes = list(zip(tap_channels, head_kernels, reductions, strict=True))
        self.conf = nn.ModuleList(
            Head(channels, n, kernel=kernel, reduce=reduction)
            for n, (channels, kernel, reduction) in zip(classes, shapes, strict=True)
        )
        self.loc = nn.ModuleList(
            Head(channels, 4, kernel=kernel, reduce=reduction)
            for channels, kernel, reduction in shapes
        )
        self.max_out = MaxOut(_BACKGROUNDS)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Detect faces.

        Args:
            x: (n, channels, rows, columns), preprocessed.

        Returns:
            (n, count): the class logits of all maps, then the box offsets of all maps, each in
            (row, column, channel) order.
        """
        for layer in self.stem:
            x = layer(x)
        conf: list[Tensor] = []
        loc: list[Tensor] = []
        if 0 in self.taps:
            self._look(x, conf, loc)
        x = self.pool(x)
        for count, block in enumerate(self.blocks, start=1):
            x = block(x)
            if count in self.taps:
                self._look(x, conf, loc)
        flat: Tensor = self.output(*conf, *loc)
        return flat

    def _look(self, x: Tensor, conf: list[Tensor], loc: list[Tensor]) -> None:
        """Run a map's heads as soon as it is there, so that little has to be kept for later."""
        i = len(conf)
        x = self.norms[i](x) if i < len(self.norms) else x
        classes = self.conf[i](x)
        conf.append(self.max_out(classes) if i == 0 else classes)
        loc.append(self.loc[i](x))

    def edgeml_names(self) -> dict[str, tuple[str, ...]]:
        """Where EdgeML's state dicts keep the parameters of each submodule: our path to theirs."""
        names: dict[str, tuple[str, ...]] = {}
        for i in range(len(self.stem)):
            theirs = "conv" if len(self.stem) == 1 else f"conv_top.{i}"
            names[f"stem.{i}.conv"] = (f"{theirs}.0",)
            names[f"stem.{i}.norm"] = (f"{theirs}.1",)
        names |= pool_names("pool", "rnn_model")
        for i, block in enumerate(self.blocks):
            if isinstance(block, MBConv):
                names |= block_names(f"blocks.{i}", f"mob.{i}", block)
        for i in range(len(self.norms)):
            names[f"norms.{i}"] = (f"L2Norm{3 + i}_3",)
        for kind, heads in (("conf", self.conf), ("loc", self.loc)):
            names |= _head_names(kind, heads)
        return names


class Head(nn.Module):
    """A convolution with bias that gives the outputs of one map, after a strided one or not."""

    def __init__(
        self, channels: int, outputs: int, *, kernel: int, reduce: int | None = None
    ) -> None:
        super().__init__()
        self.reduce = ConvBNReLU6(channels, reduce, stride=2) if reduce is not None else None
        self.conv = nn.Conv2d(reduce or channels, outputs, kernel, padding=(kernel - 1) // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, outputs, rows, columns), halved if reduced."""
        y: Tensor = self.conv(x if self.reduce is None else self.reduce(x))
        return y


def face_m4(*, order: Order = "rows_first", cell: CellName = "fastgrnn") -> FaceDetector:
    """RNNPool-Face-M4, the paper's detector for a microcontroller.

    It takes 320x240 monochrome pixels and gives 18,000 values.
    The patch of 8 pixels is EdgeML's; the paper does not state it.

    Source: RNNPool paper, table 15 and section 4.3; EdgeML, RPool_Face_M4.py.

    Args:
        order: of RNNPool's outputs in the weights.
        cell: of the pooling layer.
    """
    return FaceDetector(
        stem=[ConvBNReLU6(1, 4, stride=2)],
        pool=rnnpool(
            4, (16, 16), cell=cell, patch=8, stride=4, density=(0.5, 0.3, 0.3, 0.3), order=order
        ),
        blocks=[
            MBConv(64, 32, expansion=2),
            MBConv(32, 32, expansion=2),
            MBConv(32, 64, expansion=2, stride=2),
            MBConv(64, 64, expansion=2),
        ],
        taps=(1, 2, 3, 4),
        tap_channels=(32, 32, 64, 64),
        head_kernels=(3, 3, 3, 3),
        anchors=_QVGA_ANCHORS,
    )


def face_qvga(*, order: Order = "rows_first", cell: CellName = "fastgrnn") -> FaceDetector:
    """RNNPool-Face-QVGA, the monochrome detector that EdgeML deploys beside Face-M4: 18,000 values.

    Source: EdgeML, RPool_Face_QVGA_monochrome.py; the paper does not describe it.

    Args:
        order: of RNNPool's outputs in the weights.
        cell: of the pooling layer.
    """
    stages = ((2, 32, 4, 1), (2, 32, 4, 1), (2, 96, 3, 2), (2, 128, 3, 1))
    return FaceDetector(
        stem=[ConvBNReLU6(1, 4, stride=2)],
        pool=rnnpool(4, (16, 16), cell=cell, patch=8, stride=4, order=order),
        blocks=inverted_residuals(64, stages),
        taps=(4, 8, 11, 14),
        tap_channels=(32, 32, 96, 128),
        head_kernels=(3, 3, 3, 3),
        anchors=_QVGA_ANCHORS,
    )


def face_quant(
    *, hidden: int = 8, order: Order = "rows_first", cell: CellName = "fastgrnn"
) -> FaceDetector:
    """RNNPool-Face-Quant: 640x480 RGB, detection at strides 4 to 128.

    Args:
        hidden: units of both cells. The paper's text says 4, but its table's 32 channels, the code
            and the trained checkpoint need 8.
        order: of the pooling's output; EdgeML's checkpoint needs "columns_first".
        cell: of the pooling.

    Source: RNNPool paper, table 14; EdgeML, RPool_Face_Quant.py.
    """
    stages = ((2, 16, 4, 1), (2, 24, 4, 2), (2, 32, 2, 2), (2, 64, 1, 2), (2, 96, 1, 2))
    return FaceDetector(
        stem=[ConvBNReLU6(3, 4, stride=2), ConvBNReLU6(4, 4)],
        pool=rnnpool(4, (hidden, hidden), cell=cell, patch=8, stride=4, order=order),
        blocks=inverted_residuals(4 * hidden, stages),
        taps=(0, 4, 8, 10, 11, 12),
        tap_channels=(4, 16, 24, 32, 64, 96),
        head_kernels=(3,) * 6,
        anchors=_VGA_ANCHORS,
        reduce_first=8,
    )


def face_c(
    *,
    first_expansion: int = 1,
    head_kernels: Sequence[int] = (5, 5, 5, 1, 1, 3),
    order: Order = "rows_first",
    cell: CellName = "fastgrnn",
) -> FaceDetector:
    """RNNPool-Face-C: 640x480 RGB straight into RNNPool, detection at strides 4 to 128.

    Args:
        first_expansion: of the first inverted residual. The paper's table says 6, which would need
            2.5 G multiply-accumulates where the paper counts 1.8 G; the code has 1.
        head_kernels: of each map's heads. The paper's text says 3 throughout; these are the code's.
        order: of the pooling's output.
        cell: of the pooling.

    Source: RNNPool paper, table 11; EdgeML, RPool_Face_C.py.
    """
    stages = (
        (6, 24, 1, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 2),
        (6, 160, 2, 2),
        (6, 320, 1, 2),
    )
    return FaceDetector(
        stem=[],
        pool=rnnpool(3, (16, 16), cell=cell, patch=8, stride=4, order=order),
        blocks=[
            MBConv(64, 24, expansion=first_expansion),
            *inverted_residuals(24, stages),
        ],
        taps=(2, 5, 9, 12, 14, 15),
        tap_channels=(24, 32, 64, 96, 160, 320),
        head_kernels=head_kernels,
        anchors=_VGA_ANCHORS,
    )


def face_a(*, hidden: int = 4, patch: int = 8, cell: CellName = "fastgrnn") -> FaceDetector:
    """RNNPool-Face-A, the smallest detector for 640x480 RGB. There is no code of it.

    Args:
        hidden: units of both cells. The appendix's text says 16, section 5.3 says 4, and the
            table's 16 channels after the pooling need 4.
        patch: not in the paper; 8 is that of EdgeML's other detectors. The count of the paper,
            0.10 G multiply-accumulates, would need 4.
        cell: of the pooling.

    Source: RNNPool paper, table 13.
    """
    channels = 4 * hidden
    stages = ((1, 16, 3, 1), (1, 24, 3, 2), (1, 32, 2, 2), (2, 128, 1, 2), (2, 160, 1, 2))
    return FaceDetector(
        stem=[],
        pool=rnnpool(
            3, (hidden, hidden), cell=cell, patch=patch, stride=4, repeat_last=int(patch > 4)
        ),
        blocks=[
            Separable(channels, 16),
            *(Separable(16, 16) for _ in range(3)),
            Separable(16, 16, stride=2),
            *inverted_residuals(16, stages),
        ],
        taps=(4, 8, 11, 13, 14, 15),
        tap_channels=(16, 16, 24, 32, 128, 160),
        head_kernels=(3,) * 6,
        anchors=_VGA_ANCHORS,
    )


def face_b(*, hidden: int = 6, patch: int = 8, cell: CellName = "fastgrnn") -> FaceDetector:
    """RNNPool-Face-B: 640x480 RGB, plain convolutions after the pooling. There is no code of it.

    Args:
        hidden: units of both cells.
        patch: not in the paper; 8 is that of EdgeML's other detectors, and 6 meets the paper's
            count of 1.18 G multiply-accumulates best.
        cell: of the pooling.

    Source: RNNPool paper, table 12.
    """
    channels = 4 * hidden
    stages = ((6, 32, 3, 1), (6, 64, 3, 2), (6, 128, 2, 2), (6, 160, 1, 2), (6, 320, 1, 2))
    return FaceDetector(
        stem=[],
        pool=rnnpool(
            3, (hidden, hidden), cell=cell, patch=patch, stride=4, repeat_last=int(patch > 4)
        ),
        blocks=[
            ConvBNReLU6(channels, 24),
            *(ConvBNReLU6(24, 24) for _ in range(3)),
            ConvBNReLU6(24, 96, stride=2),
            ConvBNReLU6(96, 32, kernel=1),
            *inverted_residuals(32, stages),
        ],
        taps=(4, 9, 12, 14, 15, 16),
        tap_channels=(24, 32, 64, 128, 160, 320),
        head_kernels=(3,) * 6,
        anchors=_VGA_ANCHORS,
    )


def _head_names(kind: str, heads: nn.ModuleList) -> dict[str, tuple[str, ...]]:
    """EdgeML counts a head's strided convolution as a head of its own."""
    names: dict[str, tuple[str, ...]] = {}
    index = 0
    for i, head in enumerate(heads):
        if isinstance(head, Head) and head.reduce is not None:
            names[f"{kind}.{i}.reduce.conv"] = (f"{kind}.{index}.0",)
            names[f"{kind}.{i}.reduce.norm"] = (f"{kind}.{index}.1",)
            index += 1
        names[f"{kind}.{i}.conv"] = (f"{kind}.{index}",)
        index += 1
    return names
