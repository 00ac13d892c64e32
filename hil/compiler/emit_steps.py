"""The C of each kind of step: its constants, its descriptor and its call."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hil.compiler import emit_block, emit_stem
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_cell import CellCode
from hil.compiler.emit_pack import product_stream
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import block_of, heads_of, is_stem, patch_grid, pointwise_of
from hil.compiler.plan_steps import Kind, Step
from hil.compiler.program import Conv2D, L2Norm, MaxOut, Operator, RnnPool, Tensor
from hil.errors import BuildError

Fields = dict[str, str | int | bool]
T = TypeVar("T", bound=Operator)


@dataclass(frozen=True, eq=False)
class StepCode:
    """What a step adds to the emitted sources.

    Attributes:
        headers: of firmware/kernels.
        comment: the layer's shape and equation.
        constants: arrays for weights.c.
        descriptors: definitions before the step's function.
        calls: the statements of the step's function.
        assembly: Cortex-M4 code for kernels.S; each function has its twin in C.
    """

    headers: tuple[str, ...]
    comment: str
    constants: tuple[Constant, ...]
    descriptors: str
    calls: tuple[str, ...]
    assembly: str = ""


def step_code(step: Step, plan: Plan) -> StepCode:
    """Write one step in C.

    Raises:
        BuildError: a parameter that its kernel cannot take.
    """
    writers = {
        Kind.CONV2D: _conv2d,
        Kind.POINTWISE: _pointwise,
        Kind.INVERTED_RESIDUAL: _inverted_residual,
        Kind.STREAMED_BLOCK: _streamed_block,
        Kind.RNNPOOL: _rnnpool,
        Kind.HEADS: _heads,
        Kind.L2NORM: _l2norm,
        Kind.MAXOUT: _maxout,
    }
    return writers[step.kind](step, plan)


def map_pointer(plan: Plan, tensor: Tensor) -> str:
    """C expression for where a map stands."""
    return f"(int8_t *)model_arena + {plan.offsets[tensor.name]}"


def scratch_pointer(plan: Plan, step: Step, name: str) -> str:
    """C expression for a step's working memory."""
    buffer = plan.buffers[f"{step.name}/{name}"]
    memory = "model_arena" if buffer.region == "sram" else "model_scratch"
    return f"(void *)({memory} + {buffer.offset})"


def planned_pointer(plan: Plan, step: Step, name: str) -> str:
    """The same, NULL where the plan has no such memory."""
    return scratch_pointer(plan, step, name) if f"{step.name}/{name}" in plan.buffers else "NULL"


def _call(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(arguments)});"


def _conv2d(step: Step, plan: Plan) -> StepCode:
    conv = _expect(step.operators[0], Conv2D)
    name = identifier(conv.name)
    residual = map_pointer(plan, conv.residual.source) if conv.residual else "NULL"
    return StepCode(
        ("conv2d.h",),
        conv_comment(conv),
        conv_constants(conv),
        structure("conv2d_t", name, conv_fields(conv)),
        (
            _call(
                "conv2d_rows",
                f"&{name}",
                map_pointer(plan, conv.inputs[0]),
                residual,
                "0",
                str(conv.output.shape[0]),
                map_pointer(plan, conv.output),
            ),
        ),
    )


def _pointwise(step: Step, plan: Plan) -> StepCode:
    conv = _expect(step.operators[0], Conv2D)
    product = pointwise_of(conv)
    if product is None:
        raise BuildError(f"{step.name} is planned as a product but is none")
    _check_residual(conv)
    name = identifier(step.name)
    rows, columns, channels = conv.inputs[0].shape
    fields: Fields = {
        "product": nested(emit_block.product_fields(f"{name}_product", product), 2),
        "weights": f"{name}_weights",
        "weight_words": product.stream_words,
        "pixels": rows * columns,
        "channels": channels,
    }
    for memory in ("copy", "window"):
        fields[memory] = planned_pointer(plan, step, memory)
    residual = map_pointer(plan, conv.residual.source) if conv.residual else "NULL"
    x, y = map_pointer(plan, step.inputs[0]), map_pointer(plan, step.outputs[0])
    stream = product_stream([conv], widened=True)
    return StepCode(
        ("pointwise.h",),
        conv_comment(conv),
        (Constant(f"{name}_weights", stream, emit_block.STREAM),),
        emit_block.product_prototypes(f"{name}_product") + structure("pointwise_t", name, fields),
        (_call("pointwise", f"&{name}", x, residual, y),),
        emit_block.product_assembly(f"{name}_product", product),
    )


