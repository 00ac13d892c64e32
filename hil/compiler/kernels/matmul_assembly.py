"""Cortex-M4 code for a matrix product with requantisation: pointwise and dense convolutions.

Up to three pixels by two output channels at a time: six sums in r4-r9, and for every two inputs
five loads and six SMLAD, 12 cycles for 12 multiply-accumulates. Four pixels are in `matmul_four`.
The C that this code equals is in firmware/kernels/matmul.c.
"""

from hil.compiler.code.assembly import Assembly, clamp, immediate
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.matmul_four import matmul_four, store_sums

_LOOP_BYTES = 760  # of unrolled code, which the instruction cache of a kibibyte holds with the rest
_MOST_UNROLLED = 31  # 8 bytes each in a pre-indexed offset of 8 bits
_STEP_BYTES = {1: 20, 2: 32, 3: 44}
_SUMS = ("r4", "r5", "r6", "r7", "r8", "r9")
_PIXELS = ("r10", "r11", "r12")


def matmul(name: str, product: MatMul, pixels: int) -> Assembly:
    """Write the product for one to four pixels.

    C: void name(const int16_t *x, const int32_t *weights, void *y, const int8_t *residual,
    int32_t groups), of which only four pixels take more than one

    Args:
        name: the function's symbol.
        product: its shape, which becomes immediates.
        pixels: that it takes at once.
    """
    if pixels > len(_PIXELS):
        return matmul_four(name, product)
    out = Assembly()
    out.function(name, f"{pixels} pixels, {product.channels} channels")
    steps = product.depth // 2
    peel, unroll = _unrolling(steps, product.segments, pixels)
    out.put("push {r4-r11, lr}", "vmov s1, r2")
    if product.residual:
        out.put("vmov s3, r3")
    immediate(out, "r12", 4 * product.stream_words)
    out.put("add r12, r12, r1", "vmov s2, r12")
    out.label(f".L{name}_pair")
    _accumulate(out, name, product, pixels, peel, unroll)
    _requantise(out, product, pixels)
    out.put("vmov r12, s2", "cmp r1, r12", f"bne .L{name}_pair", "pop {r4-r11, pc}")
    return out


