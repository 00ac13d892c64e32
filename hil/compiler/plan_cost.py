"""A cost model: the cycles that each step is expected to take on a Cortex-M4 at 5 wait states.

Its constants come from the kernels' code and from measurements of RNNPool-Face-M4 on the emulated
board (docs/kernels.md). It ranks schedules; it does not replace a measurement.
"""

from collections.abc import Sequence

from hil.compiler import emit_fastgrnn
from hil.compiler.plan_kernels import (
    MatMul,
    block_of,
    front_of,
    heads_of,
    is_scale,
    is_stem,
    patch_grid,
    pointwise_of,
    scale_words,
    windowed_of,
)
from hil.compiler.plan_panels import is_held
from hil.compiler.plan_place import Plan
from hil.compiler.plan_steps import Kind, Step
from hil.compiler.plan_sweep import lines_of, product_of, recurrent_words
from hil.compiler.program import (
    Cell,
    Concat,
    Conv2D,
    GRUSweep,
    L2Norm,
    Operator,
    Pool2D,
    RNNPool,
)

_PLAIN = 13.0  # cycles per multiply-accumulate of the plain kernels
_WIDEN = 2.6  # per value
_SPREAD = 6.0  # per value of a block without expansion
_GATHER = 6.0  # per value of a window whose channels are not in words
_SCALED = 6.0  # per value of a batch norm by itself
_JOINED = 1.8  # per value of a concatenation
_NORMALISE = 18.0  # per value
_POOLED = 4.8  # per value in a window
_OUTPUT = 14.0  # per output of a depthwise row
_FLASH_WORD = 2.6  # more for a word read in order from flash than from memory
_FLASH_ENTRY = 7.0  # more for a word read from flash at random
_APART = 1.0  # per update
_STEP = {1: 6, 2: 9, 3: 12}  # for two inputs, by pixels at a time
_UNPAIRED = 1.3  # times a product's cycles, where its loads go to two memories
_STEM = 64.0  # per pixel of four channels
_SPARSE, _DENSE = 16.1, 27.3  # per update of a unit in straight-line and in blocked code
_START = 6.5  # per first update, from a zero state
_GRU_UPDATE = 41.0  # per update of a GRU's unit, its multiply-accumulates apart
_CALL_SPARSE, _CALL_DENSE = 34.0, 57.0  # per sequence and call: states in and out


def estimate(plan: Plan) -> int:
    """Cycles of one inference."""
    return round(sum(_step(step, plan) for step in plan.steps))


def _step(step: Step, plan: Plan) -> float:
    convs = [op for op in step.operators if isinstance(op, Conv2D)]
    last = step.operators[-1]
    match step.kind:
        case Kind.STREAMED_BLOCK:
            return _block(step, convs, plan)
        case Kind.EXPAND_FILTER:
            return _expand_filter(step, *convs)
        case Kind.POINTWISE | Kind.POINTWISE_PANELS:
            return sum(_scale(c, plan) for c in convs[:-1]) + _pointwise(convs[-1], step, plan)
        case Kind.WINDOWED:
            return _windowed(convs[0], step, plan)
        case Kind.HEADS:
            return _heads(convs, normalised=isinstance(step.operators[0], L2Norm))
        case Kind.RNNPOOL if isinstance(last, RNNPool):
            return (_conv(convs[0], step, plan) if convs else 0.0) + _pool(last, step, plan)
    return _alone(last, step, plan)


def _alone(operator: Operator, step: Step, plan: Plan) -> float:
    match operator:
        case Pool2D():
            return _pool2d(operator)
        case GRUSweep():
            return _sweep(operator, plan)
        case Concat():
            return _JOINED * operator.output.bytes
        case Conv2D() if is_scale(operator):
            return _scale(operator, plan)
    return _PLAIN * step.macs


