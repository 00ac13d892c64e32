"""The C of each kind of step: its constants, its descriptor and its call."""

from hil.compiler import (
    emit_concat,
    emit_conv,
    emit_heads,
    emit_panels,
    emit_pool,
    emit_renet,
)
from hil.compiler.emit_c import identifier, structure
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    call,
    expect,
    map_pointer,
    row_pointer,
    row_span,
)
from hil.compiler.plan import Plan
from hil.compiler.plan_steps import Kind, Step
from hil.compiler.program import L2Norm, MaxOut, Pool2D


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
        Kind.RENET: emit_renet.renet,
        Kind.HEADS: emit_heads.heads,
        Kind.L2NORM: _l2norm,
        Kind.MAXOUT: _maxout,
        Kind.POOL2D: _pool2d,
        Kind.SCALE: emit_conv.scale,
        Kind.CONCAT: emit_concat.concat,
    }
    return writers[step.kind](step, plan)


def _l2norm(step: Step, plan: Plan) -> StepCode:
    norm = expect(step.operators[0], L2Norm)
    x, y = row_pointer(plan, step, norm.inputs[0]), row_pointer(plan, step, norm.output)
    return StepCode(
        ("l2norm.h",),
        emit_heads.norm_comment(norm),
        (emit_heads.norm_constant(norm),),
        emit_heads.norm_structure(norm),
        (call("l2norm", f"&{identifier(norm.name)}", _pixels(step, plan), x, y),),
    )


def _pixels(step: Step, plan: Plan) -> str:
    """How many pixels a call of a step is about: the map's, or a row's."""
    rows, columns, _ = step.outputs[0].shape
    return str(columns if plan.is_streamed(step) else rows * columns)


def _maxout(step: Step, plan: Plan) -> StepCode:
    most = expect(step.operators[0], MaxOut)
    name = identifier(most.name)
    channels = most.inputs[0].shape[2]
    fields: Fields = {"channels": channels, "groups": most.groups}
    x, y = row_pointer(plan, step, most.inputs[0]), row_pointer(plan, step, most.output)
    return StepCode(
        ("maxout.h",),
        f"{most.name}: the first {most.groups} of {channels} channels become their maximum",
        (),
        structure("maxout_t", name, fields),
        (call("maxout", f"&{name}", _pixels(step, plan), x, y),),
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
    x, y = map_pointer(plan, step, pool.inputs[0]), row_pointer(plan, step, pool.output)
    span = row_span(plan, step, pool.output.shape[0])
    return StepCode(
        ("pool2d.h",),
        f"{pool.name}: {pool.kind} of {window_rows}x{window_columns} pixels every {pool.stride}, "
        f"{rows}x{columns}x{channels}",
        (),
        structure("pool2d_t", name, fields),
        (call(f"pool2d_{pool.kind}", f"&{name}", x, *span, y),),
    )
