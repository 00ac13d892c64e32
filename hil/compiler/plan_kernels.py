"""The shapes in which the packed kernels compute an operator, and whether they can."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.compiler.program import Conv2D, RnnPool

MOST_HEADS = 4  # convolutions in one product
MOST_PIXELS = 3  # that a matrix product takes at a time
_REACH = 4095  # bytes, of a load's immediate offset
_UNROLLED_BYTES = 128  # what an unrolled loop adds to an offset, at most
_MOST_SHIFT = 7  # that int16 weights take in


@dataclass(frozen=True)
class MatMul:
    """A product with requantisation, `matmul_t` in firmware/kernels/matmul.h.

    Attributes:
        depth: inputs that one pixel's window holds in one segment, int16, an even number.
        segments, segment_bytes: rows of the window, and from one to the next in memory.
        pixel_bytes: from one pixel's window to the next.
        channels: of the output, an even number.
        y_bytes: of one output, 1 or 2.
        y_channel_bytes, y_pixel_bytes: from one output channel, pixel to the next.
        low, high: the clamp, after the residual.
        residual: its zero point, multiplier and shift, for int8 in the output's layout.
    """

    depth: int
    segments: int
    segment_bytes: int
    pixel_bytes: int
    channels: int
    y_bytes: int
    y_channel_bytes: int
    y_pixel_bytes: int
    low: int
    high: int
    residual: tuple[int, int, int] | None = None

    @property
    def stream_words(self) -> int:
        """Words of weights: for two channels biases, all weights, multipliers, zero point."""
        return self.channels // 2 * (5 + self.segments * self.depth)

    @property
    def is_reachable(self) -> bool:
        """Whether counts are even and offsets fit the code's immediates."""
        x_reach = (MOST_PIXELS - 1) * self.pixel_bytes + _UNROLLED_BYTES
        y_reach = (MOST_PIXELS - 1) * self.y_pixel_bytes + 2 * self.y_channel_bytes
        return (
            self.depth % 2 == 0
            and self.channels % 2 == 0
            and x_reach <= _REACH
            and y_reach <= _REACH
        )


@dataclass(frozen=True)
class DepthwiseRow:
    """A row of a 3x3 depthwise convolution, `depthwise_t` in firmware/kernels/depthwise.h.

    Attributes:
        channels: of input and output.
        columns: of the output.
        stride: 1 or 2.
        slot_bytes: of one row in the ring, a multiple of 4.
        y_pixel_bytes: from one output pixel to the next; channels stand side by side.
        high: the clamp is [0, high], with zero points taken off.
        y_bytes: of one output: 2, or 1 for `filter_t` in firmware/kernels/expand_filter.h.
        y_zero: added to the result.
    """

    channels: int
    columns: int
    stride: int
    slot_bytes: int
    y_pixel_bytes: int
    high: int
    y_bytes: int = 2
    y_zero: int = 0

    @property
    def is_reachable(self) -> bool:
        """Whether offsets fit the code's immediates."""
        return 3 * self.slot_bytes + _UNROLLED_BYTES <= _REACH and 2 * self.y_pixel_bytes <= _REACH

    @property
    def steps_by_group(self) -> bool:
        """Whether outputs lie too far apart for a round's offsets, so that each group steps on."""
        return 8 * self.y_pixel_bytes > _REACH


@dataclass(frozen=True)
class Block:
    """A fused inverted residual, `streamed_block_t` in firmware/kernels/streamed_block.h."""

    expand: MatMul
    filter: DepthwiseRow
    project: MatMul

    @property
    def weight_words(self) -> int:
        """Of all three, as the kernels read them; 12 words a channel for the depthwise."""
        return self.expand.stream_words + 12 * self.filter.channels + self.project.stream_words


def pointwise_of(conv: Conv2D) -> MatMul | None:
    """The product that computes a 1x1 convolution by itself, None where it cannot."""
    inputs = conv.inputs[0].shape[2]
    padding = conv.padding
    if (
        conv.depthwise
        or conv.weight.shape[1:3] != (1, 1)
        or conv.stride != 1
        or (padding.top, padding.left, padding.bottom, padding.right) != (0, 0, 0, 0)
        or inputs % 4
        or conv.shift > _MOST_SHIFT
    ):
        return None
    product = _of_depth(conv, inputs)
    return product if product.is_reachable else None


def _of_depth(conv: Conv2D, depth: int) -> MatMul:
    """The product of int16 pixels of so many inputs with a dense convolution's weights."""
    outputs = conv.weight.shape[0]
    return MatMul(
        depth=depth,
        segments=1,
        segment_bytes=0,
        pixel_bytes=2 * depth,
        channels=outputs,
        y_bytes=1,
        y_channel_bytes=1,
        y_pixel_bytes=outputs,
        low=conv.low,
        high=conv.high,
        residual=residual_of(conv),
    )


