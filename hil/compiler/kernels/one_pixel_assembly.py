"""Cortex-M4 code for a 1x1 convolution of one pixel: int8 weights from flash, widened in registers.

Four channels at a time: for every four inputs two words of the pixel and four of weights are read,
eight SXTB16 widen the weights and eight SMLAD multiply, 24 cycles for 16 multiply-accumulates.
The C that this code equals is in firmware/kernels/one_pixel.c.
"""

from dataclasses import dataclass

from hil.compiler.code.assembly import Assembly, clamp, immediate
from hil.compiler.kernels.matmul import REACH

_UNROLLED = range(16, 5, -2)  # words of each stream in a round
_MOST_UNROLLED = _UNROLLED[0]
_BIAS_BYTES, _TRAILER_BYTES = 8, 12
_SUMS = ("r4", "r5", "r6", "r7")
_PIXELS = ("r8", "r9")
_WEIGHTS = (("r10", "r11"), ("r12", "lr"))  # of each pair of channels


@dataclass(frozen=True)
class OnePixel:
    """The shape of a product on one pixel, `one_pixel_t` in firmware/kernels/one_pixel.h.

    Attributes:
        inputs: a multiple of four.
        channels: of the output, an even number.
        shift: of the sums, before their biases.
        low, high: the clamp.
    """

    inputs: int
    channels: int
    shift: int
    low: int
    high: int

    @property
    def pair_bytes(self) -> int:
        """Bytes of the stream of two channels."""
        return _BIAS_BYTES + 2 * self.inputs + _TRAILER_BYTES

    @property
    def is_reachable(self) -> bool:
        """Whether a second pair's weights lie within an offset of the first pair's."""
        return self.pair_bytes + 4 * _MOST_UNROLLED <= REACH


def one_pixel(name: str, product: OnePixel) -> Assembly:
    """Write the product.

    C: void name(const int16_t *window, const int32_t *weights, int8_t *y)

    Args:
        name: the function's symbol.
        product: its shape, which becomes immediates.
    """
    out = Assembly()
    out.function(name, f"1 pixel, {product.inputs} inputs, {product.channels} channels")
    fours, rest = divmod(product.channels, 4)
    out.put("push {r4-r11, lr}", "vmov s0, r2")
    if fours:
        immediate(out, "r3", fours)
        out.put("vmov s1, r3")
        out.label(f".L{name}_four")
        _channels(out, f"{name}_a", product, 2)
        out.put("vmov r3, s1", "subs r3, r3, #1", "vmov s1, r3", f"bne .L{name}_four")
    if rest:
        _channels(out, f"{name}_b", product, 1)
    out.put("pop {r4-r11, pc}")
    return out


def _channels(out: Assembly, name: str, product: OnePixel, pairs: int) -> None:
    """One or two pairs of channels; moves r1 and the output's pointer on."""
    sums = _SUMS[: 2 * pairs]
    out.put(f"adds r1, r1, #{_BIAS_BYTES}", *(f"mov {s}, #0" for s in sums))
    words = product.inputs // 2
    # Unrolling that leaves no rest: code for a rest would not fit the instruction cache.
    unrolled = next((n for n in _UNROLLED if words % n == 0), _UNROLLED[len(_UNROLLED) // 2])
    rounds, rest = divmod(words, unrolled)
    if rounds:
        immediate(out, "r3", rounds)
        out.put("vmov s2, r3")
        out.label(f".L{name}_round")
        for word in range(0, unrolled, 2):
            _two(out, product, pairs, word)
        out.put(f"add r0, r0, #{4 * unrolled}", f"add r1, r1, #{4 * unrolled}")
        out.put("vmov r3, s2", "subs r3, r3, #1", "vmov s2, r3", f"bne .L{name}_round")
    for word in range(0, rest, 2):
        _two(out, product, pairs, word)
    moved = 4 * unrolled * rounds
    _move(out, "r0", -moved)
    _move(out, "r1", -moved - _BIAS_BYTES)
    _requantise(out, product, sums)


def _two(out: Assembly, product: OnePixel, pairs: int, word: int) -> None:
    """Two words of the pixel, and of each pair's weights."""
    loads = [f"ldr {r}, [r0, #{4 * (word + i)}]" for i, r in enumerate(_PIXELS)]
    for pair in range(pairs):
        at = pair * product.pair_bytes + 4 * word
        loads += [f"ldr {r}, [r1, #{at + 4 * i}]" for i, r in enumerate(_WEIGHTS[pair])]
    out.put(*loads)
    for pair in range(pairs):
        for pixel, weight in zip(_PIXELS, _WEIGHTS[pair], strict=True):
            first, second = _SUMS[2 * pair : 2 * pair + 2]
            out.put(f"sxtb16 r2, {weight}", f"sxtb16 r3, {weight}, ror #8")
            out.put(
                f"smlad {first}, {pixel}, r2, {first}", f"smlad {second}, {pixel}, r3, {second}"
            )


def _requantise(out: Assembly, product: OnePixel, sums: tuple[str, ...]) -> None:
    """Add the biases, multiply, clamp and store; r1 stands at the first bias."""
    for pair in range(len(sums) // 2):
        out.put("ldrd r8, r9, [r1]")
        _move(out, "r1", product.pair_bytes - _TRAILER_BYTES)
        out.put("ldm r1!, {r10, r11, r12}")
        for s, bias, multiplier in zip(
            sums[2 * pair :], ("r8", "r9"), ("r10", "r11"), strict=False
        ):
            out.put(f"add {s}, {bias}, {s}, lsl #{product.shift}" if product.shift
                    else f"add {s}, {s}, {bias}")  # fmt: skip
            out.put(f"smmlar {s}, {s}, {multiplier}, r12")
    clamp(out, sums, product.low, product.high, "r8")
    out.put("vmov r2, s0", *(f"strb {s}, [r2, #{i}]" for i, s in enumerate(sums)))
    out.put(f"add r2, r2, #{len(sums)}", "vmov s0, r2")


def _move(out: Assembly, register: str, by: int) -> None:
    """Move a pointer by a constant; changes r2 where it is a large one."""
    if abs(by) > REACH:
        immediate(out, "r2", by)
        out.put(f"add {register}, {register}, r2")
    elif by:
        out.put(f"{'sub' if by < 0 else 'add'}w {register}, {register}, #{abs(by)}")
