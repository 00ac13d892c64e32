"""RNNPool face detectors: a stem, RNNPool, inverted residuals, and heads on several maps."""

from collections.abc import Sequence

from torch import Tensor, nn

from hil.models.blocks import ConvBNReLU6, FlattenMaps, L2Norm, MaxOut, MBConv
from hil.models.rnnpool import Order, RNNPool

_NORM_SCALES = (10.0, 8.0, 5.0)  # of the first three maps, as in S3FD
_BACKGROUNDS = 3  # background outputs of the first class head, of which the largest counts


class FaceDetector(nn.Module):
    """A single-shot detector in the form that all of the paper's face models share.

    The copies of the first three maps that go to the heads are L2-normalised; the backbone goes on
    from the maps as they are. Each head is one convolution; the class heads give [background,
    face], the first of them as a max-out over three backgrounds.

    Args:
        stem: convolutions before the pooling.
        pool: the RNNPool layer.
        blocks: what follows it, in a chain.
        taps: after how many blocks a map goes to the heads.
        tap_channels, head_kernels: of each map.

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
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.stem = nn.ModuleList(stem)
        self.pool = pool
        self.blocks = nn.ModuleList(blocks)
        self.norms = nn.ModuleList(
            L2Norm(channels, scale=scale)
            for channels, scale in zip(tap_channels, _NORM_SCALES, strict=False)
        )
        classes = [_BACKGROUNDS + 1] + [2] * (len(taps) - 1)
        self.conf = nn.ModuleList(
            _head(c, n, k) for c, n, k in zip(tap_channels, classes, head_kernels, strict=True)
        )
        self.loc = nn.ModuleList(
            _head(c, 4, k) for c, k in zip(tap_channels, head_kernels, strict=True)
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
        x = self.pool(x)
        maps: list[Tensor] = []
        for count, block in enumerate(self.blocks, start=1):
            x = block(x)
            if count in self.taps:
                maps.append(self.norms[len(maps)](x) if len(maps) < len(self.norms) else x)
        conf = [head(m) for head, m in zip(self.conf, maps, strict=True)]
        conf[0] = self.max_out(conf[0])
        loc = [head(m) for head, m in zip(self.loc, maps, strict=True)]
        flat: Tensor = self.output(*conf, *loc)
        return flat

    def edgeml_names(self) -> dict[str, tuple[str, ...]]:
        """Where EdgeML's state dicts keep the parameters of each submodule: our path to theirs."""
        names: dict[str, tuple[str, ...]] = {}
        if len(self.stem) == 1:
            names |= {"stem.0.conv": ("conv.0",), "stem.0.norm": ("conv.1",)}
        names |= edgeml_pool_names("pool", "rnn_model")
        for i, block in enumerate(self.blocks):
            if isinstance(block, MBConv):
                names |= edgeml_block_names(f"blocks.{i}", f"mob.{i}", block)
        for i in range(len(self.norms)):
            names[f"norms.{i}"] = (f"L2Norm{3 + i}_3",)
        for i in range(len(self.taps)):
            names |= {f"{head}.{i}": (f"{head}.{i}",) for head in ("conf", "loc")}
        return names


def face_m4(*, order: Order = "rows_first") -> FaceDetector:
    """RNNPool-Face-M4, the paper's detector for a microcontroller.

    It takes 320x240 monochrome pixels and gives 18,000 values.
    The patch of 8 pixels is EdgeML's; the paper does not state it.

    Source: RNNPool paper, table 15 and section 4.3; EdgeML, RPool_Face_M4.py.
    """
    return FaceDetector(
        stem=[ConvBNReLU6(1, 4, stride=2)],
        pool=RNNPool(4, (16, 16), patch=8, stride=4, density=(0.5, 0.3, 0.3, 0.3), order=order),
        blocks=[
            MBConv(64, 32, expansion=2),
            MBConv(32, 32, expansion=2),
            MBConv(32, 64, expansion=2, stride=2),
            MBConv(64, 64, expansion=2),
        ],
        taps=(1, 2, 3, 4),
        tap_channels=(32, 32, 64, 64),
        head_kernels=(3, 3, 3, 3),
    )


def edgeml_pool_names(ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
    """EdgeML's state dicts list each shared cell two or three times, once per unrolling."""
    unrolled = ("cell", "unrollRNN.RNNCell", "unrollRNN.RNNCell_reverse")
    return {
        f"{ours}.row": tuple(f"{theirs}.cell_rnn.{name}" for name in unrolled),
        f"{ours}.summary": tuple(f"{theirs}.cell_bidirrnn.{name}" for name in unrolled),
    }


def edgeml_block_names(ours: str, theirs: str, block: MBConv) -> dict[str, tuple[str, ...]]:
    """EdgeML numbers the parts of an inverted residual, of which it has one less unexpanded."""
    names: dict[str, tuple[str, ...]] = {}
    stages = ["expand", "depthwise"] if block.expand is not None else ["depthwise"]
    for i, stage in enumerate(stages):
        names[f"{ours}.{stage}.conv"] = (f"{theirs}.conv.{i}.0",)
        names[f"{ours}.{stage}.norm"] = (f"{theirs}.conv.{i}.1",)
    names[f"{ours}.project.conv"] = (f"{theirs}.conv.{len(stages)}",)
    names[f"{ours}.project.norm"] = (f"{theirs}.conv.{len(stages) + 1}",)
    return names


def _head(channels: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, kernel, padding=(kernel - 1) // 2)
