"""The C of each kind of step: its constants, its descriptor and its call."""

import numpy as np

from hil.compiler import emit_block, emit_conv, emit_panels, emit_pool
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    call,
    expect,
    map_pointer,
    scratch_pointer,
)
from hil.compiler.emit_pack import Inputs, is_narrow, product_stream
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import heads_of
from hil.compiler.plan_steps import Kind, Step
from hil.compiler.program import Conv2D, L2Norm, MaxOut, Pool2D
from hil.errors import BuildError


def step_code(step: Step, plan: Plan) -> StepCode:
    """Write one step in C.

    Raises:
        BuildError: a parameter that its kernel cannot take.
    """
    writers = {
        Kind.CONV2D: emit_conv.conv2d,
        Kind.POINTWISE: emit_conv.pointwise,
        Kind.POINTWISE_PANELS: emit_panels.pointwise_panels,
        Kind.EXPAND_FILTER: emit_panels.expand_filter,
        Kind.WINDOWED: emit_conv.windowed,
        Kind.INVERTED_RESIDUAL: emit_conv.inverted_residual,
        Kind.STREAMED_BLOCK: emit_conv.streamed_block,
        Kind.RNNPOOL: emit_pool.rnnpool,
        Kind.HEADS: _heads,
        Kind.L2NORM: _l2norm,
        Kind.MAXOUT: _maxout,
        Kind.POOL2D: _pool2d,
    }
    return writers[step.kind](step, plan)


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
        "product": nested(
            emit_block.product_fields(f"{name}_product", product, convs, copied=True), 2
        ),
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
    stream = product_stream(convs, inputs=Inputs.WIDENED, narrow=is_narrow(convs, copied=True))
    outputs_at = ", ".join(map_pointer(plan, tensor) for tensor in step.outputs)
    return StepCode(
        ("heads.h",),
        "\n * ".join([*map(_norm_comment, norms), *map(emit_conv.conv_comment, convs)]),
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
    norm = expect(step.operators[0], L2Norm)
    rows, columns, _ = norm.output.shape
    x, y = map_pointer(plan, norm.inputs[0]), map_pointer(plan, norm.output)
    return StepCode(
        ("l2norm.h",),
        _norm_comment(norm),
        (_norm_constant(norm),),
        _norm_structure(norm),
        (call("l2norm", f"&{identifier(norm.name)}", str(rows * columns), x, y),),
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
    most = expect(step.operators[0], MaxOut)
    name = identifier(most.name)
    rows, columns, channels = most.inputs[0].shape
    fields: Fields = {"pixels": rows * columns, "channels": channels, "groups": most.groups}
    return StepCode(
        ("maxout.h",),
        f"{most.name}: the first {most.groups} of {channels} channels become their maximum",
        (),
        structure("maxout_t", name, fields),
        (
            call(
                "maxout",
                f"&{name}",
                map_pointer(plan, most.inputs[0]),
                map_pointer(plan, most.output),
            ),
        ),
    )


def _pool2d(step: Step, plan: Plan) -> StepCode:
    pool = expect(step.operators[0], Pool2D)
    name = identifier(pool.name)
    rows, columns, channels = pool.inputs[0].shape
    window_rows, window_columns = pool.window
    fields: Fields = {
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "y_rows": pool.output.shape[0],
        "y_columns": pool.output.shape[1],
        "window_rows": window_rows,
        "window_columns": window_columns,
        "stride": pool.stride,
        "top": pool.padding.top,
        "left": pool.padding.left,
        "x_zero": pool.inputs[0].zero_point,
        "y_zero": pool.output.zero_point,
        "multiplier": pool.multiplier,
        "shift": pool.shift,
    }
    x, y = map_pointer(plan, pool.inputs[0]), map_pointer(plan, pool.output)
    return StepCode(
        ("pool2d.h",),
        f"{pool.name}: {pool.kind} of {window_rows}x{window_columns} pixels every {pool.stride}, "
        f"{rows}x{columns}x{channels}",
        (),
        structure("pool2d_t", name, fields),
        (call(f"pool2d_{pool.kind}", f"&{name}", x, y),),
    )
