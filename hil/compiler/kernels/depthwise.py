"""One row of a 3x3 depthwise convolution over planar int16 rows: its shape, weights and code.

Each channel's three rows stand in a ring of three slots, with columns of zeros where it is padded.
Two neighbours are one word, so that a row of the kernel takes two SMLAxy for one output: six for
nine multiply-accumulates. The C that this code equals is in firmware/kernels/depthwise.c, and for
outputs of int8 in firmware/kernels/expand_filter.c.
"""

from dataclasses import dataclass

import numpy as np

from hil.compiler.code.assembly import Assembly
from hil.compiler.code.c import Fields, wrap_int32
from hil.compiler.kernels.cycles import Cost, Part
from hil.compiler.kernels.matmul import REACH, UNROLLED_BYTES
from hil.compiler.kernels.weights import narrow_words, pack
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32

_UNROLLED = 4  # the registers of the pixels come round after four groups
_WEIGHTS = (("r3", "r4"), ("r5", "r6"), ("r7", "r8"))  # (w0, w1) and (w1, w2) of each row
_MOST_HIGH = 255


@dataclass(frozen=True)
class DepthwiseRow:
    """A row of a 3x3 depthwise convolution, `depthwise_t` in firmware/kernels/depthwise.h.

    Attributes:
        channels: of input and output.
        columns: of the output.
        stride: 1 or 2.
        slot_bytes: of one row in the ring, a multiple of 4.
        y_pixel_bytes: from one output pixel to the next; channels stand side by side.
        high: the clamp is [0, high], with zero points taken off.
        y_bytes: of one output: 2, or 1 for `expand_filter_row_t` in expand_filter.h beside it.
        y_zero: added to the result.
    """

    channels: int
    columns: int
    stride: int
    slot_bytes: int
    y_pixel_bytes: int
    high: int
    y_bytes: int = 2
    y_zero: int = 0

    @property
    def is_reachable(self) -> bool:
        """Whether offsets fit the code's immediates."""
        return 3 * self.slot_bytes + UNROLLED_BYTES <= REACH and self.y_pixel_bytes <= REACH

    @property
    def steps_by_group(self) -> bool:
        """Whether outputs lie too far apart for a round's offsets, so that each group steps on."""
        return 8 * self.y_pixel_bytes > REACH


def row_fields(code: str, row: DepthwiseRow) -> Fields:
    """Return the members of a `depthwise_t` whose function in kernels.S is `code`.

    Args:
        code: the function's symbol.
        row: its shape.
    """
    return {
        "channels": row.channels,
        "columns": row.columns,
        "stride": row.stride,
        "slot_bytes": row.slot_bytes,
        "y_pixel_bytes": row.y_pixel_bytes,
        "high": row.high,
        "code": f"HIL_CORTEX_M4_CODE({code})",
    }


def depthwise_weights(conv: Conv2D) -> Int32:
    """Return each channel's rows 0, 1, 2, 0, 1 as the words (w0, w1) and (w1, w2)."""
    weight = conv.weight[..., 0].astype(np.int64) << conv.shift
    rows = np.stack([pack(weight[..., 0], weight[..., 1]), pack(weight[..., 1], weight[..., 2])])
    turned = rows.transpose(1, 2, 0)[:, (0, 1, 2, 0, 1)]
    return wrap_int32(turned.reshape(-1))


def narrow_depthwise(conv: Conv2D) -> Int32:
    """Return each channel's three rows as bytes w0, w1, w1, w2, unshifted, its bias, multiplier."""
    w = conv.weight[..., 0].astype(np.int64)
    pairs = np.stack([pack(w[..., 0], w[..., 1]), pack(w[..., 1], w[..., 2])], axis=-1)
    rows = narrow_words(pairs.reshape(-1)).reshape(len(w), 3)
    ends = np.stack([conv.shifted_bias, conv.multiplier], axis=1)
    return wrap_int32(np.concatenate([rows, ends], axis=1).reshape(-1))


def depthwise_biases(conv: Conv2D) -> Int32:
    """Return for each channel its bias and multiplier; inputs have their zero point taken off."""
    both = np.stack([conv.shifted_bias, conv.multiplier], axis=1)
    return wrap_int32(both.reshape(-1))


