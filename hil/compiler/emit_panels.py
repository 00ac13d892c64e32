"""The C and the Cortex-M4 code of layers whose weights pass through memory by panels."""

from collections.abc import Iterator

from hil.compiler import emit_block, emit_depthwise, emit_matmul
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    arena_pointer,
    call,
    expect,
    scratch_pointer,
)
from hil.compiler.emit_conv import check_residual, conv_comment
from hil.compiler.emit_pack import Inputs, narrow_depthwise, product_stream
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import MOST_PIXELS, DepthwiseRow, MatMul, front_of, pointwise_of
from hil.compiler.plan_panels import Panels, filter_row, is_held, pixel_counts
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D
from hil.errors import BuildError

_PRODUCT = "(const int16_t *, const int32_t *, void *, const int8_t *)"
_ROW = "(const int16_t *, const int32_t *, const int32_t *, int8_t *)"
_FILTERS = "for each channel: three rows of weights w0, w1, w1, w2, bias, multiplier"


def pointwise_panels(step: Step, plan: Plan) -> StepCode:
    """A 1x1 convolution."""
    conv = expect(step.operators[0], Conv2D)
    product = pointwise_of(conv)
    if product is None:
        raise BuildError(f"{step.name} is planned as a product but is none")
    check_residual(conv)
    name = identifier(step.name)
    rows, columns, channels = conv.inputs[0].shape
    pixels = rows * columns
    panels = Panels.of(product, step.panel)
    fields: Fields = {
        "panels": nested(_panels_fields(f"{name}_product", panels, conv, pixels), 2),
        "weights": f"{name}_weights",
        "pixels": pixels,
        "channels": channels,
        "outputs": conv.output.shape[2],
        "held": is_held(step, product),
        "copy": scratch_pointer(plan, step, "copy"),
        "window": scratch_pointer(plan, step, "window"),
    }
    residual = arena_pointer(plan, conv.residual.source) if conv.residual else "NULL"
    x, y = arena_pointer(plan, step.inputs[0]), arena_pointer(plan, step.outputs[0])
    stream = product_stream([conv], inputs=Inputs.WIDENED, narrow=True)
    return StepCode(
        ("pointwise_panels.h",),
        conv_comment(conv),
        (Constant(f"{name}_weights", stream, emit_block.STREAM),),
        _prototypes(f"{name}_product", panels, pixels)
        + structure("pointwise_panels_t", name, fields),
        (call("pointwise_panels", f"&{name}", x, residual, y),),
        _assembly(f"{name}_product", panels, pixels),
    )


def expand_filter(step: Step, plan: Plan) -> StepCode:
    """An inverted residual's expansion and depthwise convolution."""
    expand, depthwise = (expect(op, Conv2D) for op in step.operators)
    front = front_of(expand, depthwise)
    if front is None:
        raise BuildError(f"{step.name} is planned as part of a block but is not of its kind")
    product, row = front
    if product is None:
        raise BuildError(f"{step.name} is planned with an expansion but has none")
    name = identifier(step.name)
    rows, columns, channels = expand.inputs[0].shape
    panels = Panels.of(product, step.panel)
    filters = _filters(name, row, depthwise, panels)
    fields: Fields = {
        "expand": nested(_panels_fields(f"{name}_expand", panels, expand, columns), 2),
        **{member: nested(_filter_fields(code, part), 2) for member, code, part in filters},
        "filter_shift": depthwise.shift,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_rows": depthwise.output.shape[0],
        "out_row_bytes": depthwise.output.shape[1] * depthwise.output.shape[2],
        "expand_weights": f"{name}_expand",
        "filter_weights": f"{name}_filters",
        "held": is_held(step, product),
    }
    for memory in ("copy", "filters", "pixels", "ring"):
        fields[memory] = scratch_pointer(plan, step, memory)
    x, y = arena_pointer(plan, step.inputs[0]), arena_pointer(plan, step.outputs[0])
    stream = product_stream([expand], inputs=Inputs.WIDENED, narrow=True, planar=True)
    return StepCode(
        ("expand_filter.h",),
        "\n * ".join(conv_comment(conv) for conv in (expand, depthwise)),
        (
            Constant(f"{name}_expand", stream, emit_block.STREAM),
            Constant(f"{name}_filters", narrow_depthwise(depthwise), _FILTERS),
        ),
        _prototypes(f"{name}_expand", panels, columns)
        + "".join(f"void {code}{_ROW};\n" for _, code, _ in filters)
        + structure("expand_filter_t", name, fields),
        (call("expand_filter", f"&{name}", x, y),),
        _assembly(f"{name}_expand", panels, columns)
        + "".join(emit_depthwise.depthwise(code, part).text for _, code, part in filters),
    )


def _filters(
    name: str, row: DepthwiseRow, depthwise: Conv2D, panels: Panels
) -> list[tuple[str, str, DepthwiseRow]]:
    """The member, the function and the shape of each panel's depthwise row."""
    parts = [("filter", f"{name}_row", panels.product)]
    if panels.rest:
        parts.append(("filter_rest", f"{name}_rest_row", panels.rest))
    return [(m, code, filter_row(row, depthwise, part.channels)) for m, code, part in parts]


def _filter_fields(code: str, row: DepthwiseRow) -> Fields:
    return {
        "channels": row.channels,
        "columns": row.columns,
        "stride": row.stride,
        "slot_bytes": row.slot_bytes,
        "y_pixel_bytes": row.y_pixel_bytes,
        "y_zero": row.y_zero,
        "high": row.high,
        "code": f"CORTEX_M4_CODE({code})",
    }


def _parts(name: str, panels: Panels) -> Iterator[tuple[str, str, MatMul]]:
    """The member and the name of each product, and its shape."""
    yield "product", name, panels.product
    if panels.rest:
        yield "rest", f"{name}_rest", panels.rest


def _panels_fields(name: str, panels: Panels, conv: Conv2D, pixels: int) -> Fields:
    """The members of a `panels_t`, whose products are called over rows of so many pixels."""
    fields: Fields = {}
    for member, part, product in _parts(name, panels):
        counts = set(pixel_counts(product, pixels))
        codes = [
            f"CORTEX_M4_CODE({part}_{p})" if p in counts else "NULL"
            for p in range(1, MOST_PIXELS + 1)
        ]
        described = emit_block.product_fields(part, product, [conv], copied=True)
        described |= {"narrow": True, "code": f"{{{', '.join(codes)}}}"}
        fields[member] = nested(described, 3)
    return fields | {"whole": panels.whole, "shift": conv.shift}


def _prototypes(name: str, panels: Panels, pixels: int) -> str:
    return "".join(
        f"void {part}_{count}{_PRODUCT};\n"
        for _, part, product in _parts(name, panels)
        for count in pixel_counts(product, pixels)
    )


def _assembly(name: str, panels: Panels, pixels: int) -> str:
    """Those functions; a product is never called with other numbers of pixels."""
    return "".join(
        emit_matmul.matmul(f"{part}_{count}", product, count).text
        for _, part, product in _parts(name, panels)
        for count in pixel_counts(product, pixels)
    )
