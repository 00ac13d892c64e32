"""Cortex-M4 code for one row of a 3x3 convolution of stride 2 from one channel to four.

Two outputs at a time: nine words of pixels stand in r3-r11, all weights in the FPU's registers.
The C that this code equals is in firmware/kernels/stem.c.
"""

from hil.compiler.emit_assembly import Assembly, clamp
from hil.compiler.emit_c import Constant
from hil.compiler.emit_pack import wrapped_rows
from hil.compiler.program import Conv2D

_CHANNELS = 4
_WORDS = 7  # of weights for each channel
_COUNTER = "s28"


def weights(name: str, conv: Conv2D) -> Constant:
    """The weights as the code reads them, once as they are and once upside down."""
    rows = wrapped_rows(conv)
    return Constant(name, rows, "[2][channel]: (w1, w0) of 3 rows, (w02, w12), (w22, -), b, m")


def row(name: str, conv: Conv2D) -> Assembly:
    """Write a row.

    C: void name(const int32_t *slots, const int32_t *weights, int8_t *y)
    """
    columns = conv.inputs[0].shape[1]
    slot_bytes = 4 * (columns // 2 + 1)
    out = Assembly()
    out.function(name, f"{columns // 2} columns, {_CHANNELS} channels")
    out.put("push {r4-r11, lr}", "vpush {s16-s31}", "vldm r1, {s0-s27}", "mov r1, r2")
    rounds, rest = divmod(columns // 4, 2)
    out.put(f"mov r2, #{rounds}", f"vmov {_COUNTER}, r2")
    first, last = ("r3", "r4", "r5"), ("r9", "r10", "r11")
    out.put(*(f"ldr {r}, [r0, #{slot_bytes * i}]" for i, r in enumerate(first)))
    if rounds:
        out.label(f".L{name}_columns")
        _two(out, conv, slot_bytes, first, last)
        _two(out, conv, slot_bytes, last, first)
        out.put(f"vmov r2, {_COUNTER}", "subs r2, r2, #1", f"vmov {_COUNTER}, r2")
        out.put(f"bne .L{name}_columns")
    if rest:
        _two(out, conv, slot_bytes, first, last)
    out.put("vpop {s16-s31}", "pop {r4-r11, pc}")
    return out


def _two(
    out: Assembly,
    conv: Conv2D,
    slot_bytes: int,
    before: tuple[str, str, str],
    after: tuple[str, str, str],
) -> None:
    """Two outputs from the words before, between and after them; moves r0 and r1 on."""
    between = ("r6", "r7", "r8")
    for i in range(3):
        out.put(f"ldr {between[i]}, [r0, #{slot_bytes * i + 4}]")
        out.put(f"ldr {after[i]}, [r0, #{slot_bytes * i + 8}]")
    for c in range(_CHANNELS):
        s = _WORDS * c
        out.put(f"vmov r12, s{s + 5}")
        for i in range(3):
            total = "r12" if i == 0 else "lr"
            out.put(f"vmov r2, s{s + i}", f"smladx lr, {between[i]}, r2, {total}")
            out.put(f"smlad r12, {before[i]}, r2, r12")
        out.put(f"vmov r2, s{s + 3}")
        out.put(f"smlabb r12, {between[0]}, r2, r12", f"smlatb lr, {after[0]}, r2, lr")
        out.put(f"smlabt r12, {between[1]}, r2, r12", f"smlatt lr, {after[1]}, r2, lr")
        out.put(f"vmov r2, s{s + 4}")
        out.put(f"smlabb r12, {between[2]}, r2, r12", f"smlatb lr, {after[2]}, r2, lr")
        out.put(f"vmov r2, s{s + 6}", "smmulr r12, r12, r2", "smmulr lr, lr, r2")
        zero = conv.output.zero_point
        if zero:
            change = f"{'add' if zero > 0 else 'sub'}"
            out.put(*(f"{change} {r}, {r}, #{abs(zero)}" for r in ("r12", "lr")))
        clamp(out, ("r12", "lr"), conv.low, conv.high, "r2")
        out.put(f"strb r12, [r1, #{c}]", f"strb lr, [r1, #{c + _CHANNELS}]")
    out.put("adds r0, r0, #8", f"adds r1, r1, #{2 * _CHANNELS}")
