"""Sizes of maps, who reads them, and how far an output may lie over the input under it."""

from hil.compiler.kernels.kernel import Access
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.patch_pool import PatchPool
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.program import Operator, Program, Tensor


def even(count: int) -> int:
    """Round a count up to an even one."""
    return count + count % 2


def row_bytes(tensor: Tensor) -> int:
    """Return the bytes of one row of a map."""
    return tensor.bytes // tensor.shape[0]


def patch_grid(pool: PatchPool) -> tuple[int, int]:
    """Return the rows and columns of a pooling layer's patches."""
    rows, columns, _ = pool.inputs[0].shape
    return (rows - pool.patch) // pool.stride + 1, (columns - pool.patch) // pool.stride + 1


def sources(operator: Operator) -> tuple[Tensor, ...]:
    """Return every map that an operator reads, its residual included, each once."""
    found = list(operator.inputs)
    if isinstance(operator, Conv2D) and operator.residual is not None:
        found.append(operator.residual.source)
    return tuple({tensor.name: tensor for tensor in found}.values())


def count_readers(program: Program) -> dict[str, int]:
    """Count the operators that read each tensor; the program's result counts as a reader."""
    counts: dict[str, int] = {}
    for operator in program.operators:
        for tensor in sources(operator):
            counts[tensor.name] = counts.get(tensor.name, 0) + 1
    for tensor in program.output.tensors:
        counts[tensor.name] = counts.get(tensor.name, 0) + 1
    return counts


def is_pointwise(operator: Operator) -> bool:
    """Tell whether an operator is a dense 1x1 convolution of stride 1."""
    return (
        isinstance(operator, Conv2D)
        and not operator.depthwise
        and operator.weight.shape[1:3] == (1, 1)
        and operator.stride == 1
    )


def is_unpadded(conv: Conv2D) -> bool:
    """Tell whether a convolution has no padding on any side."""
    padding = conv.padding
    return (padding.top, padding.left, padding.bottom, padding.right) == (0, 0, 0, 0)


def window_slack(operator: Conv2D | Pool2D) -> int:
    """Return how far after its input's start a convolution's or a pooling's output may start.

    When output row r is being written, every input row before r * stride - top has been read for
    the last time.
    """
    in_row, out_row = row_bytes(operator.inputs[0]), row_bytes(operator.output)
    return min(
        max(0, row * operator.stride - operator.padding.top) * in_row - (row + 1) * out_row
        for row in range(operator.output.shape[0])
    )


def ring_slack(x: Tensor, y: Tensor, *, stride: int, top: int, kernel_rows: int) -> int:
    """Return by how many bytes an output must begin after its input, if the input goes into a ring.

    When output row r is being written, the rows under its window have been entered in the ring.

    Args:
        x: the input.
        y: the output.
        stride: of the filter, both ways.
        top: rows of padding above.
        kernel_rows: of the filter.

    Returns:
        bytes; negative where the output has to start first.
    """
    in_row, out_row = row_bytes(x), row_bytes(y)
    slack = x.shape[0] * in_row
    for row in range(y.shape[0]):
        unread = row * stride - top + kernel_rows
        if unread < x.shape[0]:
            slack = min(slack, unread * in_row - (row + 1) * out_row)
    return slack


def window_access(operator: Conv2D | Pool2D) -> Access:
    """Return how an operator over windows goes through its input, one output row at a time."""
    window = operator.window[0] if isinstance(operator, Pool2D) else operator.weight.shape[1]
    top = operator.padding.top
    return Access(operator.output.shape[0], operator.stride, window - top, -top)


def pixel_access(operator: Operator) -> Access:
    """Return how an operator of single pixels goes through its input."""
    return Access(operator.output.shape[0], 1, 1, 0)
