"""The C of convolutions: plain, pointwise, over windows, and fused to inverted residuals."""

import numpy as np

from hil.compiler import emit_block
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    arena_pointer,
    call,
    expect,
    map_pointer,
    planned_pointer,
    row_pointer,
    row_span,
    scratch_pointer,
)
from hil.compiler.emit_pack import Inputs, is_narrow, product_stream
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import MatMul, block_of, pointwise_of, windowed_of
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D
from hil.errors import BuildError


def conv2d(step: Step, plan: Plan) -> StepCode:
    """A convolution by the plain kernel."""
    conv = expect(step.operators[0], Conv2D)
    name = identifier(conv.name)
    residual = map_pointer(plan, step, conv.residual.source) if conv.residual else "NULL"
    return StepCode(
        ("conv2d.h",),
        conv_comment(conv),
        conv_constants(conv),
        structure("conv2d_t", name, conv_fields(conv)),
        (
            call(
                "conv2d_rows",
                f"&{name}",
                map_pointer(plan, step, conv.inputs[0]),
                residual,
                *row_span(plan, step, conv.output.shape[0]),
                row_pointer(plan, step, conv.output),
            ),
        ),
    )


def pointwise(step: Step, plan: Plan) -> StepCode:
    """A 1x1 convolution by itself."""
    conv = expect(step.operators[0], Conv2D)
    product = pointwise_of(conv)
    if product is None:
        raise BuildError(f"{step.name} is planned as a product but is none")
    check_residual(conv)
    name = identifier(step.name)
    rows, columns, channels = conv.inputs[0].shape
    copied = not plan.choices.weights_in_flash
    fields: Fields = {
        "product": nested(
            emit_block.product_fields(f"{name}_product", product, [conv], copied=copied), 2
        ),
        "weights": f"{name}_weights",
        "columns": columns,
        "channels": channels,
    }
    for memory in ("copy", "window"):
        fields[memory] = planned_pointer(plan, step, memory)
    residual = map_pointer(plan, step, conv.residual.source) if conv.residual else "NULL"
    x, y = map_pointer(plan, step, step.inputs[0]), row_pointer(plan, step, step.outputs[0])
    narrow = is_narrow([conv], copied=copied)
    stream = product_stream([conv], inputs=Inputs.WIDENED, narrow=narrow)
    return StepCode(
        ("pointwise.h",),
        conv_comment(conv),
        (Constant(f"{name}_weights", stream, emit_block.STREAM),),
        emit_block.product_prototypes(f"{name}_product") + structure("pointwise_t", name, fields),
        (call("pointwise_rows", f"&{name}", x, residual, *row_span(plan, step, rows), y),),
        emit_block.product_assembly(f"{name}_product", product),
    )


def windowed(step: Step, plan: Plan) -> StepCode:
    """A dense convolution over gathered windows."""
    conv = expect(step.operators[0], Conv2D)
    product = windowed_of(conv)
    if product is None:
        raise BuildError(f"{step.name} is planned as a product but is none")
    check_residual(conv)
    name = identifier(conv.name)
    residual = map_pointer(plan, step, conv.residual.source) if conv.residual else "NULL"
    x, y = map_pointer(plan, step, conv.inputs[0]), row_pointer(plan, step, conv.output)
    span = row_span(plan, step, conv.output.shape[0])
    return StepCode(
        ("windowed.h",),
        conv_comment(conv),
        (windowed_constant(conv, plan),),
        windowed_descriptor(step, plan, conv, product),
        (call("windowed_rows", f"&{name}", x, residual, *span, y),),
        emit_block.product_assembly(f"{name}_product", product),
    )


def windowed_constant(conv: Conv2D, plan: Plan) -> Constant:
    """Its weights as the product reads them."""
    narrow = is_narrow([conv], copied=not plan.choices.weights_in_flash)
    stream = product_stream([conv], inputs=Inputs.IN_ORDER, narrow=narrow)
    return Constant(f"{identifier(conv.name)}_weights", stream, emit_block.STREAM)


def windowed_descriptor(step: Step, plan: Plan, conv: Conv2D, product: MatMul) -> str:
    """Its `windowed_t`, and declarations of its functions in kernels.S."""
    name = identifier(conv.name)
    shape = conv_fields(conv)
    copied = not plan.choices.weights_in_flash
    fields: Fields = {
        "product": nested(
            emit_block.product_fields(f"{name}_product", product, [conv], copied=copied), 2
        ),
        "weights": f"{name}_weights",
    }
    maps = ("rows", "columns", "channels", "out_rows", "out_columns", "out_channels")
    kernel = ("kernel_rows", "kernel_columns", "stride", "top", "left", "x_zero")
    fields |= {member: shape[member] for member in (*maps, *kernel)}
    for memory in ("copy", "window"):
        fields[memory] = planned_pointer(plan, step, memory)
    return emit_block.product_prototypes(f"{name}_product") + structure("windowed_t", name, fields)


def inverted_residual(step: Step, plan: Plan) -> StepCode:
    """A fused inverted residual by the plain kernels."""
    expand, depthwise, project = (expect(op, Conv2D) for op in step.operators)
    name = identifier(step.name)
    parts: Fields = {
        "expand": nested(conv_fields(expand), 2),
        "depthwise": nested(conv_fields(depthwise), 2),
        "project": nested(conv_fields(project), 2),
    }
    residual = map_pointer(plan, step, project.residual.source) if project.residual else "NULL"
    return StepCode(
        ("inverted_residual.h",),
        "\n * ".join(conv_comment(conv) for conv in (expand, depthwise, project)),
        tuple(c for conv in (expand, depthwise, project) for c in conv_constants(conv)),
        structure("inverted_residual_t", name, parts),
        (
            call(
                "inverted_residual",
                f"&{name}",
                arena_pointer(plan, step.inputs[0]),
                residual,
                scratch_pointer(plan, step, "ring"),
                scratch_pointer(plan, step, "line"),
                arena_pointer(plan, step.outputs[0]),
            ),
        ),
    )


def streamed_block(step: Step, plan: Plan) -> StepCode:
    """A fused inverted residual by the packed kernels."""
    expand, depthwise, project = (expect(op, Conv2D) for op in step.operators)
    convs = (expand, depthwise, project)
    block = block_of(*convs)
    if block is None:
        raise BuildError(f"{step.name} is planned as a streamed block but is not of its kind")
    check_residual(project)
    name = identifier(step.name)
    copied = not plan.choices.weights_in_flash
    fields = emit_block.block_fields(name, block, convs, copied=copied)
    for memory in ("weights", "pixels", "ring", "filtered"):
        fields[memory] = planned_pointer(plan, step, memory)
    residual = map_pointer(plan, step, project.residual.source) if project.residual else "NULL"
    x, y = map_pointer(plan, step, step.inputs[0]), row_pointer(plan, step, step.outputs[0])
    return StepCode(
        ("streamed_block.h",),
        "\n * ".join(conv_comment(conv) for conv in convs),
        emit_block.block_constants(name, convs, copied=copied),
        emit_block.block_prototypes(name) + structure("streamed_block_t", name, fields),
        (
            call(
                "streamed_block_rows",
                f"&{name}",
                x,
                residual,
                *row_span(plan, step, project.output.shape[0]),
                y,
            ),
        ),
        emit_block.block_assembly(name, block),
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
        check_residual(conv)
        fields |= {
            "residual_zero": conv.residual.source.zero_point,
            "residual_multiplier": conv.residual.multiplier,
            "residual_shift": conv.residual.shift,
        }
    return fields


def check_residual(conv: Conv2D) -> None:
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
