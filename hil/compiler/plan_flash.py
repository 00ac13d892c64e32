"""How much flash an image takes: its constants as the kernels read them, and its code.

Constants are counted to the byte. Code is estimated, a little above what compilers make of it, so
that an image that is planned also links.
"""

from collections.abc import Sequence
from functools import lru_cache

from hil.compiler import emit_depthwise, emit_gru, emit_matmul, emit_scale, emit_stem
from hil.compiler.emit_assembly import Assembly
from hil.compiler.emit_cell import CellCode, pair_up
from hil.compiler.emit_pack import is_narrow
from hil.compiler.plan_kernels import (
    Block,
    DepthwiseRow,
    MatMul,
    block_of,
    front_of,
    heads_of,
    is_stem,
    pointwise_of,
    scale_words,
    windowed_of,
)
from hil.compiler.plan_panels import Panels, filter_row, pixel_counts
from hil.compiler.plan_steps import Choices, Kind, Step
from hil.compiler.plan_sweep import product_of, recurrent_words
from hil.compiler.program import Cell, Conv2D, GRUSweep, L2Norm, RNNPool

_RUNTIME_BYTES = 18 * 1024  # the runtime and the kernels' C
_STEP_BYTES = 350  # a step's descriptors and its call
_INSTRUCTION_BYTES = 3.6  # of the kernels' code: most take 4, few take 2
_STEM_BYTES = 2 * 4 * 7 * 4


def flash_bytes(steps: Sequence[Step], choices: Choices) -> int:
    """Of the image that these steps make."""
    return _RUNTIME_BYTES + sum(
        constant_bytes(step, choices) + _STEP_BYTES + _code_bytes(step) for step in steps
    )


def constant_bytes(step: Step, choices: Choices) -> int:
    """Of a step's arrays in flash."""
    convs = [op for op in step.operators if isinstance(op, Conv2D)]
    copied = not choices.weights_in_flash
    others = sum(4 * len(op.multiplier) for op in step.operators if isinstance(op, L2Norm))
    others += sum(_cells(op) for op in step.operators if isinstance(op, RNNPool))
    others += sum(_sweep(op) for op in step.operators if isinstance(op, GRUSweep))
    match step.kind:
        case Kind.STREAMED_BLOCK if block := _block(convs):
            expand = _product(block.expand, convs[:1], copied=copied) if block.expand else 0
            project = _product(block.project, convs[-1:], copied=copied)
            return expand + 4 * 12 * block.filter.channels + project
        case Kind.POINTWISE if product := pointwise_of(convs[-1]):
            scales = sum(4 * scale_words(conv) for conv in convs[:-1])
            return scales + _product(product, convs[-1:], copied=copied)
        case Kind.SCALE:
            return 4 * scale_words(convs[0])
        case Kind.POINTWISE_PANELS if product := pointwise_of(convs[0]):
            return _narrow_bytes(product)
        case Kind.EXPAND_FILTER if (front := front_of(*convs)) and front[0]:
            return _narrow_bytes(front[0]) + 4 * 5 * front[1].channels
        case Kind.HEADS if product := heads_of(convs):
            return others + _product(product, convs, copied=True)
    return others + sum(_alone(conv, step, copied=copied) for conv in convs)


def _block(convs: Sequence[Conv2D]) -> Block | None:
    return block_of(convs[0] if len(convs) == 3 else None, *convs[-2:])


def _alone(conv: Conv2D, step: Step, *, copied: bool) -> int:
    """A convolution over windows, a stem, or one by the plain kernel."""
    product = windowed_of(conv)
    if step.kind is Kind.RNNPOOL and is_stem(conv):
        return _STEM_BYTES
    if step.kind is Kind.RNNPOOL and (ringed := heads_of([conv])):
        return _product(ringed, [conv], copied=True)
    if step.kind in {Kind.RNNPOOL, Kind.WINDOWED} and product:
        return _product(product, [conv], copied=copied)
    return conv.weight.size + 8 * len(conv.weight)


def _product(product: MatMul, convs: Sequence[Conv2D], *, copied: bool) -> int:
    narrow = is_narrow(convs, copied=copied)
    return _narrow_bytes(product) if narrow else 4 * product.stream_words