def _scale(conv: Conv2D, plan: Plan) -> float:
    rows, columns, channels = conv.output.shape
    cycles = _SCALED * rows * columns * channels
    if plan.choices.weights_in_flash:
        cycles += _FLASH_WORD * -(-rows * columns // 3) * scale_words(conv)
    return cycles


def _pool2d(pool: Pool2D) -> float:
    return _POOLED * pool.output.bytes * pool.window[0] * pool.window[1]


def _sweep(sweep: GRUSweep, plan: Plan) -> float:
    lines, product, units = lines_of(sweep), product_of(sweep), sweep.forward.units
    patches = 2 * lines.sequences * lines.steps
    cycles = _WIDEN * patches * product.depth + _product(product, patches)
    cycles += patches * units * (_GRU_UPDATE + 3.0 * units)
    if plan.choices.tables_in_flash:
        cycles += 3 * _FLASH_ENTRY * patches * units
    if plan.choices.weights_in_flash:
        words = product.stream_words / 3 + recurrent_words(sweep) / 2
        cycles += _FLASH_WORD * patches * words
    return cycles


def _pointwise(conv: Conv2D, step: Step, plan: Plan) -> float:
    rows, columns, _ = conv.inputs[0].shape
    product = pointwise_of(conv)
    if product is None:
        return _PLAIN * conv.macs
    cycles = _widen(step, conv, product)
    cycles += _from_flash(product, rows * columns, plan)
    return cycles + _product(product, rows * columns) * _unpaired(step, plan)


def _expand_filter(step: Step, expand: Conv2D, depthwise: Conv2D) -> float:
    front = front_of(expand, depthwise)
    product = front[0] if front else None
    if product is None:
        return _PLAIN * (expand.macs + depthwise.macs)
    rows, columns, _ = expand.output.shape
    cycles = _OUTPUT * depthwise.output.bytes + _product(product, rows * columns)
    return _widen(step, expand, product) + cycles


def _widen(step: Step, conv: Conv2D, product: MatMul) -> float:
    """All pixels once, or for each panel anew."""
    once = step.panel == 0 or is_held(step, product)
    times = 1 if once else -(-product.channels // step.panel)
    return _WIDEN * conv.inputs[0].bytes * times


def _heads(convs: Sequence[Conv2D], *, normalised: bool) -> float:
    rows, columns, channels = convs[0].inputs[0].shape
    product = heads_of(convs)
    if product is None:
        return _PLAIN * sum(conv.macs for conv in convs)
    each = _WIDEN + (_NORMALISE if normalised else 0.0)
    out_rows, out_columns, _ = convs[0].output.shape
    return each * rows * columns * channels + _product(product, out_rows * out_columns)


def _conv(conv: Conv2D, step: Step, plan: Plan) -> float:
    rows, columns, _ = conv.output.shape
    if is_stem(conv):
        return _STEM * rows * columns
    if heads_of([conv]):
        return _heads([conv], normalised=False)
    return _windowed(conv, step, plan)


def _windowed(conv: Conv2D, step: Step, plan: Plan) -> float:
    product = windowed_of(conv)
    if product is None:
        return _PLAIN * conv.macs
    rows, columns, _ = conv.output.shape
    each = _GATHER if conv.inputs[0].shape[2] % 4 else _WIDEN
    cycles = each * rows * columns * product.depth + _from_flash(product, rows * columns, plan)
    return cycles + _product(product, rows * columns) * _unpaired(step, plan)


def _block(step: Step, convs: Sequence[Conv2D], plan: Plan) -> float:
    expand = convs[0] if len(convs) > 2 else None
    depthwise, project = convs[-2:]
    block = block_of(expand, depthwise, project)
    if block is None:
        return _PLAIN * step.macs
    rows, columns, channels = step.inputs[0].shape
    out_rows, out_columns, _ = project.output.shape
    cycles = (_WIDEN if block.expand else _SPREAD) * rows * columns * channels
    cycles += _OUTPUT * out_rows * out_columns * block.filter.channels
    cycles += _product(block.expand, rows * columns) if block.expand else 0.0
    cycles += _product(block.project, out_rows * out_columns)
    # A product's pixels and weights in two memories pair less: a cycle more for every two inputs.
    regions = [
        plan.buffers.get(f"{step.name}/{name}") for name in ("weights", "filtered", "pixels")
    ]
    if len({buffer.region for buffer in regions if buffer}) > 1:
        cycles *= 1.05
    if plan.choices.weights_in_flash:
        panels = rows * -(-columns // 3) * block.expand.stream_words if block.expand else 0
        panels += out_rows * -(-out_columns // 3) * block.project.stream_words
        cycles += _FLASH_WORD * panels
    return cycles


def _unpaired(step: Step, plan: Plan) -> float:
    """What a product takes more where its weights and its window are in two memories."""
    copy, window = (plan.buffers.get(f"{step.name}/{name}") for name in ("copy", "window"))
    return _UNPAIRED if copy and window and copy.region != window.region else 1.0


def _from_flash(product: MatMul, pixels: int, plan: Plan) -> float:
    """What reading the weights where they are costs, once for all pixels at a time."""
    if not plan.choices.weights_in_flash:
        return 0.0
    return _FLASH_WORD * -(-pixels // product.most_pixels) * product.stream_words


def _product(product: MatMul, pixels: int) -> float:
    """12 cycles for 12 multiply-accumulates, and what begins and ends two channels."""
    inner = _STEP[product.most_pixels] * product.depth / 2 * product.segments
    ends = 38 + (18 if product.residual else 0)
    return pixels / product.most_pixels * product.channels / 2 * (inner * 1.02 + ends)


def _pool(pool: RNNPool, step: Step, plan: Plan) -> float:
    patch_rows, patch_columns = patch_grid(pool)
    columns = pool.inputs[0].shape[1]
    rows = (patch_rows - 1) * pool.stride + pool.patch
    row_sweeps, column_sweeps = rows * patch_columns, patch_rows * columns
    summaries = 4 * patch_rows * patch_columns
    of_rows = (row_sweeps + column_sweeps) * pool.patch
    entry = _FLASH_ENTRY if plan.choices.tables_in_flash else 0.0
    calls = row_sweeps + column_sweeps * pool.patch / step.band
    # In another memory than the weights a product's load hides behind none of theirs; the dense
    # code loads products by themselves.
    apart = {
        name: _APART * (plan.buffers[f"{step.name}/{name}"].region != "ccm" and _is_sparse(cell))
        for name, cell in (("pixel_products", pool.row), ("row_products", pool.summary))
    }
    return (
        _updates(pool.row, of_rows, row_sweeps + column_sweeps, entry + apart["pixel_products"])
        + _updates(pool.summary, summaries * pool.patch, summaries, entry + apart["row_products"])
        + _call(pool.row) * calls
        + _call(pool.summary) * 1.5 * summaries
        + 5.0 * rows * columns * pool.row.units
        + (12.0 if _is_sparse(pool.summary) else 20.0)
        * (row_sweeps + column_sweeps)
        * pool.summary.units
    )


def _updates(cell: Cell, steps: float, starts: float, entry: float) -> float:
    each = _SPARSE if _is_sparse(cell) else _DENSE
    return cell.units * (steps * entry + (steps - starts) * each + starts * _START)


def _call(cell: Cell) -> float:
    return _CALL_SPARSE if _is_sparse(cell) else _CALL_DENSE


def _is_sparse(cell: Cell) -> bool:
    return emit_fastgrnn.suits(cell)