def _inverted_residual(step: Step, plan: Plan) -> StepCode:
    expand, depthwise, project = (_expect(op, Conv2D) for op in step.operators)
    name = identifier(step.name)
    parts: Fields = {
        "expand": nested(conv_fields(expand), 2),
        "depthwise": nested(conv_fields(depthwise), 2),
        "project": nested(conv_fields(project), 2),
    }
    residual = map_pointer(plan, project.residual.source) if project.residual else "NULL"
    return StepCode(
        ("inverted_residual.h",),
        "\n * ".join(conv_comment(conv) for conv in (expand, depthwise, project)),
        tuple(c for conv in (expand, depthwise, project) for c in conv_constants(conv)),
        structure("inverted_residual_t", name, parts),
        (
            _call(
                "inverted_residual",
                f"&{name}",
                map_pointer(plan, step.inputs[0]),
                residual,
                scratch_pointer(plan, step, "ring"),
                scratch_pointer(plan, step, "line"),
                map_pointer(plan, step.outputs[0]),
            ),
        ),
    )


def _streamed_block(step: Step, plan: Plan) -> StepCode:
    expand, depthwise, project = (_expect(op, Conv2D) for op in step.operators)
    convs = (expand, depthwise, project)
    block = block_of(*convs)
    if block is None:
        raise BuildError(f"{step.name} is planned as a streamed block but is not of its kind")
    _check_residual(project)
    name = identifier(step.name)
    fields = emit_block.block_fields(name, block, convs)
    for memory in ("weights", "pixels", "ring", "filtered"):
        fields[memory] = planned_pointer(plan, step, memory)
    residual = map_pointer(plan, project.residual.source) if project.residual else "NULL"
    x, y = map_pointer(plan, step.inputs[0]), map_pointer(plan, step.outputs[0])
    return StepCode(
        ("streamed_block.h",),
        "\n * ".join(conv_comment(conv) for conv in convs),
        emit_block.block_constants(name, convs),
        emit_block.block_prototypes(name) + structure("streamed_block_t", name, fields),
        (_call("streamed_block", f"&{name}", x, residual, y),),
        emit_block.block_assembly(name, block),
    )


