"""Operators grouped into steps: what is fused, and what each step needs while it runs."""

from collections.abc import Sequence
from dataclasses import replace

from hil.compiler.plan_kernels import (
    Block,
    MatMul,
    block_of,
    heads_of,
    is_scale,
    is_stem,
    patch_grid,
    pointwise_of,
    scale_words,
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
    heads_slack,
    is_pointwise,
    pool_slack,
    sources,
    window_slack,
)
from hil.compiler.plan_sweep import sweep_scratch, sweep_slack
from hil.compiler.program import (
    Concat,
    Conv2D,
    GRUSweep,
    L2Norm,
    MaxOut,
    Operator,
    Pool2D,
    Program,
    RNNPool,
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
        # A streamed step has all its weights at hand from row to row.
        how = replace(choices, panel_bytes=None) if len(steps) < choices.streamed else choices
        taken = (
            _inverted_residual(rest, readers, how)
            or _unexpanded(rest, readers, how)
            or _scaled(rest, readers, how)
            or _pool(rest, readers, how)
            or _heads(rest, readers)
            or _panels(rest[0], how)
            or _single(rest[0], how)
        )
        steps.append(taken)
        rest = [operator for operator in rest if operator not in taken.operators]
    return tuple(steps)


def _panels(operator: Operator, choices: Choices) -> Step | None:
    return pointwise_panels(operator, choices) if isinstance(operator, Conv2D) else None


def _single(operator: Operator, choices: Choices) -> Step:
    inputs, outputs = sources(operator), (operator.output,)
    scratch: tuple[Scratch, ...] = ()
    match operator:
        case Conv2D() if product := pointwise_of(operator):
            kind = Kind.POINTWISE
            slack: int | None = window_slack(operator)
            copy = Scratch("copy", 4 * product.stream_words)
            window = Scratch("window", product.window_bytes, lasts=False)
            scratch = (window,) if choices.weights_in_flash else (copy, window)
        case Conv2D() if product := windowed_of(operator):
            kind, slack = Kind.WINDOWED, window_slack(operator)
            scratch = _windowed_scratch(product, choices)
        case Conv2D() if is_scale(operator):
            # Three pixels are read, channel by channel, before the next three are.
            kind, slack = Kind.SCALE, -3 * operator.output.shape[2]
            scratch = _scale_scratch(operator, choices)
        case Conv2D():
            kind, slack = Kind.CONV2D, window_slack(operator)
        case Concat():
            # Each pixel is written no further than the first map's are read.
            kind, slack = Kind.CONCAT, operator.inputs[0].bytes - operator.output.bytes
        case L2Norm():
            kind, slack = Kind.L2NORM, 0
        case MaxOut():
            kind, slack = Kind.MAXOUT, 0
        case GRUSweep():
            kind, slack = Kind.RENET, sweep_slack(operator)
            scratch = sweep_scratch(operator, choices)
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
        and not is_scale(depthwise)
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
        block_slack(depthwise, project, x=inputs[0]),
    )


def _scaled(rest: Sequence[Operator], readers: dict[str, int], choices: Choices) -> Step | None:
    """Match a batch norm or an activation by itself, and the 1x1 convolution that alone reads it.

    The convolution widens its pixels anyway, so that the normalised map is never stored.
    """
    if len(rest) < 2:
        return None
    scale, conv = rest[:2]
    if not (isinstance(scale, Conv2D) and is_scale(scale) and isinstance(conv, Conv2D)):
        return None
    name = scale.output.name
    if [t.name for t in conv.inputs[:1]] != [name] or readers[name] != 1 or not pointwise_of(conv):
        return None
    step = _single(conv, choices)
    inputs = (scale.inputs[0], *(t for t in step.inputs if t.name != name))
    inputs = tuple({tensor.name: tensor for tensor in inputs}.values())
    scratch = (*step.scratch, *_scale_scratch(scale, choices))
    return replace(step, operators=(scale, conv), inputs=inputs, scratch=scratch)


