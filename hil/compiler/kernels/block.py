"""An inverted residual: which convolutions are one, and the shapes that packed kernels compute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd

from hil.compiler.kernels.depthwise import DepthwiseRow
from hil.compiler.kernels.matmul import MOST_SHIFT, MatMul, of_depth
from hil.compiler.kernels.scale import is_scale
from hil.compiler.kernels.shapes import even, is_pointwise, ring_slack
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator, Tensor

_SHORT_ROW = 6  # pixels; of longer rows those left over at the end cost little
_FILTERED_BYTES = 3072  # of the rows of such pixels that are kept for it
_WIDENED_BYTES = 512  # of the pixels that an expansion reads together, unless the fewest take more


@dataclass(frozen=True)
class Block:
    """A fused inverted residual, `streamed_block_t` in firmware/kernels/streamed_block.h.

    Attributes:
        expand: None where the depthwise convolution reads the input itself.
        rows_at_once: filtered rows that are projected together.
    """

    expand: MatMul | None
    filter: DepthwiseRow
    project: MatMul
    rows_at_once: int = 1

    @property
    def filtered_bytes(self) -> int:
        """Of the rows that are projected together; of odd columns one more is written."""
        columns = self.filter.columns
        return 2 * self.filter.channels * (self.rows_at_once * columns + columns % 2)

    @property
    def weight_words(self) -> int:
        """Of all three, as the kernels read them; 12 words a channel for the depthwise."""
        expand = self.expand.stream_words if self.expand else 0
        return expand + 12 * self.filter.channels + self.project.stream_words


def expanded_of(
    rest: Sequence[Operator], readers: Mapping[str, int]
) -> tuple[Conv2D, Conv2D, Conv2D] | None:
    """Match 1x1 expansion, depthwise, 1x1 projection, with no other reader of the maps between.

    Args:
        rest: operators without a step, in the program's order.
        readers: how many operators read each tensor.

    Returns:
        the three convolutions; None where the next operators are no such block.
    """
    if len(rest) < 3:
        return None
    expand, depthwise, project = rest[:3]
    if not (
        isinstance(expand, Conv2D) and isinstance(depthwise, Conv2D) and isinstance(project, Conv2D)
    ):
        return None
    chained = (
        is_pointwise(expand)
        and depthwise.depthwise
        and not is_scale(depthwise)
        and is_pointwise(project)
        and expand.residual is None
        and depthwise.residual is None
        and depthwise.inputs[0].name == expand.output.name
        and project.inputs[0].name == depthwise.output.name
        and readers[expand.output.name] == 1
        and readers[depthwise.output.name] == 1
    )
    return (expand, depthwise, project) if chained else None


def separable_of(
    rest: Sequence[Operator], readers: Mapping[str, int]
) -> tuple[Conv2D, Conv2D] | None:
    """Match a depthwise and a 1x1 convolution: a separable one, or a block without expansion.

    Apart they would store the filtered map, beside the input where that is added in the end.

    Args:
        rest: operators without a step, in the program's order.
        readers: how many operators read each tensor.

    Returns:
        the two convolutions; None where the next operators are no such block.
    """
    depthwise = rest[0]
    if not (isinstance(depthwise, Conv2D) and depthwise.depthwise and len(rest) > 1):
        return None
    project = rest[1]
    if not (isinstance(project, Conv2D) and is_pointwise(project)):
        return None
    filtered = depthwise.output.name
    if depthwise.residual or project.inputs[0].name != filtered or readers[filtered] != 1:
        return None
    return depthwise, project


def front_of(expand: Conv2D | None, depthwise: Conv2D) -> tuple[MatMul | None, DepthwiseRow] | None:
    """Return the expansion, if any, and the filter of a packed block, if it is of that kind.

    Args:
        expand: the 1x1 convolution before; None where there is none.
        depthwise: the 3x3 convolution.

    Returns:
        None where the packed kernel cannot take them.
    """
    zero = depthwise.output.zero_point
    padding = depthwise.padding
    fits = (
        depthwise.weight.shape[1:3] == (3, 3)
        and depthwise.stride in (1, 2)
        and {padding.top, padding.left} <= {0, 1}
        and depthwise.low == zero
        and depthwise.high <= zero + 255
        and (expand or depthwise).inputs[0].shape[2] % 4 == 0
        and all(conv.shift <= MOST_SHIFT for conv in (expand, depthwise) if conv)
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


@lru_cache(maxsize=256)  # every schedule that is tried asks again
def block_of(expand: Conv2D | None, depthwise: Conv2D, project: Conv2D) -> Block | None:
    """Return the packed block that computes them together, None where not of its kind.

    Args:
        expand: the 1x1 convolution before; None where there is none.
        depthwise: the 3x3 convolution.
        project: the 1x1 convolution behind.
    """
    front = front_of(expand, depthwise)
    if front is None or project.shift > MOST_SHIFT:
        return None
    planar, row = front
    if planar:
        columns = depthwise.inputs[0].shape[1]
        planar = replace(planar, runs=tuple(set(widened(planar, columns))))
    product = of_depth(project, depthwise.output.shape[2])
    rows = _rows_at_once(product, row, depthwise.output.shape[0])
    runs = {count * row.columns for count in (rows, depthwise.output.shape[0] % rows, 1) if count}
    block = Block(planar, row, replace(product, runs=tuple(runs)), rows)
    parts = (block.expand, block.filter, block.project)
    return block if all(part.is_reachable for part in parts if part) else None


def _rows_at_once(product: MatMul, row: DepthwiseRow, rows: int) -> int:
    """Count the filtered rows that are projected together, so that no row ends with few pixels."""
    most = product.most_pixels
    count = most // gcd(most, row.columns) if most else 1
    held = 2 * row.channels * count * row.columns
    pays = row.columns <= _SHORT_ROW and count <= rows and held <= _FILTERED_BYTES
    return count if pays else 1


def at_once(product: MatMul, columns: int) -> int:
    """Count the pixels of a row that are widened together, a multiple of those multiplied so.

    Args:
        product: the expansion.
        columns: of the row.
    """
    most = product.most_pixels
    return most * max(1, min(_WIDENED_BYTES // (most * product.pixel_bytes), -(-columns // most)))


def widened(product: MatMul, columns: int) -> list[int]:
    """Return the numbers of pixels of a row that are widened together, one after another.

    As `widened_of` in firmware/kernels/streamed_block.c has it.

    Args:
        product: the expansion.
        columns: of the row.
    """
    most, whole = product.most_pixels, at_once(product, columns)
    runs: list[int] = []
    if whole == most:
        return product.taken(columns)
    while left := columns - sum(runs):
        halves = whole < left < 2 * whole
        runs.append(-(-(left // 2) // most) * most if halves else min(left, whole))
    return runs


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
        runs=(expand.output.shape[1],),
    )


def block_name(project_name: str) -> str:
    """Return a fused block's name, its last operator's less a part: "mb1" for "mb1.project"."""
    return project_name.rpartition(".")[0] or project_name


def block_slack(depthwise: Conv2D, project: Conv2D, *, x: Tensor | None = None) -> int:
    """Return how far after its input's start a fused inverted residual's output may start.

    Before output row r is written, the rows under its depthwise window have been expanded from x,
    or copied where the depthwise convolution reads the input itself.
    A residual that is the input itself is read element by element just before the same element
    is written.

    Args:
        depthwise: the 3x3 convolution.
        project: the 1x1 convolution behind, which writes the output.
        x: the block's input; None where the depthwise convolution reads it.

    Returns:
        bytes; negative where the output has to start first.
    """
    x = x or depthwise.inputs[0]
    slack = ring_slack(
        x,
        project.output,
        stride=depthwise.stride,
        top=depthwise.padding.top,
        kernel_rows=depthwise.weight.shape[1],
    )
    if project.residual is not None and project.residual.source.name == x.name:
        slack = min(slack, 0)
    return slack


def inputs_of(convs: Sequence[Conv2D]) -> tuple[Tensor, ...]:
    """Return the maps that a fused block reads: its input, and its residual if that is another."""
    x, project = convs[0].inputs[0], convs[-1]
    if project.residual is not None and project.residual.source.name != x.name:
        return x, project.residual.source
    return (x,)
