"""Layers whose weights are too many for the memory at once, computed by panels of channels.

Flash holds their weights as int8. A panel's are widened to memory, then meet every pixel of the
map, so that each weight is widened once; an inverted residual is cut in two for it, and the map
between its depthwise and its projection is stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hil.compiler.plan_kernels import (
    DepthwiseRow,
    MatMul,
    block_of,
    pointwise_of,
)
from hil.compiler.plan_steps import Choices, Kind, Scratch, Step, sources
from hil.compiler.program import Conv2D

_FILTER_BYTES = 4 * 12  # of a depthwise channel's weights and biases in memory
_PAIR = 2  # channels that a product takes at a time
_HELD = 0.6  # of a step's memory may hold the widened map, so that it is widened once


@dataclass(frozen=True)
class Panels:
    """A product by panels, `panels_t` in firmware/kernels/panels.h.

    Attributes:
        product: of one panel's channels.
        rest: of the channels after the whole panels, None where they come out even.
        whole: panels.
    """

    product: MatMul
    rest: MatMul | None
    whole: int

    @classmethod
    def of(cls, product: MatMul, channels: int) -> "Panels":
        """Cut a product into panels of so many channels, an even number."""
        whole, left = divmod(product.channels, channels)
        rest = replace(product, channels=left) if left else None
        return cls(replace(product, channels=channels), rest, whole)

    @property
    def count(self) -> int:
        """Panels, the rest included."""
        return self.whole + (self.rest is not None)


def pointwise_panels(conv: Conv2D, choices: Choices) -> Step | None:
    """The step that computes a 1x1 convolution by panels, None where its weights may be copied."""
    product = pointwise_of(conv)
    limit = choices.panel_bytes
    if product is None or limit is None or choices.weights_in_flash:
        return None
    if 4 * product.stream_words + product.window_bytes <= limit:
        return None
    window = _window_bytes(conv, product, limit)
    pair_bytes = 4 * _PAIR * product.stream_words // product.channels
    panel = _channels(product.channels, pair_bytes, limit - window)
    if panel is None:
        return None
    copy = Scratch("copy", panel // _PAIR * pair_bytes)
    step = Step(
        conv.name,
        Kind.POINTWISE_PANELS,
        (conv,),
        sources(conv),
        (conv.output,),
        (copy, Scratch("window", window, lasts=False)),
        panel=panel,
    )
    overlays = is_held(step, product) and conv.residual is None
    return replace(step, slack=conv.inputs[0].bytes) if overlays else step


def expand_filter(
    expand: Conv2D, depthwise: Conv2D, project: Conv2D, choices: Choices
) -> Step | None:
    """The step that computes an inverted residual's expansion and depthwise, the projection left.

    Returns:
        None where the weights of all three may be copied, or where no panel fits.
    """
    block = block_of(expand, depthwise, project)
    limit = choices.panel_bytes
    if block is None or block.expand is None or limit is None or choices.weights_in_flash:
        return None
    if 4 * block.weight_words + block.expand.window_bytes <= limit:
        return None
    row = filter_row(block.filter, depthwise, block.filter.channels)
    if not row.is_reachable:
        return None
    window = _window_bytes(expand, block.expand, limit)
    stream_bytes = 4 * _PAIR * block.expand.stream_words // block.expand.channels
    pair_bytes = stream_bytes + _PAIR * _FILTER_BYTES
    panel = _channels(row.channels, pair_bytes, limit - window)
    if panel is None:
        return None
    return Step(
        depthwise.name,
        Kind.EXPAND_FILTER,
        (expand, depthwise),
        expand.inputs,
        (depthwise.output,),
        (
            Scratch("copy", panel // _PAIR * stream_bytes),
            Scratch("filters", panel * _FILTER_BYTES),
            Scratch("pixels", window, lasts=False),
            Scratch("ring", 3 * panel * row.slot_bytes, "sram"),
        ),
        panel=panel,
    )


def filter_row(row: DepthwiseRow, depthwise: Conv2D, channels: int) -> DepthwiseRow:
    """So many channels of a block's filter, into a stored map of int8."""
    return replace(
        row,
        channels=channels,
        y_pixel_bytes=row.channels,
        y_bytes=1,
        y_zero=depthwise.output.zero_point,
    )


def is_held(step: Step, product: MatMul) -> bool:
    """Whether all pixels of the step's map are widened at once, rather than for each panel anew."""
    rows, columns, _ = step.inputs[0].shape
    window = step.scratch_bytes("window") or step.scratch_bytes("pixels")
    return window >= rows * columns * product.pixel_bytes


def pixel_counts(product: MatMul, pixels: int) -> Iterator[int]:
    """The numbers of pixels that a product over so many of them is called with."""
    if pixels >= product.most_pixels:
        yield product.most_pixels
    if pixels % product.most_pixels:
        yield pixels % product.most_pixels


def _window_bytes(conv: Conv2D, product: MatMul, limit: int) -> int:
    """Of widened pixels: all, or as many as a product takes at a time."""
    rows, columns, _ = conv.inputs[0].shape
    whole = rows * columns * product.pixel_bytes
    return whole if whole <= _HELD * limit else product.window_bytes


def _channels(channels: int, pair_bytes: int, limit: int) -> int | None:
    """How many channels a panel has: as many as fit, or rather fewer that leave no rest."""
    pairs = channels // _PAIR
    most = min(pairs, limit // pair_bytes)
    if most < 1:
        return None
    even = max(n for n in range(1, most + 1) if pairs % n == 0)
    return _PAIR * (even if -(-pairs // even) <= -(-pairs // most) + 1 else most)
