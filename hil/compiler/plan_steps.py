"""The steps that the firmware runs, and how far their outputs may lie over their inputs."""

from dataclasses import dataclass
from enum import StrEnum

from hil.compiler.plan_kernels import patch_grid
from hil.compiler.program import (
    Conv2D,
    Operator,
    Pool2D,
    Program,
    RNNPool,
    Tensor,
)


class Kind(StrEnum):
    """The kernel that runs a step; each has its file in firmware/kernels."""

    CONV2D = "conv2d"
    POINTWISE = "pointwise"
    POINTWISE_PANELS = "pointwise_panels"
    EXPAND_FILTER = "expand_filter"
    WINDOWED = "windowed"
    INVERTED_RESIDUAL = "inverted_residual"
    STREAMED_BLOCK = "streamed_block"
    RNNPOOL = "rnnpool"
    RENET = "renet"
    HEADS = "heads"
    L2NORM = "l2norm"
    MAXOUT = "maxout"
    POOL2D = "pool2d"
    SCALE = "scale"
    CONCAT = "concat"


@dataclass(frozen=True)
class Choices:
    """What a schedule may be free to choose; none of it changes a value.

    Attributes:
        band: rows that go into a pooling layer together; divides its patch and its stride.
        tables_in_flash: FastGRNN tables are read where they are, not copied to memory.
        weights_in_flash: blocks read their weights where they are, not copied to CCM.
        streamed: how many of the first steps run row by row while the image comes in; 0 where the
            image is in memory before the first.
        ccm_bytes: fill so much CCM with whatever fits, so that both regions together stay small;
            None to put in CCM what is fastest there.
        panel_bytes: weights that need more working memory go through so much, panel by panel of
            channels; None to copy any in one piece.
    """

    band: int = 1
    tables_in_flash: bool = False
    weights_in_flash: bool = False
    streamed: int = 0
    ccm_bytes: int | None = None
    panel_bytes: int | None = None


@dataclass(frozen=True)
class Scratch:
    """Working memory of one step.

    Attributes:
        region: "sram" or "ccm".
        lasts: from one row of a step to its next; what does not is free for others in between.
    """

    name: str
    bytes: int
    region: str = "ccm"
    lasts: bool = True


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel.

    Attributes:
        operators: those that it computes, in the program's order; several where they are fused.
        inputs: the maps it reads, the one it streams through first.
        outputs: the maps it writes.
        slack: by how many bytes `outputs[0]` may start after `inputs[0]` and still lie over it;
            None where it must not.
        band: rows that go into a pooling layer together.
        panel: output channels whose weights are in memory together; 0 where all are, or none.
    """

    name: str
    kind: Kind
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scratch: tuple[Scratch, ...] = ()
    slack: int | None = None
    band: int = 1
    panel: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates as the model states them."""
        return sum(operator.macs for operator in self.operators)

    def scratch_bytes(self, name: str) -> int:
        """Of working memory of this name, 0 where there is none."""
        return sum(scratch.bytes for scratch in self.scratch if scratch.name == name)


def sources(operator: Operator) -> tuple[Tensor, ...]:
    """Every map that an operator reads, its residual included, each once."""
    found = list(operator.inputs)
    if isinstance(operator, Conv2D) and operator.residual is not None:
        found.append(operator.residual.source)
    return tuple({tensor.name: tensor for tensor in found}.values())


def count_readers(program: Program) -> dict[str, int]:
    """How many operators read each tensor; the program's result counts as a reader."""
    counts: dict[str, int] = {}
    for operator in program.operators:
        for tensor in sources(operator):
            counts[tensor.name] = counts.get(tensor.name, 0) + 1
    for tensor in program.output.tensors:
        counts[tensor.name] = counts.get(tensor.name, 0) + 1
    return counts


def is_pointwise(operator: Operator) -> bool:
    """Whether an operator is a dense 1x1 convolution of stride 1."""
    return (
        isinstance(operator, Conv2D)
        and not operator.depthwise
        and operator.weight.shape[1:3] == (1, 1)
        and operator.stride == 1
    )


def pool_slack(conv: Conv2D | None, pool: RNNPool) -> int:
    """How far after its input's start a pooled map may start.

    A pooled row is written when the last row under its patches has gone in, and the rows before
    the next band's are never read again; the last pooled row is written when all rows have.
    """
    source = conv.inputs[0] if conv else pool.inputs[0]
    in_row, out_row = row_bytes(source), row_bytes(pool.output)
    slack = source.bytes - pool.output.bytes
    for row in range(patch_grid(pool)[0] - 1):
        unread = row * pool.stride + pool.patch
        if conv is not None:
            unread = max(0, unread * conv.stride - conv.padding.top)
        slack = min(slack, unread * in_row - (row + 1) * out_row)
    return slack


def window_slack(operator: Conv2D | Pool2D) -> int:
    """How far after its input's start the output of a convolution or a pooling may start.

    When output row r is being written, every input row before r * stride - top has been read for
    the last time.
    """
    in_row, out_row = row_bytes(operator.inputs[0]), row_bytes(operator.output)
    return min(
        max(0, row * operator.stride - operator.padding.top) * in_row - (row + 1) * out_row
        for row in range(operator.output.shape[0])
    )


def heads_slack(conv: Conv2D) -> int:
    """How far after its input's start the output of a convolution over a ring of rows may start.

    When output row r is being written, the rows under its window have been entered in the ring.
    """
    in_row, out_row = row_bytes(conv.inputs[0]), row_bytes(conv.output)
    in_rows, kernel_rows = conv.inputs[0].shape[0], conv.weight.shape[1]
    slack = in_rows * in_row
    for row in range(conv.output.shape[0]):
        unread = row * conv.stride - conv.padding.top + kernel_rows
        if unread < in_rows:
            slack = min(slack, unread * in_row - (row + 1) * out_row)
    return slack


def block_slack(depthwise: Conv2D, project: Conv2D, *, x: Tensor | None = None) -> int:
    """How far after its input's start a fused inverted residual's output may start.

    Before output row r is written, the rows under its depthwise window have been expanded from x,
    or copied where the depthwise convolution reads the input itself.
    A residual that is the input itself is read element by element just before the same element
    is written.
    """
    x = x or depthwise.inputs[0]
    in_row, out_row = row_bytes(x), row_bytes(project.output)
    in_rows, out_rows = x.shape[0], project.output.shape[0]
    kernel_rows = depthwise.weight.shape[1]
    slack = in_rows * in_row
    for row in range(out_rows):
        unread = row * depthwise.stride - depthwise.padding.top + kernel_rows
        if unread < in_rows:
            slack = min(slack, unread * in_row - (row + 1) * out_row)
    if project.residual is not None and project.residual.source.name == x.name:
        slack = min(slack, 0)
    return slack


def row_bytes(tensor: Tensor) -> int:
    """Bytes of one row of a map."""
    return tensor.shape[1] * tensor.shape[2]