def _rnnpool(step: Step, plan: Plan) -> StepCode:
    conv = _expect(step.operators[0], Conv2D) if len(step.operators) == 2 else None
    pool = _expect(step.operators[-1], RnnPool)
    name = identifier(pool.name)
    zero = pool.inputs[0].zero_point
    patch_rows, patch_columns = patch_grid(pool)
    cells = (
        CellCode(f"{name}_row", pool.row, zero),
        CellCode(f"{name}_summary", pool.summary, 0),
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


def _heads(step: Step, plan: Plan) -> StepCode:
    norms = [op for op in step.operators if isinstance(op, L2Norm)]
    convs = [op for op in step.operators if isinstance(op, Conv2D)]
    groups = {op.inputs[0].name: op.groups for op in step.operators if isinstance(op, MaxOut)}
    product = heads_of(convs)
    if product is None:
        raise BuildError(f"{step.name} is planned as one product but is none")
    name = identifier(step.name)
    rows, columns, channels = convs[0].inputs[0].shape
    parts, first = [], 0
    for conv in convs:
        outputs = conv.output.shape[2]
        parts.append(f"{{{first}, {outputs}, {groups.get(conv.output.name, 1)}}}")
        first += outputs
    fields: Fields = {
        "norm": f"&{identifier(norms[0].name)}" if norms else "NULL",
        "product": nested(emit_block.product_fields(f"{name}_product", product), 2),
        "weights": f"{name}_weights",
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "x_zero": convs[0].inputs[0].zero_point,
        "parts": len(convs),
        "part": f"{{{', '.join(parts)}}}",
    }
    for memory in ("turned", "ring", "line"):
        fields[memory] = scratch_pointer(plan, step, memory)
    stream = product_stream(convs, widened=True)
    outputs_at = ", ".join(map_pointer(plan, tensor) for tensor in step.outputs)
    return StepCode(
        ("heads.h",),
        "\n * ".join([*map(_norm_comment, norms), *map(conv_comment, convs)]),
        (
            *(_norm_constant(norm) for norm in norms),
            Constant(f"{name}_weights", stream, emit_block.STREAM),
        ),
        "".join(_norm_structure(norm) for norm in norms)
        + emit_block.product_prototypes(f"{name}_product")
        + structure("heads_t", name, fields),
        (
            f"int8_t *const y[] = {{{outputs_at}}};",
            f"heads(&{name}, {map_pointer(plan, step.inputs[0])}, y);",
        ),
        emit_block.product_assembly(f"{name}_product", product),
    )


def _l2norm(step: Step, plan: Plan) -> StepCode:
    norm = _expect(step.operators[0], L2Norm)
    rows, columns, _ = norm.output.shape
    x, y = map_pointer(plan, norm.inputs[0]), map_pointer(plan, norm.output)
    return StepCode(
        ("l2norm.h",),
        _norm_comment(norm),
        (_norm_constant(norm),),
        _norm_structure(norm),
        (_call("l2norm", f"&{identifier(norm.name)}", str(rows * columns), x, y),),
    )


def _norm_comment(norm: L2Norm) -> str:
    return f"{norm.name}: each pixel's {norm.output.shape[2]} channels over their length"


def _norm_constant(norm: L2Norm) -> Constant:
    return Constant(
        f"{identifier(norm.name)}_multiplier", norm.multiplier.astype(np.int32), "[channels]"
    )


def _norm_structure(norm: L2Norm) -> str:
    name = identifier(norm.name)
    fields: Fields = {
        "multiplier": f"{name}_multiplier",
        "channels": norm.output.shape[2],
        "x_zero": norm.inputs[0].zero_point,
        "y_zero": norm.output.zero_point,
    }
    return structure("l2norm_t", name, fields)


def _maxout(step: Step, plan: Plan) -> StepCode:
    most = _expect(step.operators[0], MaxOut)
    name = identifier(most.name)
    rows, columns, channels = most.inputs[0].shape
    fields: Fields = {"pixels": rows * columns, "channels": channels, "groups": most.groups}
    return StepCode(
        ("maxout.h",),
        f"{most.name}: the first {most.groups} of {channels} channels become their maximum",
        (),
        structure("maxout_t", name, fields),
        (
            _call(
                "maxout",
                f"&{name}",
                map_pointer(plan, most.inputs[0]),
                map_pointer(plan, most.output),
            ),
        ),
    )


def conv_comment(conv: Conv2D) -> str:
    """A convolution's shape and equation."""
    rows, columns, channels = conv.inputs[0].shape
    out_rows, out_columns, out_channels = conv.output.shape
    kind = "depthwise" if conv.depthwise else "convolution"
    size = f"{conv.weight.shape[1]}x{conv.weight.shape[2]}"
    residual = f" + {conv.residual.source.name}" if conv.residual else ""
    return (
        f"{conv.name}: {size} {kind}, stride {conv.stride}, {rows}x{columns}x{channels} -> "
        f"{out_rows}x{out_columns}x{out_channels}, "
        f"y = clamp({conv.output.zero_point} + m (b + W (x - {conv.inputs[0].zero_point}))"
        f"{residual}, {conv.low}, {conv.high})"
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


def conv_constants(conv: Conv2D) -> tuple[Constant, ...]:
    """A convolution's weights, bias and multipliers as the plain kernel reads them."""
    name = identifier(conv.name)
    layout = "[channels][rows][columns]" if conv.depthwise else "[out][rows][columns][in]"
    return (
        Constant(f"{name}_weight", conv.weight.astype(np.int8), f"{conv.name}: {layout}"),
        Constant(f"{name}_bias", conv.bias.astype(np.int32), "[out]"),
        Constant(f"{name}_multiplier", conv.multiplier.astype(np.int32), "[out]"),
    )


def conv_fields(conv: Conv2D) -> Fields:
    """A convolution's `conv2d_t`."""
    name = identifier(conv.name)
    rows, columns, channels = conv.inputs[0].shape
    out_rows, out_columns, out_channels = conv.output.shape
    fields: Fields = {
        "weight": f"{name}_weight",
        "bias": f"{name}_bias",
        "multiplier": f"{name}_multiplier",
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_rows": out_rows,
        "out_columns": out_columns,
        "out_channels": out_channels,
        "kernel_rows": conv.weight.shape[1],
        "kernel_columns": conv.weight.shape[2],
        "stride": conv.stride,
        "top": conv.padding.top,
        "left": conv.padding.left,
        "shift": conv.shift,
        "x_zero": conv.inputs[0].zero_point,
        "y_zero": conv.output.zero_point,
        "low": conv.low,
        "high": conv.high,
        "depthwise": conv.depthwise,
    }
    if conv.residual is not None:
        _check_residual(conv)
        fields |= {
            "residual_zero": conv.residual.source.zero_point,
            "residual_multiplier": conv.residual.multiplier,
            "residual_shift": conv.residual.shift,
        }
    return fields


def _check_residual(conv: Conv2D) -> None:
    """The kernels add a residual in 32 bits."""
    residual = conv.residual
    if residual is None:
        return
    largest = 255 * abs(residual.multiplier) + 2 ** max(0, residual.shift - 1)
    if not 1 <= residual.shift <= 30 or largest >= 2**31:
        raise BuildError(
            f"{conv.name}: its residual's multiplier {residual.multiplier} and shift "
            f"{residual.shift} do not fit 32-bit arithmetic",
            hint="expected 1 <= shift <= 30 and 255 * multiplier + 2**(shift - 1) < 2**31",
        )


def _expect(operator: Operator, kind: type[T]) -> T:
    if not isinstance(operator, kind):
        raise BuildError(f"{operator.name} is a {type(operator).__name__}, not a {kind.__name__}")
    return operator
