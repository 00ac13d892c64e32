"""What is said of every convolution: its comment in C, and whether its residual can be added."""

from hil.compiler.operators.conv2d import Conv2D
from hil.errors import BuildError


def conv_comment(conv: Conv2D) -> str:
    """Return a convolution's shape and equation, for a comment."""
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


def check_residual(conv: Conv2D) -> None:
    """Refuse a residual that the kernels cannot add in 32 bits.

    Raises:
        BuildError: its multiplier or its shift is too large.
    """
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