def _most_unrolled(pixels: int) -> int:
    return min(_MOST_UNROLLED, _LOOP_BYTES // _STEP_BYTES[pixels])


def _unrolling(steps: int, segments: int, pixels: int) -> tuple[int, int]:
    """How many steps come before the loop and how many in its body, the cheapest that fits."""
    most = _most_unrolled(pixels)
    if segments == 1 and steps <= most:
        return steps, 0
    choices = []
    for unroll in range(2, most + 1):
        peel = steps % unroll if segments == 1 else 0
        if segments > 1 and steps % unroll:
            continue
        if peel + unroll <= most:
            # A round costs its counter and branch; the first of the peeled steps saves four moves.
            choices.append((3 * (steps // unroll) + 4 * (peel == 0), peel, unroll))
    _, peel, unroll = min(choices, default=(0, 0, 1))
    return peel, unroll


def _accumulate(  # noqa: PLR0917
    out: Assembly, name: str, product: MatMul, pixels: int, peel: int, unroll: int
) -> None:
    """Sums of two channels; afterwards r1 stands at the multipliers and r0 where it began."""
    out.put("ldrd r4, r5, [r1], #8")
    if peel:
        for step in range(peel):
            _step(out, product, pixels, step, first=step == 0)
    else:
        for i in range(2, 2 * pixels):
            out.put(f"mov {_SUMS[i]}, {_SUMS[i % 2]}")
    if unroll:
        _loop(out, name, product, pixels, peel, unroll)
    else:
        out.put(f"add r1, r1, #{8 * peel}")


def _loop(  # noqa: PLR0917
    out: Assembly, name: str, product: MatMul, pixels: int, peel: int, unroll: int
) -> None:
    """The steps after the first `peel`, in rounds of `unroll`, in every segment."""
    # The loop's first loads move the pointers on, so both begin one round early.
    back = unroll - peel
    if back:
        sign = "sub" if back > 0 else "add"
        _add(out, sign, "r0", 4 * abs(back))
        _add(out, sign, "r1", 8 * abs(back))
    rounds = (product.depth // 2 - peel) // unroll
    if product.segments > 1:
        out.put(f"mov r10, #{product.segments}", "vmov s4, r10")
        out.label(f".L{name}_segment")
    if rounds > 1:
        out.put(f"mov lr, #{rounds}")
        out.label(f".L{name}_round")
    for step in range(unroll):
        _step(out, product, pixels, step, advance=unroll if step == 0 else 0)
    if rounds > 1:
        out.put("subs lr, lr, #1", f"bne .L{name}_round")
    moved = 4 * rounds * unroll
    if product.segments > 1:
        _add_signed(out, "r0", product.segment_bytes - moved)
        out.put("vmov r10, s4", "subs r10, r10, #1", "vmov s4, r10", f"bne .L{name}_segment")
        _add_signed(out, "r0", 4 * back - product.segments * product.segment_bytes)
    else:
        _add_signed(out, "r0", 4 * back - moved)
    _add(out, "add", "r1", 8 * unroll)


def _step(
    out: Assembly,
    product: MatMul,
    pixels: int,
    step: int,
    *,
    first: bool = False,
    advance: int = 0,
) -> None:
    """Two inputs of every pixel and channel."""
    offsets = [4 * step + p * product.pixel_bytes for p in range(pixels)]
    if advance:
        out.put(f"ldr r10, [r0, #{4 * advance}]!", f"ldr r2, [r1, #{8 * advance}]!")
    else:
        out.put(f"ldr r10, [r0, #{offsets[0]}]", f"ldr r2, [r1, #{8 * step}]")
    out.put(*(f"ldr {_PIXELS[p]}, [r0, #{offsets[p]}]" for p in range(1, pixels)))
    out.put(f"ldr r3, [r1, #{8 * step + 4}]")
    for p in reversed(range(pixels)):
        for c, weight in enumerate(("r2", "r3")):
            total = _SUMS[2 * p + c]
            before = _SUMS[c] if first else total
            out.put(f"smlad {total}, {_PIXELS[p]}, {weight}, {before}")


def _requantise(out: Assembly, product: MatMul, pixels: int) -> None:
    """Multiply, add, clamp and store; moves r1 to the next two channels' biases."""
    sums = _SUMS[: 2 * pixels]
    out.put("vmov r10, s1", "ldm r1!, {r2, r3, r11}")
    out.put(*(f"smmlar {s}, {s}, {('r2', 'r3')[i % 2]}, r11" for i, s in enumerate(sums)))
    if product.residual:
        _residual(out, product, sums)
    clamp(out, sums, product.low, product.high, "r11")
    store_sums(out, product, sums, "r10")
    out.put("vmov s1, r10")


def _residual(out: Assembly, product: MatMul, sums: tuple[str, ...]) -> None:
    """Add ((q - zero) * multiplier + 2**(shift - 1)) >> shift."""
    if product.residual is None:
        return
    zero, multiplier, shift = product.residual
    immediate(out, "r2", multiplier)
    immediate(out, "r3", (1 << (shift - 1)) - zero * multiplier)
    out.put("vmov r12, s3")
    for first in range(0, len(sums), 2):
        at = first // 2 * product.y_pixel_bytes
        out.put(f"ldrsb r11, [r12, #{at}]", f"ldrsb lr, [r12, #{at + product.y_channel_bytes}]")
        out.put("mla r11, r11, r2, r3", "mla lr, lr, r2, r3")
        for s, term in ((sums[first], "r11"), (sums[first + 1], "lr")):
            out.put(f"add {s}, {s}, {term}, asr #{shift}")
    out.put(f"add r12, r12, #{2 * product.y_channel_bytes}", "vmov s3, r12")


def _add(out: Assembly, instruction: str, register: str, value: int) -> None:
    """Add or subtract a constant of up to 12 bits."""
    if value:
        out.put(f"{instruction}w {register}, {register}, #{value}")


def _add_signed(out: Assembly, register: str, value: int) -> None:
    """Add a constant; changes r10 where it is a large one."""
    if abs(value) <= 4095:
        _add(out, "add" if value > 0 else "sub", register, abs(value))
    else:
        immediate(out, "r10", value)
        out.put(f"add {register}, {register}, r10")
