"""The C of an RNNPool layer and of the convolution that runs into it."""

from dataclasses import dataclass

from hil.compiler import emit_block, emit_stem
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_cell import CellCode, pair_up
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    expect,
    map_pointer,
    planned_pointer,
    scratch_pointer,
)
from hil.compiler.emit_conv import (
    conv_comment,
    conv_constants,
    conv_fields,
    windowed_constant,
    windowed_descriptor,
)
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import is_stem, patch_grid, windowed_of
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D, RnnPool


def rnnpool(step: Step, plan: Plan) -> StepCode:
    """An RNNPool layer, fed by rows of a map or of the convolution before it."""
    conv = expect(step.operators[0], Conv2D) if len(step.operators) == 2 else None
    pool = expect(step.operators[-1], RnnPool)
    name = identifier(pool.name)
    zero = pool.inputs[0].zero_point
    patch_rows, patch_columns = patch_grid(pool)
    row_cell, summary_cell = pair_up(pool.row, pool.summary)
    cells = (
        CellCode(f"{name}_row", row_cell, zero),
        CellCode(f"{name}_summary", summary_cell, 0),
    )
    fields: Fields = {
        "row": nested(cells[0].fields(), 2),
        "summary": nested(cells[1].fields(), 2),
        "columns": pool.inputs[0].shape[1],
        "channels": pool.inputs[0].shape[2],
        "out_rows": pool.output.shape[0],
        "out_columns": pool.output.shape[1],
        "patch_rows": patch_rows,
        "patch_columns": patch_columns,
        "patch": pool.patch,
        "stride": pool.stride,
        "band": step.band,
    }
    for memory in (
        "row_table",
        "summary_table",
        "pixel_products",
        "row_products",
        "row_states",
        "column_states",
    ):
        fields[memory] = planned_pointer(plan, step, memory)
    last = (patch_rows - 1) * pool.stride + pool.patch
    row_bytes = pool.inputs[0].shape[1] * pool.inputs[0].shape[2]
    source = map_pointer(plan, step.inputs[0])
    before = _before_pool(step, plan, conv)
    if conv is None:
        feed = [f"    const int8_t *rows = {source} + row * {row_bytes};"]
    else:
        feed = [
            f"    int8_t *rows = {scratch_pointer(plan, step, 'lines')};",
            f"    {before.call.format(source=source, row='row', count=name + '.band')}",
        ]
    convs = (conv,) if conv else ()
    return StepCode(
        ("rnnpool.h", *before.headers),
        "\n * ".join([*(conv_comment(c) for c in convs), pool_comment(pool)]),
        (
            *before.constants,
            *(constant for cell in cells for constant in cell.constants()),
        ),
        "".join(cell.prototypes() for cell in cells)
        + before.descriptor
        + structure("rnnpool_t", name, fields),
        (
            f"rnnpool_begin(&{name});",
            f"for (int32_t row = 0; row < {last}; row += {name}.band) {{",
            *feed,
            f"    rnnpool_rows(&{name}, rows, row, {map_pointer(plan, pool.output)});",
            "}",
        ),
        before.assembly + "".join(cell.assembly() for cell in cells),
    )


@dataclass(frozen=True, eq=False)
class _Feed:
    """The convolution that runs into a pooling layer: its parts of the step's code."""

    headers: tuple[str, ...] = ()
    constants: tuple[Constant, ...] = ()
    descriptor: str = ""
    call: str = ""
    assembly: str = ""


def _before_pool(step: Step, plan: Plan, conv: Conv2D | None) -> _Feed:
    if conv is None:
        return _Feed()
    name = identifier(conv.name)
    product = windowed_of(conv)
    if not is_stem(conv) and product is not None:
        return _Feed(
            ("windowed.h",),
            (windowed_constant(conv, plan),),
            windowed_descriptor(step, plan, conv, product),
            f"windowed_rows(&{name}, {{source}}, NULL, {{row}}, {{count}}, rows);",
            emit_block.product_assembly(f"{name}_product", product),
        )
    if not is_stem(conv):
        return _Feed(
            ("conv2d.h",),
            conv_constants(conv),
            structure("conv2d_t", name, conv_fields(conv)),
            f"conv2d_rows(&{name}, {{source}}, NULL, {{row}}, {{count}}, rows);",
        )
    rows, columns, _ = conv.inputs[0].shape
    fields: Fields = {
        "rows": rows,
        "columns": columns,
        "x_zero": conv.inputs[0].zero_point,
        "y_zero": conv.output.zero_point,
        "low": conv.low,
        "high": conv.high,
        "weights": f"{name}_weights",
        "slots": scratch_pointer(plan, step, "slots"),
        "code": f"CORTEX_M4_CODE({name}_row)",
    }
    return _Feed(
        ("stem.h",),
        (emit_stem.weights(f"{name}_weights", conv),),
        f"void {name}_row(const int32_t *, const int32_t *, int8_t *);\n"
        + structure("stem_t", name, fields),
        f"stem_rows(&{name}, {{source}}, {{row}}, {{count}}, rows);",
        emit_stem.row(f"{name}_row", conv).text,
    )


def pool_comment(pool: RnnPool) -> str:
    """A pooling layer's shape."""
    rows, columns, channels = pool.inputs[0].shape
    out_rows, out_columns, out_channels = pool.output.shape
    return (
        f"{pool.name}: RNNPool, {pool.patch}x{pool.patch} patches every {pool.stride}, "
        f"{rows}x{columns}x{channels} -> {out_rows}x{out_columns}x{out_channels}, "
        f"{pool.row.units} and {pool.summary.units} units"
    )