def _scale_scratch(scale: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
    factors = Scratch("factors", 4 * scale_words(scale))
    return () if choices.weights_in_flash else (factors,)


def _unexpanded(rest: Sequence[Operator], readers: dict[str, int], choices: Choices) -> Step | None:
    """Match a depthwise and a 1x1 convolution: a separable one, or a block without expansion.

    Apart they would store the filtered map, beside the input where that is added in the end.
    """
    depthwise = rest[0]
    if not (isinstance(depthwise, Conv2D) and depthwise.depthwise and len(rest) > 1):
        return None
    x, project = depthwise.inputs[0], rest[1]
    if not (isinstance(project, Conv2D) and is_pointwise(project)):
        return None
    filtered = depthwise.output.name
    if depthwise.residual or project.inputs[0].name != filtered or readers[filtered] != 1:
        return None
    block = block_of(None, depthwise, project)
    if block is None:
        return None
    others = [t for t in sources(project) if t.name not in {filtered, x.name}]
    return Step(
        block_name(project.name),
        Kind.STREAMED_BLOCK,
        (depthwise, project),
        (x, *others),
        (project.output,),
        _streamed_scratch(block, choices),
        block_slack(depthwise, project),
    )


def _streamed_scratch(block: Block, choices: Choices) -> tuple[Scratch, ...]:
    wide, columns = block.filter.channels, block.filter.columns
    copied = (Scratch("weights", 4 * block.weight_words),)
    pixels: tuple[Scratch, ...] = ()
    if block.expand:
        pixels = (Scratch("pixels", block.expand.window_bytes, lasts=False),)
    return (
        *(() if choices.weights_in_flash else copied),
        *pixels,
        Scratch("ring", 3 * wide * block.filter.slot_bytes, "sram"),
        Scratch("filtered", 2 * wide * (columns + columns % 2), lasts=False),
    )


def _windowed_scratch(product: MatMul, choices: Choices) -> tuple[Scratch, ...]:
    """Working memory of a convolution over gathered windows."""
    copy = Scratch("copy", 4 * product.stream_words)
    window = Scratch("window", product.window_bytes, lasts=False)
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
    if not isinstance(pool, RNNPool):
        return None
    if conv is not None and (
        pool.inputs[0].name != conv.output.name or readers[conv.output.name] != 1
    ):
        return None
    _, columns, channels = pool.inputs[0].shape
    lines: tuple[Scratch, ...] = ()
    if conv is not None:
        lines = (Scratch("lines", choices.band * columns * channels, "sram", lasts=False),)
        if is_stem(conv):
            lines += (Scratch("slots", 3 * 4 * (conv.inputs[0].shape[1] // 2 + 1)),)
        elif product := heads_of([conv]):
            lines += _heads_scratch(conv, product)
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


def _pool_scratch(pool: RNNPool, choices: Choices) -> tuple[Scratch, ...]:
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
        Scratch("row_states", 2 * across * max(row, summary), lasts=False),
        Scratch("row_products", 4 * pool.patch * across * summary),
        Scratch("pixel_products", 4 * columns * max(choices.band * row, summary), lasts=False),
        Scratch("column_states", 2 * started * columns * row, "sram"),
    )


def _heads(rest: Sequence[Operator], readers: dict[str, int]) -> Step | None:
    """Match convolutions of one map that can share a product, its norm and their max-outs."""
    norm = rest[0] if isinstance(rest[0], L2Norm) else None
    tensor = norm.output if norm else rest[0].inputs[0]
    convs: list[Conv2D] = []
    for operator in rest:
        if isinstance(operator, Conv2D) and [t.name for t in sources(operator)] == [tensor.name]:
            convs += [operator] if heads_of([*convs, operator]) else []
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
    is_alone = len(operators) == 1
    return Step(
        convs[0].name if is_alone else f"heads.{tensor.name}",
        Kind.HEADS,
        tuple(operators),
        rest[0].inputs[:1],
        tuple(outputs),
        _heads_scratch(convs[0], product, normalised=norm is not None),
        heads_slack(convs[0]) if is_alone else None,
    )


def _heads_scratch(
    conv: Conv2D, product: MatMul, *, normalised: bool = False
) -> tuple[Scratch, ...]:
    _, columns, channels = conv.inputs[0].shape
    line = max(columns * channels if normalised else 0, conv.output.shape[1] * product.channels)
    return (
        Scratch("turned", 4 * product.segments * product.stream_words),
        Scratch("ring", product.segments * product.segment_bytes),
        Scratch("line", line, lasts=False),
    )


def _maxout_of(conv: Conv2D, rest: Sequence[Operator], readers: dict[str, int]) -> MaxOut | None:
    for operator in rest:
        if isinstance(operator, MaxOut) and operator.inputs[0].name == conv.output.name:
            return operator if readers[conv.output.name] == 1 else None
    return None


def block_name(project_name: str) -> str:
    """The fused block's name, that of its last operator less a part: "mb1" for "mb1.project"."""
    return project_name.rpartition(".")[0] or project_name