def _narrow_bytes(product: MatMul) -> int:
    return 4 * (product.channels // 2) * (5 + product.segments * product.depth // 2)


def _sweep(sweep: GRUSweep) -> int:
    """Both directions' weights, int16 whether they are copied or not, and the table."""
    words = product_of(sweep).stream_words + recurrent_words(sweep)
    return 2 * 4 * words + sweep.table.nbytes


def _cells(pool: RNNPool) -> int:
    return sum(
        2 * (cell.w.size + cell.u.size) + 4 * cell.units + 2 * (cell.gate.size + cell.update.size)
        for cell in (pool.row, pool.summary)
    )


def _code_bytes(step: Step) -> int:
    """Estimate a step's functions in kernels.S."""
    convs = [op for op in step.operators if isinstance(op, Conv2D)]
    pools = [op for op in step.operators if isinstance(op, RNNPool)]
    code = sum(_pool_code(pool.row, pool.summary) for pool in pools)
    code += sum(_sweep_code(op) for op in step.operators if isinstance(op, GRUSweep))
    match step.kind:
        case Kind.STREAMED_BLOCK if block := _block(convs):
            code += _product_code(block.expand) if block.expand else 0
            code += _row_code(block.filter) + _product_code(block.project)
        case Kind.POINTWISE if product := pointwise_of(convs[-1]):
            code += sum(_scale_code(conv, 2) for conv in convs[:-1]) + _product_code(product)
        case Kind.SCALE:
            code += _scale_code(convs[0], 1)
        case Kind.POINTWISE_PANELS if product := pointwise_of(convs[0]):
            rows, columns, _ = convs[0].output.shape
            code += _panels_code(Panels.of(product, step.panel), rows * columns)
        case Kind.EXPAND_FILTER if (front := front_of(*convs)) and front[0]:
            panels = Panels.of(front[0], step.panel)
            row = _row_code(filter_row(front[1], convs[1], step.panel))
            code += _panels_code(panels, convs[0].output.shape[1]) + row * (1 + bool(panels.rest))
        case Kind.HEADS if product := heads_of(convs):
            code += _product_code(product)
        case Kind.RNNPOOL if convs and is_stem(convs[0]):
            code += _stem_code(convs[0])
        case Kind.RNNPOOL if convs and (product := heads_of(convs)):
            code += _product_code(product)
        case Kind.RNNPOOL | Kind.WINDOWED if convs and (product := windowed_of(convs[0])):
            code += _product_code(product)
    return code


def _panels_code(panels: Panels, pixels: int) -> int:
    parts = (panels.product, panels.rest) if panels.rest else (panels.product,)
    return sum(_product_code(part, tuple(pixel_counts(part, pixels))) for part in parts)


@lru_cache(maxsize=256)
def _product_code(product: MatMul, pixels: tuple[int, ...] = ()) -> int:
    counts = pixels or range(1, product.most_pixels + 1)
    return sum(_size(emit_matmul.matmul("product", product, count)) for count in counts)


@lru_cache(maxsize=256)
def _row_code(row: DepthwiseRow) -> int:
    return _size(emit_depthwise.depthwise("row", row))


def _sweep_code(sweep: GRUSweep) -> int:
    product = product_of(sweep)
    code = _product_code(product) if product.is_reachable else 0
    return code + (_size(emit_gru.step("step", sweep)) if emit_gru.suits(sweep) else 0)


@lru_cache(maxsize=64)
def _scale_code(conv: Conv2D, y_bytes: int) -> int:
    return _text_size(emit_scale.assembly(conv, y_bytes=y_bytes))


@lru_cache(maxsize=4)
def _stem_code(conv: Conv2D) -> int:
    return _size(emit_stem.row("row", conv))


@lru_cache(maxsize=8)
def _pool_code(row: Cell, summary: Cell) -> int:
    cells = pair_up(row, summary)
    return sum(_text_size(CellCode("cell", cell, 0).assembly()) for cell in cells)


def _size(code: Assembly) -> int:
    return _text_size(code.text)


def _text_size(text: str) -> int:
    """Instructions at their average; words at their size."""
    lines = [line.strip() for line in text.splitlines()]
    words = sum(line.count(",") + 1 for line in lines if line.startswith(".word"))
    instructions = sum(bool(line) and line[0].isalpha() and line[-1] != ":" for line in lines)
    return round(_INSTRUCTION_BYTES * instructions) + 4 * words