def windowed_of(conv: Conv2D) -> MatMul | None:
    """The product over gathered windows that computes a dense convolution, None where it cannot."""
    _, kernel_rows, kernel_columns, inputs = conv.weight.shape
    depth = kernel_rows * kernel_columns * inputs
    depth += depth % 2
    product = _of_depth(conv, depth)
    fits = not conv.depthwise and conv.shift <= _MOST_SHIFT and product.is_reachable
    return product if fits else None


def residual_of(conv: Conv2D) -> tuple[int, int, int] | None:
    """A residual's zero point, multiplier and shift."""
    residual = conv.residual
    if residual is None:
        return None
    return residual.source.zero_point, residual.multiplier, residual.shift


def front_of(expand: Conv2D, depthwise: Conv2D) -> tuple[MatMul, DepthwiseRow] | None:
    """The expansion and the filter of a packed block, None where they are not of its kind."""
    zero = depthwise.output.zero_point
    padding = depthwise.padding
    fits = (
        depthwise.weight.shape[1:3] == (3, 3)
        and depthwise.stride in (1, 2)
        and (padding.top, padding.left) == (1, 1)
        and depthwise.low == zero
        and depthwise.high <= zero + 255
        and expand.inputs[0].shape[2] % 4 == 0
        and all(conv.shift <= _MOST_SHIFT for conv in (expand, depthwise))
    )
    if not fits:
        return None
    inputs, wide = expand.inputs[0].shape[2], depthwise.output.shape[2]
    columns = depthwise.output.shape[1]
    even = columns + columns % 2
    slot_bytes = 2 * (even + 2 if depthwise.stride == 1 else 2 * columns + 2)
    product = MatMul(
        depth=inputs,
        segments=1,
        segment_bytes=0,
        pixel_bytes=2 * inputs,
        channels=wide,
        y_bytes=2,
        y_channel_bytes=3 * slot_bytes,
        y_pixel_bytes=2,
        low=expand.low - expand.output.zero_point,
        high=expand.high - expand.output.zero_point,
    )
    row = DepthwiseRow(
        channels=wide,
        columns=columns,
        stride=depthwise.stride,
        slot_bytes=slot_bytes,
        y_pixel_bytes=2 * wide,
        high=depthwise.high - zero,
    )
    return product, row


def block_of(expand: Conv2D, depthwise: Conv2D, project: Conv2D) -> Block | None:
    """The packed block that computes three convolutions, None where they are not of its kind."""
    front = front_of(expand, depthwise)
    if front is None or project.shift > _MOST_SHIFT:
        return None
    block = Block(*front, _of_depth(project, depthwise.output.shape[2]))
    parts = (block.expand, block.filter, block.project)
    return block if all(part.is_reachable for part in parts) else None


def is_stem(conv: Conv2D) -> bool:
    """Whether a convolution is 3x3 of stride 2 from one channel to four."""
    rows, columns, channels = conv.inputs[0].shape
    return (
        not conv.depthwise
        and conv.weight.shape == (4, 3, 3, 1)
        and conv.stride == 2
        and (conv.padding.top, conv.padding.left) == (1, 1)
        and conv.output.shape[:2] == ((rows + 1) // 2, columns // 2)
        and columns % 4 == 0
        and 2 * 4 * (columns // 2 + 1) + 8 <= _REACH
        and channels == 1
        and conv.residual is None
        and conv.shift <= _MOST_SHIFT
        and conv.inputs[0].zero_point + 128 <= 255
    )


def heads_of(convs: Sequence[Conv2D]) -> MatMul | None:
    """The product that computes several 3x3 convolutions of one map, None where it cannot."""
    first = convs[0]
    rows, columns, channels = first.inputs[0].shape
    outputs = sum(conv.output.shape[2] for conv in convs)
    alike = all(
        not conv.depthwise
        and conv.weight.shape[1:3] == (3, 3)
        and conv.stride == 1
        and (conv.padding.top, conv.padding.left) == (1, 1)
        and conv.output.shape[:2] == (rows, columns)
        and conv.output.shape[2] % 2 == 0
        and conv.residual is None
        and (conv.low, conv.high) == (first.low, first.high)
        and conv.shift <= _MOST_SHIFT
        for conv in convs
    )
    if not alike or channels % 4 or not 1 <= len(convs) <= MOST_HEADS:
        return None
    product = MatMul(
        depth=3 * channels,
        segments=3,
        segment_bytes=2 * channels * (columns + 2),
        pixel_bytes=2 * channels,
        channels=outputs,
        y_bytes=1,
        y_channel_bytes=1,
        y_pixel_bytes=outputs,
        low=first.low,
        high=first.high,
    )
    return product if product.is_reachable else None


def patch_grid(pool: RnnPool) -> tuple[int, int]:
    """Rows and columns of patches."""
    rows, columns, _ = pool.inputs[0].shape
    return (rows - pool.patch) // pool.stride + 1, (columns - pool.patch) // pool.stride + 1
