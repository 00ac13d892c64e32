"""What becomes a convolution: the layer itself, and norms, activations and additions after it."""

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from hil.compiler.operators.kind import Float64, Node, Place, Source, refused
from hil.compiler.program import Padding, Shape
from hil.models.blocks import PaddedConv2d
from hil.models.pooling import Classifier


@dataclass(frozen=True, eq=False)
class Conv2DNode(Node):
    """y = clip(bias + weight * x, low, high), or y = bias + weight * x + residual: never both.

    A batch norm or an activation that no convolution can take in is a depthwise one of 1x1.

    Attributes:
        weight: (out, kernel rows, kernel columns, in), or (channels, kernel rows, kernel columns,
            1) if depthwise.
        residual: name of the node whose map is added.
    """

    weight: Float64
    bias: Float64
    stride: int
    padding: Padding
    depthwise: bool
    low: float = -np.inf
    high: float = np.inf
    residual: str | None = None

    @property
    def is_clipped(self) -> bool:
        """Whether an activation was taken in."""
        return self.low != -np.inf or self.high != np.inf


def take_in(layer: nn.Module, place: Place, macs: int) -> Conv2DNode:
    """Make a convolution of a layer, or let the one before take it in.

    Args:
        layer: a batch norm or an activation.
        place: where it stands.
        macs: that the layer counts.
    """
    match layer:
        case nn.Conv2d():
            return _convolution(layer, place, macs)
        case Classifier():
            return _linear(layer.linear, place, macs)
        case _:
            return _elementwise(layer, place)


def add(place: Place) -> Conv2DNode | None:
    """Fuse an addition into the later of the two maps' convolutions, None where it cannot be."""
    residual, last = sorted(place.sources, key=lambda source: source.order)
    if residual.shape != last.shape:
        raise refused(
            place.name,
            f"it adds maps of {residual.shape} and {last.shape} (rows, columns, channels)",
            hint="both maps of an addition must have one shape; none is repeated",
        )
    conv = _open(last)
    if conv is None:
        return None
    inputs = (*conv.inputs, residual.name)
    return replace(conv, residual=residual.name, inputs=inputs, value=place.value)


def _elementwise(layer: nn.Module, place: Place) -> Conv2DNode:
    """Let the convolution before take an operator in; where it cannot, make it one itself."""
    (source,) = place.sources
    conv = _open(source)
    if conv is None:
        conv = _identity(place.name, source.name, place.shape)
    match layer:
        case nn.BatchNorm2d():
            conv = _fold(conv, layer)
        case nn.ReLU6():
            conv = replace(conv, low=0.0, high=6.0)
        case _:
            conv = replace(conv, low=0.0)
    return replace(conv, value=place.value)


def _open(source: Source) -> Conv2DNode | None:
    """The convolution that can take in what alone reads its output, if a value has one."""
    conv = source.node
    if not isinstance(conv, Conv2DNode) or source.is_shared:
        return None
    return None if conv.residual or conv.is_clipped else conv


def _convolution(layer: nn.Conv2d, place: Place, macs: int) -> Conv2DNode:
    _check(layer, place.name)
    vertical, horizontal = (int(p) for p in layer.padding)
    left, right, top, bottom = horizontal, horizontal, vertical, vertical
    if isinstance(layer, PaddedConv2d):
        left, right, top, bottom = layer.edges
    return Conv2DNode(
        *place.common(macs),
        weight=layer.weight.detach().double().permute(0, 2, 3, 1).numpy(),
        bias=_bias(layer),
        stride=int(layer.stride[0]),
        padding=Padding(top, left, bottom, right),
        depthwise=layer.groups > 1,
    )


def _check(layer: nn.Conv2d, name: str) -> None:
    """Refuse a convolution that no kernel computes."""
    of_channels = layer.groups == layer.in_channels == layer.out_channels
    reasons = {
        f"{layer.groups} groups are neither dense nor depthwise": (
            layer.groups > 1 and not of_channels,
            "groups may be 1, or as many as there are input and output channels",
        ),
        f"padding_mode={layer.padding_mode!r} is not supported": (
            layer.padding_mode != "zeros",
            "use padding_mode='zeros'",
        ),
        f"padding={layer.padding!r} is not supported": (
            isinstance(layer.padding, str),
            "give the padding in pixels, such as (kernel - 1) // 2",
        ),
        f"strides of {layer.stride} are uneven": (
            layer.stride[0] != layer.stride[1],
            "give both strides one value",
        ),
        f"a dilation of {layer.dilation} is not supported": (
            layer.dilation != (1, 1),
            "use dilation=1, and a larger kernel or stride",
        ),
    }
    for reason, (is_so, hint) in reasons.items():
        if is_so:
            raise refused(name, reason, hint)


def _bias(layer: nn.Conv2d | nn.Linear) -> Float64:
    if layer.bias is None:
        return np.zeros(len(layer.weight))
    bias: Float64 = layer.bias.detach().double().numpy()
    return bias


def _identity(name: str, x: str, shape: Shape) -> Conv2DNode:
    """A depthwise convolution that changes nothing yet."""
    channels = shape[2]
    return Conv2DNode(
        name,
        (x,),
        shape,
        value=name,
        macs=0,
        weight=np.ones((channels, 1, 1, 1)),
        bias=np.zeros(channels),
        stride=1,
        padding=Padding(),
        depthwise=True,
    )


def _linear(layer: nn.Linear, place: Place, macs: int) -> Conv2DNode:
    """Treat a linear layer on a map of one pixel as the 1x1 convolution that it is."""
    return Conv2DNode(
        *place.common(macs),
        weight=layer.weight.detach().double().numpy()[:, None, None, :],
        bias=_bias(layer),
        stride=1,
        padding=Padding(),
        depthwise=False,
    )


def _fold(conv: Conv2DNode, norm: nn.BatchNorm2d) -> Conv2DNode:
    """Fold y = gamma (x - mean) / sqrt(variance + eps) + beta into weights and bias."""
    if norm.running_mean is None or norm.running_var is None:
        raise refused(
            conv.name,
            "its batch norm keeps no statistics",
            hint="make the batch norm with track_running_stats=True",
        )
    variance = norm.running_var.double().numpy() + norm.eps
    if not (variance > 0.0).all():
        raise refused(
            conv.name,
            "its batch norm has a variance that is not positive",
            hint="let the batch norm see images, or give it an eps",
        )
    gamma, beta = np.ones(len(variance)), np.zeros(len(variance))
    if norm.affine:
        gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    factor = gamma / np.sqrt(variance)
    bias = (conv.bias - norm.running_mean.double().numpy()) * factor + beta
    return replace(conv, weight=conv.weight * factor[:, None, None, None], bias=bias)
