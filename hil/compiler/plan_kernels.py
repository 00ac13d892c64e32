"""The shapes in which the packed kernels compute an operator, and whether they can."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.compiler.program import Conv2D, RNNPool

MOST_HEADS = 4  # convolutions in one product
MOST_PIXELS = 3  # that a matrix product takes at a time
REACH = 4095  # bytes, of a load's immediate offset
_UNROLLED_BYTES = 128  # what an unrolled loop adds to an offset, at most
_MOST_SHIFT = 7  # that int16 weights take in
_MOST_TURNED_BYTES = 49_152  # of weights in as many copies as a kernel has rows


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
    def most_pixels(self) -> int:
        """Pixels at a time, so many that offsets fit the code's immediates; 0 if none do."""
        for pixels in range(MOST_PIXELS, 0, -1):
            x_reach = (pixels - 1) * self.pixel_bytes + _UNROLLED_BYTES
            y_reach = (pixels - 1) * self.y_pixel_bytes + 2 * self.y_channel_bytes
            if max(x_reach, y_reach) <= REACH:
                return pixels
        return 0

    @property
    def window_bytes(self) -> int:
        """Of the pixels that are multiplied at a time."""
        return self.most_pixels * self.pixel_bytes

    @property
    def is_reachable(self) -> bool:
        """Whether counts are even and the code can be written."""
        return self.depth % 2 == 0 and self.channels % 2 == 0 and self.most_pixels > 0


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
        return 3 * self.slot_bytes + _UNROLLED_BYTES <= REACH and self.y_pixel_bytes <= REACH

    @property
    def steps_by_group(self) -> bool:
        """Whether outputs lie too far apart for a round's offsets, so that each group steps on."""
        return 8 * self.y_pixel_bytes > REACH


@dataclass(frozen=True)
class Block:
    """A fused inverted residual, `streamed_block_t` in firmware/kernels/streamed_block.h.

    Attributes:
        expand: None where the depthwise convolution reads the input itself.
    """

    expand: MatMul | None
    filter: DepthwiseRow
    project: MatMul

    @property
    def weight_words(self) -> int:
        """Of all three, as the kernels read them; 12 words a channel for the depthwise."""
        expand = self.expand.stream_words if self.expand else 0
        return expand + 12 * self.filter.channels + self.project.stream_words


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


def is_scale(conv: Conv2D) -> bool:
    """Whether a convolution is a factor and an offset for each channel, in words of four."""
    padding = conv.padding
    return (
        conv.depthwise
        and conv.weight.shape[1:3] == (1, 1)
        and conv.stride == 1
        and (padding.top, padding.left, padding.bottom, padding.right) == (0, 0, 0, 0)
        and conv.residual is None
        and conv.output.shape[2] % 4 == 0
        and conv.shift <= _MOST_SHIFT
    )


def scale_words(conv: Conv2D) -> int:
    """Words of its weights as the kernel reads them."""
    return conv.output.shape[2] // 4 * 10


def windowed_of(conv: Conv2D) -> MatMul | None:
    """The product over gathered windows that computes a dense convolution, None where it cannot."""
    _, kernel_rows, kernel_columns, inputs = conv.weight.shape
    product = _of_depth(conv, even(kernel_rows * kernel_columns * inputs))
    fits = not conv.depthwise and conv.shift <= _MOST_SHIFT and product.is_reachable
    return product if fits else None


def residual_of(conv: Conv2D) -> tuple[int, int, int] | None:
    """A residual's zero point, multiplier and shift."""
    residual = conv.residual
    if residual is None:
        return None
    return residual.source.zero_point, residual.multiplier, residual.shift


def front_of(expand: Conv2D | None, depthwise: Conv2D) -> tuple[MatMul | None, DepthwiseRow] | None:
    """The expansion, if any, and the filter of a packed block; None where not of its kind."""
    zero = depthwise.output.zero_point
    padding = depthwise.padding
    fits = (
        depthwise.weight.shape[1:3] == (3, 3)
        and depthwise.stride in (1, 2)
        and (padding.top, padding.left) == (1, 1)
        and depthwise.low == zero
        and depthwise.high <= zero + 255
        and (expand or depthwise).inputs[0].shape[2] % 4 == 0
        and all(conv.shift <= _MOST_SHIFT for conv in (expand, depthwise) if conv)
    )
    if not fits:
        return None
    wide, columns = depthwise.output.shape[2], depthwise.output.shape[1]
    slot_bytes = 2 * (even(columns) + 2 if depthwise.stride == 1 else 2 * columns + 2)
    row = DepthwiseRow(
        channels=wide,
        columns=columns,
        stride=depthwise.stride,
        slot_bytes=slot_bytes,
        y_pixel_bytes=2 * wide,
        high=depthwise.high - zero,
    )
    return _planar(expand, 3 * slot_bytes) if expand else None, row


