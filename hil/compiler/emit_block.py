"""The C and the Cortex-M4 code of a streamed inverted residual."""

from collections.abc import Sequence

from hil.compiler import emit_depthwise, emit_matmul
from hil.compiler.emit_c import Constant, nested
from hil.compiler.emit_pack import (
    Inputs,
    depthwise_biases,
    depthwise_weights,
    is_narrow,
    product_stream,
)
from hil.compiler.plan_kernels import Block, DepthwiseRow, MatMul
from hil.compiler.program import Conv2D

Fields = dict[str, str | int | bool]
STREAM = "for two channels: biases, weights of two inputs by turns, multipliers, zero point"
_PRODUCT = "(const int16_t *, const int32_t *, void *, const int8_t *)"
_ROW = "(const int16_t *, const int32_t *, const int32_t *, int16_t *)"


def block_constants(name: str, convs: tuple[Conv2D, ...], *, copied: bool) -> tuple[Constant, ...]:
    """The block's weights as the kernels read them; `convs` without the expansion or with it."""
    *expands, depthwise, project = convs
    widened = [
        product_stream(
            [expand],
            inputs=Inputs.WIDENED,
            narrow=is_narrow([expand], copied=copied),
            planar=True,
        )
        for expand in expands
    ]
    centred = product_stream(
        [project], inputs=Inputs.CENTRED, narrow=is_narrow([project], copied=copied)
    )
    return (
        *(Constant(f"{name}_expand", stream, STREAM) for stream in widened),
        Constant(f"{name}_filter", depthwise_weights(depthwise), "rows 0, 1, 2, 0, 1 in two words"),
        Constant(f"{name}_filter_biases", depthwise_biases(depthwise), "bias, multiplier"),
        Constant(f"{name}_project", centred, STREAM),
    )


def block_fields(name: str, block: Block, convs: tuple[Conv2D, ...], *, copied: bool) -> Fields:
    """The members of its `streamed_block_t` but for the working memory."""
    x = convs[0].inputs[0]
    rows, columns, channels = x.shape
    out_rows, out_columns, out_channels = convs[-1].output.shape
    expand: Fields = {"x_zero": x.zero_point}
    if block.expand:
        product = product_fields(f"{name}_expand", block.expand, convs[:1], copied=copied)
        expand = {"expand": nested(product, 2), "expand_weights": f"{name}_expand"}
    return {
        **expand,
        "filter": nested(_row_fields(f"{name}_filter", block.filter), 2),
        "project": nested(
            product_fields(f"{name}_project", block.project, convs[-1:], copied=copied), 2
        ),
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_rows": out_rows,
        "out_columns": out_columns,
        "out_channels": out_channels,
        "filter_weights": f"{name}_filter",
        "filter_biases": f"{name}_filter_biases",
        "project_weights": f"{name}_project",
    }


def block_prototypes(name: str, block: Block) -> str:
    """Declarations of its functions in kernels.S."""
    expand = product_prototypes(f"{name}_expand", block.expand) if block.expand else ""
    return (
        expand
        + f"void {name}_filter_row{_ROW};\n"
        + product_prototypes(f"{name}_project", block.project)
    )


def block_assembly(name: str, block: Block) -> str:
    """Those functions."""
    expand = product_assembly(f"{name}_expand", block.expand) if block.expand else ""
    return (
        expand
        + emit_depthwise.depthwise(f"{name}_filter_row", block.filter).text
        + product_assembly(f"{name}_project", block.project)
    )


def product_fields(name: str, product: MatMul, convs: Sequence[Conv2D], *, copied: bool) -> Fields:
    """The members of a `matmul_t`; `copied` to memory before it is read, or not."""
    zero, multiplier, shift = product.residual or (0, 0, 0)
    codes = ", ".join(f"CORTEX_M4_CODE({name}_{p})" for p in range(1, product.most_pixels + 1))
    return {
        "depth": product.depth,
        "segments": product.segments,
        "segment_bytes": product.segment_bytes,
        "pixel_bytes": product.pixel_bytes,
        "channels": product.channels,
        "y_bytes": product.y_bytes,
        "y_channel_bytes": product.y_channel_bytes,
        "y_pixel_bytes": product.y_pixel_bytes,
        "low": product.low,
        "high": product.high,
        "most_pixels": product.most_pixels,
        "narrow": is_narrow(convs, copied=copied),
        "residual_zero": zero,
        "residual_multiplier": multiplier,
        "residual_shift": shift,
        "code": f"{{{codes}}}",
    }


def product_prototypes(name: str, product: MatMul) -> str:
    """Declarations of a product's functions for one, two and three pixels, or for fewer."""
    counts = range(1, product.most_pixels + 1)
    return "".join(f"void {name}_{pixels}{_PRODUCT};\n" for pixels in counts)


def product_assembly(name: str, product: MatMul) -> str:
    """Those functions."""
    return "".join(
        emit_matmul.matmul(f"{name}_{pixels}", product, pixels).text
        for pixels in range(1, product.most_pixels + 1)
    )


def _row_fields(name: str, row: DepthwiseRow) -> Fields:
    return {
        "channels": row.channels,
        "columns": row.columns,
        "stride": row.stride,
        "slot_bytes": row.slot_bytes,
        "y_pixel_bytes": row.y_pixel_bytes,
        "high": row.high,
        "code": f"CORTEX_M4_CODE({name}_row)",
    }
