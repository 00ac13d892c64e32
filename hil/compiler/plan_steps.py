"""Operators grouped into the steps that the firmware runs, and what each needs while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hil.compiler.plan_kernels import MOST_PIXELS, Block, block_of, heads_of, is_stem
from hil.compiler.program import (
    Conv2D,
    L2Norm,
    MaxOut,
    Operator,
    Program,
    RnnPool,
    Tensor,
)
from hil.errors import BuildError

BAND = 1  # rows that go into a pooling layer together: more cost memory and win nothing


class Kind(StrEnum):
    """The kernel that runs a step; each has its file in firmware/kernels."""

    CONV2D = "conv2d"
    INVERTED_RESIDUAL = "inverted_residual"
    STREAMED_BLOCK = "streamed_block"
    RNNPOOL = "rnnpool"
    HEADS = "heads"
    L2NORM = "l2norm"
    MAXOUT = "maxout"


@dataclass(frozen=True)
class Scratch:
    """Working memory of one step, in "sram" or in "ccm"."""

    name: str
    bytes: int
    region: str = "ccm"


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel.

    Attributes:
        operators: those that it computes, in the program's order; several where they are fused.
        inputs: the maps it reads, the one it streams through first.
        outputs: the maps it writes.
        slack: by how many bytes `outputs[0]` may start after `inputs[0]` and still lie over it;
            None where it must not.
    """

    name: str
    kind: Kind
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scratch: tuple[Scratch, ...] = ()
    slack: int | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates as the model states them."""
        return sum(operator.macs for operator in self.operators)


def schedule(program: Program) -> tuple[Step, ...]:
    """Turn a program into steps.

    Every inverted residual is fused, so that its expanded map is never stored; a convolution runs
    into the RNNPool layer that alone reads it; convolutions that read the same map become one step,
    with the L2 normalisation before and the max-out after them.

    Raises:
        BuildError: an operator that no kernel computes.
    """
    steps: list[Step] = []
    rest = list(program.operators)
    readers = count_readers(program)
    while rest:
        taken = (
            _inverted_residual(rest, readers)
            or _pool(rest, readers)
            or _heads(rest, readers)
            or _single(rest[0])
        )
        steps.append(taken)
        rest = [operator for operator in rest if operator not in taken.operators]
    return tuple(steps)


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


def _single(operator: Operator) -> Step:
    inputs, outputs = sources(operator), (operator.output,)
    match operator:
        case Conv2D():
            kind = Kind.CONV2D
            slack: int | None = conv_slack(operator)
        case L2Norm():
            kind, slack = Kind.L2NORM, 0
        case MaxOut():
            kind, slack = Kind.MAXOUT, 0
        case _:
            raise BuildError(
                f"no kernel computes {type(operator).__name__} ({operator.name})",
                hint="firmware/kernels has one file for each kind of operator",
            )
    return Step(operator.name, kind, (operator,), inputs, outputs, slack=slack)


def _inverted_residual(rest: Sequence[Operator], readers: dict[str, int]) -> Step | None:
    """Match 1x1 expand, depthwise, 1x1 project, with no other reader of the maps between."""
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
        and is_pointwise(project)
        and expand.residual is None
        and depthwise.residual is None
        and depthwise.inputs[0].name == expand.output.name
        and project.inputs[0].name == depthwise.output.name
        and readers[expand.output.name] == 1
        and readers[depthwise.output.name] == 1
    )
    if not chained:
        return None
    inputs = [expand.inputs[0]]
    if project.residual is not None and project.residual.source.name != inputs[0].name:
        inputs.append(project.residual.source)
    block = block_of(expand, depthwise, project)
    return Step(
        block_name(project.name),
        Kind.STREAMED_BLOCK if block else Kind.INVERTED_RESIDUAL,
        (expand, depthwise, project),
        tuple(inputs),
        (project.output,),
        _streamed_scratch(block) if block else _plain_scratch(depthwise),
        block_slack(expand, depthwise, project),
    )


def _streamed_scratch(block: Block) -> tuple[Scratch, ...]:
    wide, columns = block.filter.channels, block.filter.columns
    return (
        Scratch("weights", 4 * block.weight_words),
        Scratch("pixels", MOST_PIXELS * block.expand.pixel_bytes),
        Scratch("ring", 3 * wide * block.filter.slot_bytes, "sram"),
        Scratch("filtered", 2 * wide * (columns + columns % 2)),
    )


def _plain_scratch(depthwise: Conv2D) -> tuple[Scratch, ...]:
    _, columns, channels = depthwise.inputs[0].shape
    return (
        Scratch("ring", depthwise.weight.shape[1] * columns * channels),
        Scratch("line", depthwise.output.shape[1] * channels),
    )


def _pool(rest: Sequence[Operator], readers: dict[str, int]) -> Step | None:
    """Match an RNNPool layer, with the convolution before it if nothing else reads its map."""
    conv, pool = None, rest[0]
    if isinstance(pool, Conv2D) and pool.residual is None and len(rest) > 1:
        conv, pool = pool, rest[1]
    if not isinstance(pool, RnnPool):
        return None
    if conv is not None and (
        pool.inputs[0].name != conv.output.name or readers[conv.output.name] != 1
    ):
        return None
    _, columns, channels = pool.inputs[0].shape
    lines: tuple[Scratch, ...] = ()
    if conv is not None:
        lines = (Scratch("lines", BAND * columns * channels, "sram"),)
        if is_stem(conv):
            lines += (Scratch("slots", 3 * 4 * (conv.inputs[0].shape[1] // 2 + 1)),)
    return Step(
        pool.name,
        Kind.RNNPOOL,
        (conv, pool) if conv else (pool,),
        (conv or pool).inputs,
        (pool.output,),
        (*lines, *_pool_scratch(pool)),
        pool_slack(conv, pool),
    )


def patch_grid(pool: RnnPool) -> tuple[int, int]:
    """Rows and columns of patches."""
    rows, columns, _ = pool.inputs[0].shape
    return (rows - pool.patch) // pool.stride + 1, (columns - pool.patch) // pool.stride + 1


def _pool_scratch(pool: RnnPool) -> tuple[Scratch, ...]:
    columns = pool.inputs[0].shape[1]
    across = patch_grid(pool)[1]
    row, summary = pool.row.units, pool.summary.units
    started = -(-pool.patch // pool.stride)  # patch rows that are open at the same time
    return (
        Scratch("row_table", 4 * row << pool.row.index_bits),
        Scratch("summary_table", 4 * summary << pool.summary.index_bits, "sram"),
        Scratch("pixel_products", 4 * columns * max(BAND * row, summary)),
        Scratch("row_products", 4 * pool.patch * across * summary),
        Scratch("row_states", 2 * across * max(row, summary)),
        Scratch("column_states", 2 * started * columns * row, "sram"),
    )


def pool_slack(conv: Conv2D | None, pool: RnnPool) -> int:
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


def _heads(rest: Sequence[Operator], readers: dict[str, int]) -> Step | None:
    """Match the convolutions that alone read a map, its normalisation, and their max-outs."""
    norm = rest[0] if isinstance(rest[0], L2Norm) else None
    tensor = norm.output if norm else rest[0].inputs[0]
    convs = [
        op
        for op in rest
        if isinstance(op, Conv2D) and [t.name for t in sources(op)] == [tensor.name]
    ]
    if not convs or (norm is None and rest[0] is not convs[0]):
        return None
    product = heads_of(convs)
    if product is None or (norm and readers[tensor.name] != len(convs)):
        return None
    operators: list[Operator] = [norm] if norm else []
    outputs = []
    for conv in convs:
        most = _maxout_of(conv, rest, readers)
        operators += [conv, most] if most else [conv]
        outputs.append((most or conv).output)
    _, columns, channels = tensor.shape
    return Step(
        f"heads.{tensor.name}",
        Kind.HEADS,
        tuple(operators),
        rest[0].inputs[:1],
        tuple(outputs),
        (
            Scratch("turned", 3 * 4 * product.stream_words),
            Scratch("ring", 3 * product.segment_bytes),
            Scratch("line", columns * max(channels if norm else 0, product.channels)),
        ),
    )


def _maxout_of(conv: Conv2D, rest: Sequence[Operator], readers: dict[str, int]) -> MaxOut | None:
    for operator in rest:
        if isinstance(operator, MaxOut) and operator.inputs[0].name == conv.output.name:
            return operator if readers[conv.output.name] == 1 else None
    return None


def block_name(project_name: str) -> str:
    """The fused block's name, that of its last operator less a part: "mb1" for "mb1.project"."""
    return project_name.rpartition(".")[0] or project_name


