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
from hil.compiler.emit_heads import heads_constant, heads_descriptor
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import heads_of, is_stem, patch_grid, windowed_of
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D, RNNPool


def rnnpool(step: Step, plan: Plan) -> StepCode:
    """An RNNPool layer, fed by rows of a map or of the convolution before it."""
    conv = expect(step.operators[0], Conv2D) if len(step.operators) == 2 else None
    pool = expect(step.operators[-1], RNNPool)
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
    before = _before_pool(step, plan, conv)
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
        _calls(step, plan, name, before),
        before.assembly + "".join(cell.assembly() for cell in cells),
    )


def _calls(step: Step, plan: Plan, name: str, before: "_Feed") -> tuple[str, ...]:
    """Band by band, or the one band of a streamed call."""
    pool = expect(step.operators[-1], RNNPool)
    source = map_pointer(plan, step, step.inputs[0])
    target = map_pointer(plan, step, pool.output)
    if before.call:
        feed = [
            f"int8_t *rows = {scratch_pointer(plan, step, 'lines')};",
            before.call.format(source=source, row="first", count=f"{name}.band"),
        ]
    else:
        row_bytes = pool.inputs[0].shape[1] * pool.inputs[0].shape[2]
        feed = [f"const int8_t *rows = {source} + first * {row_bytes};"]
    band = [*feed, f"rnnpool_rows(&{name}, rows, first, {target});"]
    if plan.is_streamed(step):
        return (
            f"const int32_t first = row * {name}.band;",
            "if (first == 0) {",
            f"    rnnpool_begin(&{name});",
            "}",
            *band,
        )
    last = (patch_grid(pool)[0] - 1) * pool.stride + pool.patch
    return (
        f"rnnpool_begin(&{name});",
        f"for (int32_t first = 0; first < {last}; first += {name}.band) {{",
        *(f"    {line}" for line in band),
        "}",
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
    if not is_stem(conv) and (ringed := heads_of([conv])) is not None:
        return _Feed(
            ("heads.h",),
            (heads_constant(name, ringed, [conv]),),
            heads_descriptor(name, step, plan, (ringed, [conv])),
            f"heads_rows(&{name}, {{source}}, {{row}}, {{count}}, (int8_t *const[]){{{{rows}}}});",
            emit_block.product_assembly(f"{name}_product", ringed),
        )
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


def pool_comment(pool: RNNPool) -> str:
    """A pooling layer's shape."""
    rows, columns, channels = pool.inputs[0].shape
    out_rows, out_columns, out_channels = pool.output.shape
    return (
        f"{pool.name}: RNNPool, {pool.patch}x{pool.patch} patches every {pool.stride}, "
        f"{rows}x{columns}x{channels} -> {out_rows}x{out_columns}x{out_channels}, "
        f"{pool.row.units} and {pool.summary.units} units"
    )
