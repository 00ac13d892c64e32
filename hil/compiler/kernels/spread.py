"""Cortex-M4 code that spreads a row of pixels into planes of int16, for a depthwise convolution.

Two pixels at a time, four channels of each: two loads, four SXTAB16 that take the zero point off,
four PKH and four stores of whole words, 17 cycles for eight values. The C that this code equals is
in firmware/kernels/streamed_block.c.
"""

from dataclasses import dataclass

from hil.compiler.code.assembly import Assembly, immediate
from hil.compiler.kernels.matmul import REACH

_CHANNELS = 4  # at a time
_UNROLLED = 4  # pairs of pixels


@dataclass(frozen=True)
class Spread:
    """A row's pairs of pixels, spread into planes.

    Attributes:
        channels: of the map, a multiple of four.
        pairs: of pixels, whose places in the planes are whole words.
        plane_bytes: from one channel's plane to the next.
    """

    channels: int
    pairs: int
    plane_bytes: int

    @property
    def is_reachable(self) -> bool:
        """Whether there are pairs, and offsets fit the code's immediates."""
        x_reach = 2 * _UNROLLED * self.channels
        y_reach = (_CHANNELS - 1) * self.plane_bytes + 4 * _UNROLLED
        return self.pairs > 0 and max(x_reach, y_reach) <= REACH


def spread(name: str, row: Spread) -> Assembly:
    """Write the row.

    C: void name(const int8_t *x, int32_t minus_zero, int16_t *to); `minus_zero` in both halves

    Args:
        name: the function's symbol.
        row: its shape, which becomes immediates.
    """
    out = Assembly()
    out.function(name, f"{row.channels} channels, {row.pairs} pairs of pixels")
    rounds, rest = divmod(row.pairs, _UNROLLED)
    out.put("push {r4-r11, lr}")
    immediate(out, "r3", row.channels // _CHANNELS)
    immediate(out, "r11", _CHANNELS * row.plane_bytes)
    out.label(f".L{name}_channels")
    out.put("mov r12, r0", "mov lr, r2")
    if rounds:
        immediate(out, "r10", rounds)
        out.label(f".L{name}_round")
        for pair in range(_UNROLLED):
            _pair(out, row, pair)
        out.put(f"addw r12, r12, #{2 * _UNROLLED * row.channels}", f"add lr, lr, #{4 * _UNROLLED}")
        out.put("subs r10, r10, #1", f"bne .L{name}_round")
    for pair in range(rest):
        _pair(out, row, pair)
    out.put(f"adds r0, r0, #{_CHANNELS}", "add r2, r2, r11", "subs r3, r3, #1")
    out.put(f"bne .L{name}_channels", "pop {r4-r11, pc}")
    return out


def _pair(out: Assembly, row: Spread, pair: int) -> None:
    """Two pixels, so many pairs behind the pointers."""
    x, y = 2 * pair * row.channels, 4 * pair
    out.put(f"ldr r4, [r12, #{x}]", f"ldr r5, [r12, #{x + row.channels}]")
    out.put("sxtab16 r6, r1, r4", "sxtab16 r7, r1, r4, ror #8")
    out.put("sxtab16 r8, r1, r5", "sxtab16 r9, r1, r5, ror #8")
    out.put("pkhbt r4, r6, r8, lsl #16", "pkhtb r6, r8, r6, asr #16")
    out.put("pkhbt r5, r7, r9, lsl #16", "pkhtb r7, r9, r7, asr #16")
    for channel, word in enumerate(("r4", "r5", "r6", "r7")):
        out.put(f"str {word}, [lr, #{y + channel * row.plane_bytes}]")
