"""A factor and an offset for each channel, `scale.c`: a batch norm or an activation by itself.

Three pixels at a time: two channels' constants in five registers serve all of them. The C that the
code equals is in firmware/kernels/scale.c.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from hil.compiler.code.assembly import Assembly
from hil.compiler.code.c import Constant, Fields, identifier, structure, wrap_int32
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Cost, Costs, Work, add
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.matmul import MOST_SHIFT, REACH
from hil.compiler.kernels.shapes import is_unpadded, pixel_access, sources
from hil.compiler.kernels.weights import pack, shifted, stream_bias
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32, Operator
from hil.limits import limit

MOST_PIXELS = limit("SCALE_MOST_PIXELS")  # scaled at a time
_LAYOUT = "for channels 0 and 2, then 1 and 3 of every four: weights, biases, multipliers"
_PIXELS = ("r3", "r4", "r5")
_UNROLLED = 2  # groups of four channels


class Scale(Kernel):
    """Depthwise 1x1 convolutions whose channels come in fours."""

    name = "scale"
    step_bytes = 100
    code_bytes = 408
    cycles: ClassVar[Costs] = {
        "scale.value": Cost(8.61, "a value"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a factor and an offset for each channel."""
        conv = rest[0]
        if not isinstance(conv, Conv2D) or not is_scale(conv):
            return None
        # Three pixels are read, channel by channel, before the next three are.
        slack = -MOST_PIXELS * conv.output.shape[2]
        memory = scratch(conv, choices)
        return Step(conv.name, self, (conv,), sources(conv), (conv.output,), memory, slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the factors."""
        return 4 * words(expect(step.operators[0], Conv2D))

    def work(self, site: Site) -> Work:
        """Count values."""
        return work(expect(site.step.operators[0], Conv2D), site)

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[0])

    def code(self, site: Site) -> StepCode:
        """Call `scale_map`."""
        conv = expect(site.step.operators[0], Conv2D)
        x, y = site.row(conv.inputs[0]), site.row(conv.output)
        first = "row == 0" if site.is_streamed else "true"
        pixels = site.pixels(conv.output)
        return StepCode(
            ("scale.h",),
            conv_comment(conv),
            (constant(conv),),
            descriptor(site, conv, y_bytes=1),
            (call("scale_map", f"&{identifier(conv.name)}", first, pixels, x, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write its functions."""
        return assembly(expect(operators[0], Conv2D), y_bytes=1)


def is_scale(conv: Conv2D) -> bool:
    """Tell whether a convolution is a factor and an offset for each channel, in words of four."""
    return (
        conv.depthwise
        and conv.weight.shape[1:3] == (1, 1)
        and conv.stride == 1
        and is_unpadded(conv)
        and conv.residual is None
        and conv.output.shape[2] % 4 == 0
        and conv.shift <= MOST_SHIFT
    )


def words(conv: Conv2D) -> int:
    """Count the words of its weights as the kernel reads them."""
    return conv.output.shape[2] // 4 * 10


def scratch(conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
    """Return the working memory: its factors, unless they are read in flash.

    Args:
        conv: a depthwise 1x1 convolution: a factor and an offset per channel.
        choices: the schedule's.
    """
    return () if choices.weights_in_flash else (Scratch("factors", 4 * words(conv)),)


def work(conv: Conv2D, site: Site) -> Work:
    """Count the values of the whole map, and the words read from flash.

    Args:
        conv: a depthwise 1x1 convolution.
        site: where its step stands in the plan.

    Returns:
        how often each kind of work is done.
    """
    rows, columns, channels = conv.output.shape
    values = {"scale.value": rows * columns * channels}
    if site.copied:
        return values
    read = -(-rows * columns // MOST_PIXELS) * words(conv)
    return add(values, {"flash.word": site.wait_states * read})


def constant(conv: Conv2D) -> Constant:
    """Return the factors and offsets as the kernel reads them."""
    return Constant(f"{identifier(conv.name)}_factors", _stream(conv), _LAYOUT)


def descriptor(site: Site, conv: Conv2D, *, y_bytes: int) -> str:
    """Define the `scale_t`, and declare its functions in kernels.S.

    Args:
        site: where the step stands in the plan.
        conv: a depthwise 1x1 convolution.
        y_bytes: of a value that it writes: 1, or 2 where a product reads it.

    Returns:
        C definitions.
    """
    name = identifier(conv.name)
    functions = [f"{name}_scale_{pixels}" for pixels in _counts(conv, y_bytes)]
    codes = ", ".join(f"HIL_CORTEX_M4_CODE({function})" for function in functions)
    fields: Fields = {
        "weights": f"{name}_factors",
        "channels": conv.output.shape[2],
        "y_bytes": y_bytes,
        "y_zero": conv.output.zero_point,
        "low": conv.low,
        "high": conv.high,
        "copy": site.planned("factors"),
        "code": f"{{{codes or 'NULL'}}}",
    }
    prototypes = [f"void {f}(const int8_t *, const int32_t *, void *);\n" for f in functions]
    return "".join(prototypes) + structure("scale_t", name, fields)


def assembly(conv: Conv2D, *, y_bytes: int) -> str:
    """Write the functions that `descriptor` declares.

    Args:
        conv: a depthwise 1x1 convolution.
        y_bytes: of a value that it writes: 1, or 2 where a product reads it.

    Returns:
        text for kernels.S.
    """
    return "".join(_code(conv, pixels, y_bytes).text for pixels in _counts(conv, y_bytes))


def _stream(conv: Conv2D) -> Int32:
    """Return what `_LAYOUT` says."""
    weight, bias = shifted(conv)[:, 0], stream_bias(conv, with_zero_point=True)
    multiplier = conv.multiplier.astype(np.int64)
    pairs = []
    for first in (0, 1):
        a, b = slice(first, None, 4), slice(first + 2, None, 4)
        each = (pack(weight[a], weight[b]), bias[a], bias[b], multiplier[a], multiplier[b])
        pairs.append(np.stack(each, axis=1))
    return wrap_int32(np.concatenate(pairs, axis=1).reshape(-1))


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
    out.put("push {r4-r11, lr}", f"movw r12, #{4 * words(conv)}", "add r12, r12, r1")
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
    acc = (acc << conv.shift) + conv.shifted_bias[:, None]
    y = ((acc * conv.multiplier[:, None].astype(np.int64)) >> 32) + conv.output.zero_point
    return bool(np.abs(y).max() < 2**15 - 1)


SCALE = Scale()
