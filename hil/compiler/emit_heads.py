"""The C of convolutions that share a product over a ring of widened rows, and of L2 norms."""

from collections.abc import Mapping, Sequence

import numpy as np

from hil.compiler import emit_block
from hil.compiler.emit_c import Constant, identifier, nested, structure
from hil.compiler.emit_code import (
    Fields,
    StepCode,
    map_pointer,
    row_pointer,
    row_span,
    scratch_pointer,
)
from hil.compiler.emit_conv import conv_comment
from hil.compiler.emit_pack import Inputs, is_narrow, product_stream
from hil.compiler.plan import Plan
from hil.compiler.plan_kernels import MatMul, heads_of
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D, L2Norm, MaxOut
from hil.errors import BuildError


def heads(step: Step, plan: Plan) -> StepCode:
    """Convolutions of one map, its norm before and max-outs after them."""
    norms = [op for op in step.operators if isinstance(op, L2Norm)]
    convs = [op for op in step.operators if isinstance(op, Conv2D)]
    groups = {op.inputs[0].name: op.groups for op in step.operators if isinstance(op, MaxOut)}
    product = heads_of(convs)
    if product is None:
        raise BuildError(f"{step.name} is planned as one product but is none")
    name = identifier(step.name)
    outputs_at = ", ".join(row_pointer(plan, step, tensor) for tensor in step.outputs)
    span = ", ".join(row_span(plan, step, convs[0].output.shape[0]))
    norm = f"&{identifier(norms[0].name)}" if norms else "NULL"
    return StepCode(
        ("heads.h",),
        "\n * ".join([*map(norm_comment, norms), *map(conv_comment, convs)]),
        (*(norm_constant(norm) for norm in norms), heads_constant(name, product, convs)),
        "".join(norm_structure(norm) for norm in norms)
        + heads_descriptor(name, step, plan, (product, convs), norm=norm, groups=groups),
        (
            f"int8_t *const y[] = {{{outputs_at}}};",
            f"heads_rows(&{name}, {map_pointer(plan, step, step.inputs[0])}, {span}, y);",
        ),
        emit_block.product_assembly(f"{name}_product", product),
    )


def heads_constant(name: str, product: MatMul, convs: Sequence[Conv2D]) -> Constant:
    """The weights as the product reads them."""
    in_fours = convs[0].inputs[0].shape[2] % 4 == 0
    stream = product_stream(
        convs,
        inputs=Inputs.WIDENED if in_fours else Inputs.IN_ORDER,
        narrow=is_narrow(convs, copied=True),
        segments=product.segments,
    )
    return Constant(f"{name}_weights", stream, emit_block.STREAM)


def heads_descriptor(
    name: str,
    step: Step,
    plan: Plan,
    of: tuple[MatMul, Sequence[Conv2D]],
    *,
    norm: str = "NULL",
    groups: Mapping[str, int] | None = None,
) -> str:
    """Define the `heads_t`, and declare its functions in kernels.S.

    Args:
        name: in C.
        step: whose working memory it takes.
        plan: where that is.
        of: the product, and its convolutions.
        norm: the L2 norm before them, as a C expression.
        groups: of channels that a max-out reduces, by a convolution's output.
    """
    product, convs = of
    first = convs[0]
    rows, columns, channels = first.inputs[0].shape
    parts, begin = [], 0
    for conv in convs:
        outputs = conv.output.shape[2]
        parts.append(f"{{{begin}, {outputs}, {(groups or {}).get(conv.output.name, 1)}}}")
        begin += outputs
    fields: Fields = {
        "norm": norm,
        "product": nested(
            emit_block.product_fields(f"{name}_product", product, convs, copied=True), 2
        ),
        "weights": f"{name}_weights",
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_columns": first.output.shape[1],
        "stride": first.stride,
        "top": first.padding.top,
        "left": first.padding.left,
        "x_zero": first.inputs[0].zero_point,
        "parts": len(convs),
        "part": f"{{{', '.join(parts)}}}",
    }
    for memory in ("turned", "ring", "line"):
        fields[memory] = scratch_pointer(plan, step, memory)
    return emit_block.product_prototypes(f"{name}_product") + structure("heads_t", name, fields)


def norm_comment(norm: L2Norm) -> str:
    """A norm's shape."""
    return f"{norm.name}: each pixel's {norm.output.shape[2]} channels over their length"


def norm_constant(norm: L2Norm) -> Constant:
    """A norm's multipliers."""
    return Constant(
        f"{identifier(norm.name)}_multiplier", norm.multiplier.astype(np.int32), "[channels]"
    )


def norm_structure(norm: L2Norm) -> str:
    """A norm's `l2norm_t`."""
    name = identifier(norm.name)
    fields: Fields = {
        "multiplier": f"{name}_multiplier",
        "channels": norm.output.shape[2],
        "x_zero": norm.inputs[0].zero_point,
        "y_zero": norm.output.zero_point,
    }
    return structure("l2norm_t", name, fields)