def is_pointwise(operator: Operator) -> bool:
    """Whether an operator is a dense 1x1 convolution of stride 1."""
    return (
        isinstance(operator, Conv2D)
        and not operator.depthwise
        and operator.weight.shape[1:3] == (1, 1)
        and operator.stride == 1
    )


def conv_slack(conv: Conv2D) -> int:
    """How far after its input's start a convolution's output may start.

    When output row r is being written, every input row before r * stride - top has been read for
    the last time.
    """
    in_row, out_row = row_bytes(conv.inputs[0]), row_bytes(conv.output)
    return min(
        max(0, row * conv.stride - conv.padding.top) * in_row - (row + 1) * out_row
        for row in range(conv.output.shape[0])
    )


def block_slack(expand: Conv2D, depthwise: Conv2D, project: Conv2D) -> int:
    """How far after its input's start a fused inverted residual's output may start.

    Before output row r is written, the input rows under its depthwise window have been expanded.
    A residual that is the input itself is read element by element just before the same element
    is written.
    """
    in_row, out_row = row_bytes(expand.inputs[0]), row_bytes(project.output)
    in_rows, out_rows = expand.inputs[0].shape[0], project.output.shape[0]
    kernel_rows = depthwise.weight.shape[1]
    slack = in_rows * in_row
    for row in range(out_rows):
        unread = row * depthwise.stride - depthwise.padding.top + kernel_rows
        if unread < in_rows:
            slack = min(slack, unread * in_row - (row + 1) * out_row)
    if project.residual is not None and project.residual.source.name == expand.inputs[0].name:
        slack = min(slack, 0)
    return slack


def row_bytes(tensor: Tensor) -> int:
    """Bytes of one row of a map."""
    return tensor.shape[1] * tensor.shape[2]
