"""What kernels with a matrix product share: its C, its bytes, its working memory, its work."""

from collections.abc import Sequence

from hil.compiler.code.c import Fields
from hil.compiler.kernels.cycles import Factor, Work, times
from hil.compiler.kernels.kernel import Choices, Scratch, Site
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.matmul_assembly import matmul
from hil.compiler.kernels.weights import is_narrow
from hil.compiler.operators.conv2d import Conv2D

STREAM = "for two channels: biases, weights of two inputs by turns, multipliers, zero point"

TWO_MEMORIES = Factor(
    1.3,
    "cycles of a product whose weights and window lie in two memories, over those in one",
    measured=1.14,
    kept="vww_last_rnnpool would get another schedule",
)
_PROTOTYPE = "(const int16_t *, const int32_t *, void *, const int8_t *, int32_t)"


def product_fields(name: str, product: MatMul, convs: Sequence[Conv2D], *, copied: bool) -> Fields:
    """Return the members of a `matmul_t`; `copied` to memory before it is read, or not.

    Args:
        name: the variable's, with which the functions' names begin.
        product: its shape.
        convs: whose weights it multiplies, one behind the other.
        copied: whether weights are copied to memory before they are read.
    """
    zero, multiplier, shift = product.residual or (0, 0, 0)
    codes = ", ".join(
        f"HIL_CORTEX_M4_CODE({name}_{p})" if p in product.counts else "NULL"
        for p in range(1, product.most_pixels + 1)
    )
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
        "shift": convs[0].shift if is_narrow(convs, copied=copied) else 0,
        "residual_zero": zero,
        "residual_multiplier": multiplier,
        "residual_shift": shift,
        "code": f"{{{codes}}}",
    }


def product_prototypes(name: str, product: MatMul) -> str:
    """Declare a product's functions in kernels.S, for the numbers of pixels it is called with.

    Args:
        name: the variable's, with which the functions' names begin.
        product: its shape.

    Returns:
        C declarations.
    """
    return "".join(f"void {name}_{count}{_PROTOTYPE};\n" for count in product.counts)


def product_assembly(name: str, product: MatMul) -> str:
    """Write the functions that `product_prototypes` declares.

    Args:
        name: the variable's, with which the functions' names begin.
        product: its shape.

    Returns:
        text for kernels.S.
    """
    return "".join(matmul(f"{name}_{count}", product, count).text for count in product.counts)


def product_scratch(product: MatMul, choices: Choices) -> tuple[Scratch, ...]:
    """Return the working memory of a product: its weights unless in flash, and widened pixels.

    Args:
        product: its shape.
        choices: the schedule's.
    """
    copy = Scratch("copy", 4 * product.stream_words)
    window = Scratch("window", product.window_bytes, lasts=False)
    return (window,) if choices.weights_in_flash else (copy, window)


def product_bytes(product: MatMul, convs: Sequence[Conv2D], *, copied: bool) -> int:
    """Count the bytes of a product's weights in flash.

    Args:
        product: its shape.
        convs: whose weights it multiplies, one behind the other.
        copied: whether weights are copied to memory before they are read.
    """
    narrow = is_narrow(convs, copied=copied)
    return narrow_bytes(product) if narrow else 4 * product.stream_words


def narrow_bytes(product: MatMul) -> int:
    """Count the bytes of a product's weights in flash as int8."""
    return 4 * (product.channels // 2) * (5 + product.segments * product.depth // 2)


def product_work(product: MatMul, pixels: int) -> Work:
    """Count a product's work over so many pixels.

    Args:
        product: its shape.
        pixels: of the whole map.

    Returns:
        how often each kind of work is done.
    """
    rounds = pixels / product.most_pixels * product.channels / 2
    steps = rounds * product.depth / 2 * product.segments
    work = {f"product.step_{product.most_pixels}": steps, "product.ends": rounds}
    return work | ({"product.residual": rounds} if product.residual else {})


def copied_product_work(product: MatMul, pixels: int, site: Site) -> Work:
    """Count a product's work, more of it where weights and window are in two memories.

    Args:
        product: its shape.
        pixels: of the whole map.
        site: where its step stands in the plan.

    Returns:
        how often each kind of work is done.
    """
    copy, window = site.memory.get("copy"), site.memory.get("window")
    apart = copy and window and copy.region != window.region
    return times(TWO_MEMORIES.factor if apart else 1.0, product_work(product, pixels))


def flash_work(product: MatMul, pixels: int, site: Site) -> Work:
    """Count the words of weights read where they are, once for all pixels at a time.

    Args:
        product: its shape.
        pixels: of the whole map.
        site: where its step stands in the plan; it knows the wait states.

    Returns:
        how often each kind of work is done.
    """
    if site.copied:
        return {}
    words = -(-pixels // product.most_pixels) * product.stream_words
    return {"flash.word": site.wait_states * words}
