"""The four networks of MLPerf Tiny, by which the industry compares microcontrollers.

They are written as PyTorch's users write networks. The reference models come from TensorFlow, whose
"same" padding puts the odd pixel behind: `_padding` says it edge by edge.

Source: MLPerf Tiny Benchmark (Banbury et al., 2021), section 4; mlcommons/tiny, its training code.
"""

from torch import Tensor, nn

_VWW_WIDTH = 0.25
# Channels and stride of MobileNet's separable convolutions (Howard et al., 2017, table 1).
_MOBILENET = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2),
    (1024, 1),
)  # fmt: skip
_KWS_CHANNELS = 64
_KWS_BLOCKS = 4
_AD_HIDDEN = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and behind `size` that "same" padding adds."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def _conv(
    inputs: int,
    outputs: int,
    size: tuple[int, int],
    kernel: tuple[int, int] = (3, 3),
    stride: int = 1,
    *,
    depthwise: bool = False,
) -> list[nn.Module]:
    """A convolution with "same" padding over maps of a size, and batch norm."""
    top, bottom = _padding(size[0], kernel[0], stride)
    left, right = _padding(size[1], kernel[1], stride)
    groups = inputs if depthwise else 1
    return [
        nn.ZeroPad2d((left, right, top, bottom)),
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups),
        nn.BatchNorm2d(outputs),
    ]


def visual_wake_words() -> nn.Module:
    """Visual wake words: MobileNetV1 at a quarter of its width, 96x96 RGB, person or none."""
    channels, side = int(32 * _VWW_WIDTH), 48
    layers = [*_conv(3, channels, (96, 96), stride=2), nn.ReLU()]
    for wide, stride in _MOBILENET:
        outputs = int(wide * _VWW_WIDTH)
        layers += _conv(channels, channels, (side, side), stride=stride, depthwise=True)
        side = -(-side // stride)
        layers += [nn.ReLU(), nn.Conv2d(channels, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        channels = outputs
    return nn.Sequential(*layers, nn.AvgPool2d(side), nn.Flatten(), nn.Linear(channels, 2))


class _Residual(nn.Module):
    """ResNet's block of two convolutions; the shortcut is a 1x1 convolution where maps shrink."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int) -> None:
        super().__init__()
        inner = -(-side // stride)
        self.first = nn.Sequential(*_conv(inputs, outputs, (side, side), stride=stride), nn.ReLU())
        self.second = nn.Sequential(*_conv(outputs, outputs, (inner, inner)))
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, side, side) to (n, outputs, side / stride, side / stride)."""
        y: Tensor = self.activation(self.shortcut(x) + self.second(self.first(x)))
        return y


def image_classification() -> nn.Module:
    """Image classification: ResNet with eight layers, 32x32 RGB, ten classes."""
    return nn.Sequential(
        *_conv(3, 16, (32, 32)),
        nn.ReLU(),
        _Residual(16, 16, 32, 1),
        _Residual(16, 32, 32, 2),
        _Residual(32, 64, 16, 2),
        nn.AvgPool2d(8),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def keyword_spotting() -> nn.Module:
    """Keyword spotting: depthwise separable convolutions, 49x10 spectrogram, twelve words."""
    channels, size = _KWS_CHANNELS, (25, 5)
    layers = [*_conv(1, channels, (49, 10), (10, 4), stride=2), nn.ReLU()]
    for _ in range(_KWS_BLOCKS):
        layers += [*_conv(channels, channels, size, depthwise=True), nn.ReLU()]
        layers += [nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(size), nn.Flatten(), nn.Linear(channels, 12))


def anomaly_detection() -> nn.Module:
    """Anomaly detection: a fully connected auto-encoder of 640 values, here 5 frames of 128."""
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 640
    for outputs in _AD_HIDDEN:
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, 640))
