"""A batch norm or an activation by itself: its constants, descriptor and Cortex-M4 code.

Three pixels at a time: two channels' constants in five registers serve all of them. The C that the
code equals is in firmware/kernels/scale.c.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hil.compiler.emit_assembly import Assembly
from hil.compiler.emit_c import Constant, identifier, structure
from hil.compiler.emit_code import Fields, planned_pointer
from hil.compiler.emit_pack import scale_stream
from hil.compiler.plan_kernels import MOST_PIXELS, REACH, scale_words
from hil.compiler.plan_steps import Step
from hil.compiler.program import Conv2D

if TYPE_CHECKING:
    from hil.compiler.plan import Plan

_LAYOUT = "for channels 0 and 2, then 1 and 3 of every four: weights, biases, multipliers"
_PIXELS = ("r3", "r4", "r5")
_UNROLLED = 2  # groups of four channels


def constant(conv: Conv2D) -> Constant:
    """Its factors and offsets as the kernel reads them."""
    return Constant(f"{identifier(conv.name)}_factors", scale_stream(conv), _LAYOUT)


def descriptor(step: Step, plan: "Plan", conv: Conv2D, *, y_bytes: int) -> str:
    """Its `scale_t`, and declarations of its functions in kernels.S."""
    name = identifier(conv.name)
    functions = [f"{name}_scale_{pixels}" for pixels in _counts(conv, y_bytes)]
    codes = ", ".join(f"CORTEX_M4_CODE({function})" for function in functions)
    fields: Fields = {
        "weights": f"{name}_factors",
        "channels": conv.output.shape[2],
        "y_bytes": y_bytes,
        "y_zero": conv.output.zero_point,
        "low": conv.low,
        "high": conv.high,
        "copy": planned_pointer(plan, step, "factors"),
        "code": f"{{{codes or 'NULL'}}}",
    }
    prototypes = [f"void {f}(const int8_t *, const int32_t *, void *);\n" for f in functions]
    return "".join(prototypes) + structure("scale_t", name, fields)


def assembly(conv: Conv2D, *, y_bytes: int) -> str:
    """Those functions."""
    return "".join(_code(conv, pixels, y_bytes).text for pixels in _counts(conv, y_bytes))


def _counts(conv: Conv2D, y_bytes: int) -> Sequence[int]:
    """Pixels at a time; none where the clamp is not the range of int8, as it nearly always is."""
    if (conv.low, conv.high) != (-128, 127):
        return ()
    channels = conv.output.shape[2]
    return [p for p in range(1, MOST_PIXELS + 1) if (p - 1) * channels * y_bytes + 6 <= REACH]


def _code(conv: Conv2D, pixels: int, y_bytes: int) -> Assembly:
    """C: void name(const int8_t *x, const int32_t *weights, void *y)."""
    out = Assembly()
    name, channels = f"{identifier(conv.name)}_scale_{pixels}", conv.output.shape[2]
    out.function(name, f"{pixels} pixels, {channels} channels")
    out.put("push {r4-r11, lr}", f"movw r12, #{4 * scale_words(conv)}", "add r12, r12, r1")
    out.put("vmov s0, r12", f"mvn lr, #{~conv.output.zero_point}" if conv.output.zero_point < 0
            else f"mov lr, #{conv.output.zero_point}")  # fmt: skip
    unrolled = _UNROLLED if channels // 4 % _UNROLLED == 0 else 1
    out.label(f".L{name}_channels")
    for _ in range(unrolled):
        _four(out, conv, pixels, y_bytes)
    out.put("vmov r12, s0", "cmp r1, r12", f"bne .L{name}_channels", "pop {r4-r11, pc}")
    return out


def _four(out: Assembly, conv: Conv2D, pixels: int, y_bytes: int) -> None:
    """Four channels of every pixel; r0, r1 and r2 move on."""
    channels = conv.output.shape[2]
    for p in reversed(range(1, pixels)):
        out.put(f"ldr {_PIXELS[p]}, [r0, #{p * channels}]")
    out.put(f"ldr {_PIXELS[0]}, [r0], #4")
    packed = y_bytes == 2 and _fits_halfwords(conv)
    for odd in range(2):
        out.put("ldm r1!, {r6-r10}")
        for p in reversed(range(pixels)):
            x, rotated = _PIXELS[p], ", ror #8" if odd else ""
            out.put(f"sxtb16 r11, {x}{rotated}")
            out.put("smlabb r12, r11, r6, r7", "smlatt r11, r11, r6, r8")
            out.put("smmlar r12, r12, r9, lr", "smmlar r11, r11, r10, lr")
            if not packed:
                out.put("ssat r12, #8, r12", "ssat r11, #8, r11")
            at = p * channels * y_bytes + odd * y_bytes * (2 if y_bytes == 2 else 1)
            last = odd == 1 and p == 0
            if y_bytes == 2:
                out.put("pkhbt r12, r12, r11, lsl #16")
                if packed:
                    out.put("ssat16 r12, #8, r12")
                out.put(f"str r12, [r2, #{at}]")
            else:
                out.put(f"strb r11, [r2, #{at + 2}]", f"strb r12, [r2, #{at}]")
            if last:
                out.put(f"add r2, r2, #{4 * y_bytes}")


def _fits_halfwords(conv: Conv2D) -> bool:
    """Whether no value leaves int16 before the clamp, whatever the input."""
    acc = conv.weight[:, 0, 0, 0].astype(np.int64)[:, None] * (
        np.array([-128, 127]) - conv.inputs[0].zero_point
    )
    acc = (acc + conv.bias[:, None]) << conv.shift
    y = ((acc * conv.multiplier[:, None].astype(np.int64)) >> 32) + conv.output.zero_point
    return bool(np.abs(y).max() < 2**15 - 1)
