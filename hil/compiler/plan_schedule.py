"""Operators grouped into steps: what is fused, and what each step needs while it runs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hil.compiler.plan_kernels import (
    MOST_PIXELS,
    Block,
    MatMul,
    block_of,
    heads_of,
    is_stem,
    patch_grid,
    pointwise_of,
    windowed_of,
)
from hil.compiler.plan_panels import expand_filter, pointwise_panels
from hil.compiler.plan_steps import (
    Choices,
    Kind,
    Scratch,
    Step,
    block_slack,
    count_readers,
    is_pointwise,
    pool_slack,
    sources,
    window_slack,
)
from hil.compiler.program import (
    Conv2D,
    L2Norm,
    MaxOut,
    Operator,
    Padding,
    Pool2D,
    Program,
    RnnPool,
    Tensor,
)
from hil.errors import BuildError


def schedule(program: Program, choices: Choices) -> tuple[Step, ...]:
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
            _inverted_residual(rest, readers, choices)
            or _unexpanded(rest, readers, choices)
            or _pool(rest, readers, choices)
            or _heads(rest, readers)
            or _single(rest[0], choices)
        )
        steps.append(taken)
        rest = [operator for operator in rest if operator not in taken.computed]
    return tuple(steps)


def _single(operator: Operator, choices: Choices) -> Step:
    inputs, outputs = sources(operator), (operator.output,)
    scratch: tuple[Scratch, ...] = ()
    if isinstance(operator, Conv2D) and (panelled := pointwise_panels(operator, choices)):
        return panelled
    match operator:
        case Conv2D() if product := pointwise_of(operator):
            kind = Kind.POINTWISE
            slack: int | None = window_slack(operator)
            copy = Scratch("copy", 4 * product.stream_words)
            scratch = (
                *(() if choices.weights_in_flash else (copy,)),
                Scratch("window", MOST_PIXELS * product.pixel_bytes),
            )
        case Conv2D() if product := windowed_of(operator):
            kind, slack = Kind.WINDOWED, window_slack(operator)
            scratch = _windowed_scratch(product, choices)
        case Conv2D():
            kind, slack = Kind.CONV2D, window_slack(operator)
        case L2Norm():
            kind, slack = Kind.L2NORM, 0
        case MaxOut():
            kind, slack = Kind.MAXOUT, 0
        case Pool2D():
            kind, slack = Kind.POOL2D, window_slack(operator)
        case _:
            raise BuildError(
                f"no kernel computes {type(operator).__name__} ({operator.name})",
                hint="firmware/kernels has one file for each kind of operator",
            )
    return Step(operator.name, kind, (operator,), inputs, outputs, scratch, slack)


def _inverted_residual(
    rest: Sequence[Operator], readers: dict[str, int], choices: Choices
) -> Step | None:
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
    if panelled := expand_filter(expand, depthwise, project, choices):
        return panelled
    block = block_of(expand, depthwise, project)
    return Step(
        block_name(project.name),
        Kind.STREAMED_BLOCK if block else Kind.INVERTED_RESIDUAL,
        (expand, depthwise, project),
        tuple(inputs),
        (project.output,),
        _streamed_scratch(block, choices) if block else _plain_scratch(depthwise),
        block_slack(expand, depthwise, project),
    )


def _unexpanded(rest: Sequence[Operator], readers: dict[str, int], choices: Choices) -> Step | None:
    """Match an inverted residual without expansion that adds its input.

    Apart, its convolutions would store the filtered map beside the input. An expansion by the
    identity makes it one like the others.
    """
    depthwise = rest[0]
    if not (isinstance(depthwise, Conv2D) and depthwise.depthwise and len(rest) > 1):
        return None
    x, project = depthwise.inputs[0], rest[1]
    if not (isinstance(project, Conv2D) and project.residual is not None):
        return None
    if project.residual.source.name != x.name:
        return None
    copy = _identity(f"{block_name(depthwise.name)}.copy", x)
    filtered = replace(depthwise, inputs=(copy.output,))
    alone = readers | {copy.output.name: 1}
    whole = replace(choices, panel_bytes=None)
    block = _inverted_residual((copy, filtered, project), alone, whole)
    return replace(block, replaces=(depthwise, project)) if block else None


def _identity(name: str, x: Tensor) -> Conv2D:
    """A 1x1 convolution that changes no value: 64 * 2**26 is 2**32, so nothing is rounded."""
    channels = x.shape[2]
    weight = (64 * np.eye(channels)).astype(np.int8)
    return Conv2D(
        name,
        (x,),
        replace(x, name=name),
        macs=0,
        weight=weight[:, None, None, :],
        bias=np.zeros(channels, np.int32),
        multiplier=np.full(channels, 2**26, np.int32),
        shift=0,
        stride=1,
        padding=Padding(),
        depthwise=False,
    )


def _streamed_scratch(block: Block, choices: Choices) -> tuple[Scratch, ...]:
    wide, columns = block.filter.channels, block.filter.columns
    copied = (Scratch("weights", 4 * block.weight_words),)
    return (
        *(() if choices.weights_in_flash else copied),
        Scratch("pixels", MOST_PIXELS * block.expand.pixel_bytes),
        Scratch("ring", 3 * wide * block.filter.slot_bytes, "sram"),
        Scratch("filtered", 2 * wide * (columns + columns % 2)),
    )


def _windowed_scratch(product: MatMul, choices: Choices) -> tuple[Scratch, ...]:
    """Working memory of a convolution over gathered windows."""
    copy = Scratch("copy", 4 * product.stream_words)
    window = Scratch("window", MOST_PIXELS * product.pixel_bytes)
    return (window,) if choices.weights_in_flash else (copy, window)


def _plain_scratch(depthwise: Conv2D) -> tuple[Scratch, ...]:
    _, columns, channels = depthwise.inputs[0].shape
    return (
        Scratch("ring", depthwise.weight.shape[1] * columns * channels),
        Scratch("line", depthwise.output.shape[1] * channels),
    )


def _pool(rest: Sequence[Operator], readers: dict[str, int], choices: Choices) -> Step | None:
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
        lines = (Scratch("lines", choices.band * columns * channels, "sram"),)
        if is_stem(conv):
            lines += (Scratch("slots", 3 * 4 * (conv.inputs[0].shape[1] // 2 + 1)),)
        elif product := windowed_of(conv):
            lines += _windowed_scratch(product, choices)
    return Step(
        pool.name,
        Kind.RNNPOOL,
        (conv, pool) if conv else (pool,),
        (conv or pool).inputs,
        (pool.output,),
        (*lines, *_pool_scratch(pool, choices)),
        pool_slack(conv, pool),
        choices.band,
    )


def _pool_scratch(pool: RnnPool, choices: Choices) -> tuple[Scratch, ...]:
    columns = pool.inputs[0].shape[1]
    across = patch_grid(pool)[1]
    row, summary = pool.row.units, pool.summary.units
    started = -(-pool.patch // pool.stride)  # patch rows that are open at the same time
    tables = (
        Scratch("row_table", 4 * row << pool.row.index_bits),
        Scratch("summary_table", 4 * summary << pool.summary.index_bits, "sram"),
    )
    return (
        *(() if choices.tables_in_flash else tables),
        Scratch("row_states", 2 * across * max(row, summary)),
        Scratch("row_products", 4 * pool.patch * across * summary),
        Scratch("pixel_products", 4 * columns * max(choices.band * row, summary)),
        Scratch("column_states", 2 * started * columns * row, "sram"),
    )


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
