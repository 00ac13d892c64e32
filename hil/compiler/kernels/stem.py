"""A 3x3 convolution of stride 2 from one channel to four, `stem.c`, that runs into another kernel.

Two outputs at a time: nine words of pixels stand in r3-r11, all weights in the FPU's registers.
The C that this code equals is in firmware/kernels/stem.c.
"""

import numpy as np

from hil.compiler.code.assembly import Assembly, clamp
from hil.compiler.code.c import Constant, Fields, identifier, structure, wrap_int32
from hil.compiler.kernels.cycles import Cost, Part, Work
from hil.compiler.kernels.feed import Feed, FeedCode
from hil.compiler.kernels.kernel import Choices, Scratch, Site
from hil.compiler.kernels.matmul import MOST_SHIFT, REACH
from hil.compiler.kernels.weights import pack, stream_bias
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32

_CHANNELS = 4
_WORDS = 7  # of weights for each channel
_COUNTER = "s28"
_LAYOUT = "[2][channel]: (w1, w0) of 3 rows, (w02, w12), (w22, -), b, m"


class StemFeed(Feed):
    """The first convolution of a network on grey images."""

    files = ("stem",)

    def takes(self, conv: Conv2D) -> bool:
        """Take a 3x3 convolution of stride 2 from one channel to four."""
        return is_stem(conv)

    def scratch(self, conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
        """Return three slots, one for each row under the window."""
        return (Scratch("slots", 3 * 4 * (conv.inputs[0].shape[1] // 2 + 1)),)

    def constant_bytes(self, conv: Conv2D, choices: Choices) -> int:
        """Count the weights, as they are and upside down."""
        return 2 * 4 * _CHANNELS * _WORDS

    def work(self, conv: Conv2D, site: Site) -> Work:
        """Count pixels."""
        rows, columns, _ = conv.output.shape
        return {"stem.pixel": rows * columns}

    def code(self, conv: Conv2D, site: Site) -> FeedCode:
        """Call `stem_rows`."""
        name = identifier(conv.name)
        rows, columns, _ = conv.inputs[0].shape
        fields: Fields = {
            "rows": rows,
            "columns": columns,
            "x_zero": conv.inputs[0].zero_point,
            "y_zero": conv.output.zero_point,
            "low": conv.low,
            "high": conv.high,
            "weights": f"{name}_weights",
            "slots": site.scratch("slots"),
            "code": f"HIL_CORTEX_M4_CODE({name}_row)",
        }
        return FeedCode(
            ("stem.h",),
            (Constant(f"{name}_weights", _stream(conv), _LAYOUT),),
            f"void {name}_row(const int32_t *, const int32_t *, int8_t *);\n"
            + structure("stem_t", name, fields),
            f"stem_rows(&{name}, {{source}}, {{row}}, {{count}}, rows);",
        )

    def assembly(self, conv: Conv2D) -> str:
        """Write the row."""
        return row(f"{identifier(conv.name)}_row", conv).text


def is_stem(conv: Conv2D) -> bool:
    """Tell whether a convolution is 3x3 of stride 2 from one channel to four."""
    rows, columns, channels = conv.inputs[0].shape
    return (
        not conv.depthwise
        and conv.weight.shape == (4, 3, 3, 1)
        and conv.stride == 2
        and (conv.padding.top, conv.padding.left) == (1, 1)
        and conv.output.shape[:2] == ((rows + 1) // 2, columns // 2)
        and columns % 4 == 0
        and 2 * 4 * (columns // 2 + 1) + 8 <= REACH
        and channels == 1
        and conv.residual is None
        and conv.shift <= MOST_SHIFT
        and conv.inputs[0].zero_point + 128 <= 255
    )


def row(name: str, conv: Conv2D) -> Assembly:
    """Write a row.

    C: void name(const int32_t *slots, const int32_t *weights, int8_t *y)

    Args:
        name: the function's symbol.
        conv: a 3x3 convolution of stride 2, one channel to four.
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


def _stream(conv: Conv2D) -> Int32:
    """Return seven words a channel, once as they are and once upside down."""
    weight = conv.weight[..., 0].astype(np.int64) << conv.shift
    bias = stream_bias(conv, with_zero_point=True)
    both = []
    for w in (weight, weight[:, ::-1]):
        words = [pack(w[:, i, 1], w[:, i, 0]) for i in range(3)]
        words += [pack(w[:, 0, 2], w[:, 1, 2]), w[:, 2, 2] & 0xFFFF]
        both.append(np.stack([*words, bias, conv.multiplier], axis=1).reshape(-1))
    return wrap_int32(np.concatenate(both))


STEM_FEED = StemFeed()


STEM = Part(
    "stem",
    code_bytes=916,
    cycles={
        "stem.pixel": Cost(52.9, "a pixel of four channels"),
    },
)