def block_of(expand: Conv2D | None, depthwise: Conv2D, project: Conv2D) -> Block | None:
    """The packed block that computes them together, None where they are not of its kind."""
    front = front_of(expand, depthwise)
    if front is None or project.shift > _MOST_SHIFT:
        return None
    block = Block(*front, _of_depth(project, depthwise.output.shape[2]))
    parts = (block.expand, block.filter, block.project)
    return block if all(part.is_reachable for part in parts if part) else None


def _planar(expand: Conv2D, plane_bytes: int) -> MatMul:
    """An expansion into planes of int16 with their zero point taken off."""
    inputs, zero = expand.inputs[0].shape[2], expand.output.zero_point
    return MatMul(
        depth=inputs,
        segments=1,
        segment_bytes=0,
        pixel_bytes=2 * inputs,
        channels=expand.output.shape[2],
        y_bytes=2,
        y_channel_bytes=plane_bytes,
        y_pixel_bytes=2,
        low=expand.low - zero,
        high=expand.high - zero,
    )


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
        and 2 * 4 * (columns // 2 + 1) + 8 <= REACH
        and channels == 1
        and conv.residual is None
        and conv.shift <= _MOST_SHIFT
        and conv.inputs[0].zero_point + 128 <= 255
    )


def heads_of(convs: Sequence[Conv2D]) -> MatMul | None:
    """The product that computes several alike convolutions of one map, None where it cannot.

    A pixel's window has a segment for each kernel row, in a ring of widened rows.
    """
    first = convs[0]
    columns, channels = first.inputs[0].shape[1:]
    _, kernel_rows, kernel_columns, _ = first.weight.shape
    outputs = sum(conv.output.shape[2] for conv in convs)
    pixel_bytes = 2 * first.stride * channels
    if not all(_is_alike(conv, first) for conv in convs) or not 1 <= len(convs) <= MOST_HEADS:
        return None
    depth = kernel_columns * channels
    width = max(
        first.padding.left + columns,
        (first.output.shape[1] - 1) * first.stride + kernel_columns,
    )
    product = MatMul(
        depth=depth + depth % 2,
        segments=kernel_rows,
        segment_bytes=2 * even(width * channels + depth % 2),
        pixel_bytes=pixel_bytes,
        channels=outputs,
        y_bytes=1,
        y_channel_bytes=1,
        y_pixel_bytes=outputs,
        low=first.low,
        high=first.high,
    )
    turned_bytes = 4 * kernel_rows * product.stream_words
    fits = product.is_reachable and pixel_bytes % 4 == 0 and turned_bytes <= _MOST_TURNED_BYTES
    return product if fits and kernel_rows > 1 else None


def _is_alike(conv: Conv2D, first: Conv2D) -> bool:
    """Whether a convolution can share a product with the first, and is one of the kind."""
    return (
        not conv.depthwise
        and conv.weight.shape[1:] == first.weight.shape[1:]
        and conv.stride == first.stride <= conv.weight.shape[1]
        and (conv.padding.top, conv.padding.left) == (first.padding.top, first.padding.left)
        and conv.output.shape[:2] == first.output.shape[:2]
        and conv.output.shape[2] % 2 == 0
        and conv.residual is None
        and (conv.low, conv.high) == (first.low, first.high)
        and conv.shift <= _MOST_SHIFT
    )


def even(count: int) -> int:
    """A count rounded up to an even one."""
    return count + count % 2


def patch_grid(pool: RNNPool) -> tuple[int, int]:
    """Rows and columns of patches."""
    rows, columns, _ = pool.inputs[0].shape
    return (rows - pool.patch) // pool.stride + 1, (columns - pool.patch) // pool.stride + 1