def depthwise(name: str, row: DepthwiseRow) -> Assembly:
    """Write the row.

    C: void name(const int16_t *ring, const int32_t *weights, const int32_t *bias_multiplier,
    int16_t *y), or int8_t *y

    Args:
        name: the function's symbol.
        row: its shape, which becomes immediates.
    """
    out = Assembly()
    out.function(name, f"{row.channels} channels, {row.columns} columns, stride {row.stride}")
    out.put("push {r4-r11, lr}", "vmov s3, r2", "vmov s4, r3", "vmov s5, r0", "vmov s6, r1")
    out.put(f"mov r12, #{row.channels}", "vmov s7, r12")
    out.label(f".L{name}_channel")
    out.put("vmov r12, s6", "vmov r11, s3", "ldm r12!, {r3-r8}", "adds r12, r12, #16")
    out.put("ldm r11!, {r9, r10}", "vmov s6, r12", "vmov s3, r11", "vmov s0, r9", "vmov s1, r10")
    out.put("vmov r0, s5", "vmov r2, s4")
    out.put(*(f"ldr {r}, [r0, #{row.slot_bytes * i}]" for i, r in enumerate(("r9", "r10", "r11"))))
    _columns(out, name, row)
    out.put("vmov r0, s5", "vmov r2, s4", "vmov r12, s7", f"add r0, r0, #{3 * row.slot_bytes}")
    out.put(
        f"adds r2, r2, #{row.y_bytes}",
        "vmov s5, r0",
        "subs r12, r12, #1",
        "vmov s4, r2",
        "vmov s7, r12",
    )
    out.put(f"bne .L{name}_channel", "pop {r4-r11, pc}")
    return out


def _columns(out: Assembly, name: str, row: DepthwiseRow) -> None:
    """All outputs of one channel: rounds of four groups, then the groups left over."""
    groups = (row.columns + 1) // 2 if row.stride == 1 else row.columns
    per_group = 2 if row.stride == 1 else 1
    rounds, rest = divmod(groups, _UNROLLED)
    # Behind a row of int8 outputs the next one begins, so that no column more may be written.
    odd = row.y_bytes == 1 and row.stride == 1 and row.columns % 2 == 1
    if odd and rest == 0:
        rounds, rest = rounds - 1, _UNROLLED
    if rounds > 1:
        out.put(f"mov r12, #{rounds}", "vmov s2, r12")
        out.label(f".L{name}_round")
    pixels, free = ["r9", "r10", "r11"], "r12"
    for group in range(_UNROLLED if rounds else 0):
        free = _group(out, row, pixels, free, group)
    if rounds:
        out.put(f"add r0, r0, #{4 * _UNROLLED}")
        if not row.steps_by_group:
            out.put(f"add r2, r2, #{_UNROLLED * per_group * row.y_pixel_bytes}")
    if rounds > 1:
        out.put("vmov r12, s2", "subs r12, r12, #1", "vmov s2, r12", f"bne .L{name}_round")
    for group in range(rest):
        free = _group(out, row, pixels, free, group, single=odd and group == rest - 1)


def _group(
    out: Assembly,
    row: DepthwiseRow,
    pixels: list[str],
    free: str,
    group: int,
    *,
    single: bool = False,
) -> str:
    """Two outputs of stride 1 or one of stride 2; the pixels' registers move on by a word.

    Args:
        out: the code.
        row: the convolution.
        pixels: registers of the words last read.
        free: the register for the next.
        group: of the round.
        single: the second output lies beyond the row.

    Returns:
        The register that is free afterwards.
    """
    two = row.stride == 1 and not single
    for i, (w01, w12) in enumerate(_WEIGHTS):
        old = pixels[i]
        out.put(f"ldr {free}, [r0, #{4 * (group + 1) + row.slot_bytes * i}]")
        if i == 0:
            out.put("vmov lr, s0")
            if two:
                out.put(f"smlatb r1, {old}, {w01}, lr", f"smlad r1, {free}, {w12}, r1")
        elif two:
            out.put(f"smlatb r1, {old}, {w01}, r1", f"smlad r1, {free}, {w12}, r1")
        out.put(f"smlad lr, {old}, {w01}, lr", f"smlabt lr, {free}, {w12}, lr")
        pixels[i], free = free, old
    sums = ("lr", "r1") if two else ("lr",)
    out.put(f"vmov {free}, s1", *(f"smmulr {s}, {s}, {free}" for s in sums))
    out.put(*(f"usat {s}, #8, {s}" for s in sums))
    if row.high < _MOST_HIGH:
        for s in sums:
            out.put(f"cmp {s}, #{row.high}", "it gt", f"movgt {s}, #{row.high}")
    if row.y_zero:
        sign = "add" if row.y_zero > 0 else "sub"
        out.put(*(f"{sign} {s}, {s}, #{abs(row.y_zero)}" for s in sums))
    before = 0 if row.steps_by_group else group * (2 if row.stride == 1 else 1)
    store = "strh" if row.y_bytes == 2 else "strb"
    out.put(
        *(f"{store} {s}, [r2, #{(before + i) * row.y_pixel_bytes}]" for i, s in enumerate(sums))
    )
    if row.steps_by_group:
        step = len(sums) * row.y_pixel_bytes
        parts = [step] if step <= REACH else [row.y_pixel_bytes] * len(sums)
        out.put(*(f"add r2, r2, #{part}" for part in parts))
    return free


DEPTHWISE = Part(
    "depthwise",
    code_bytes=464,
    cycles={
        "depthwise.output": Cost(16.4, "an output"),
    },
)
