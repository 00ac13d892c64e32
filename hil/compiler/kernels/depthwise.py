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

_UNROLLED = {1: 4, 2: 5}  # by stride: so many groups, after which the registers come round
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
    out.put("push {r4-r11, lr}", "vmov s3, r2", "vmov s6, r1", "mov r2, r3")
    out.put(f"mov r12, #{row.channels}", "vmov s7, r12")
    out.label(f".L{name}_channel")
    out.put("vmov r12, s6", "vmov r11, s3", "vmov s4, r2", "ldm r12!, {r3-r8}")
    out.put("vldmia r11!, {s0-s1}", "adds r12, r12, #16", "vmov s3, r11", "vmov s6, r12")
    moved = _columns(out, name, row)
    out.put(f"addw r0, r0, #{3 * row.slot_bytes - moved}", "vmov r2, s4", "vmov r12, s7")
    out.put(f"adds r2, r2, #{row.y_bytes}", "subs r12, r12, #1", "vmov s7, r12")
    out.put(f"bne .L{name}_channel", "pop {r4-r11, pc}")
    return out


def _columns(out: Assembly, name: str, row: DepthwiseRow) -> int:
    """All outputs of one channel: rounds of several groups, then the groups left over.

    Returns:
        Bytes by which the pixels' pointer has moved on.
    """
    groups = (row.columns + 1) // 2 if row.stride == 1 else row.columns
    per_group = 2 if row.stride == 1 else 1
    unrolled = _UNROLLED[row.stride]
    rounds, rest = divmod(groups, unrolled)
    # The next row of int8 outputs follows at once, so no column more may be written.
    odd = row.y_bytes == 1 and row.stride == 1 and row.columns % 2 == 1
    if odd and rest == 0:
        rounds, rest = rounds - 1, unrolled
    if rounds > 1:
        out.put(f"addw lr, r0, #{4 * (unrolled * rounds + 1)}", "vmov s2, lr")
    words = _Words(["r9", "r10", "r11"], ["r12"] if row.stride == 1 else ["r12", "r1"])
    out.put(*(f"ldr {r}, [r0, #{row.slot_bytes * i}]" for i, r in enumerate(words.last)))
    out.put(f"ldr {words.free[0]}, [r0, #4]!")
    if rounds > 1:
        out.label(f".L{name}_round")
    for group in range(unrolled if rounds else 0):
        words = _group(out, row, words, group, moves=group == unrolled - 1)
    if rounds and not row.steps_by_group:
        out.put(f"add r2, r2, #{unrolled * per_group * row.y_pixel_bytes}")
    if rounds > 1:
        out.put("vmov lr, s2", "cmp r0, lr", f"bne .L{name}_round")
    for group in range(rest):
        words = _group(out, row, words, group, single=odd and group == rest - 1)
    return 4 * (unrolled * rounds + 1)


@dataclass(frozen=True)
class _Words:
    """Registers between two groups.

    Attributes:
        last: of the words last read, of each of the three rows.
        free: the first holds the next word of the first row; another, where there is one, nothing.
    """

    last: list[str]
    free: list[str]


def _group(
    out: Assembly,
    row: DepthwiseRow,
    words: _Words,
    group: int,
    *,
    single: bool = False,
    moves: bool = False,
) -> _Words:
    """Two outputs of stride 1 or one of stride 2; the registers move on by a word.

    The next group's first word is read in front of the stores, which hide the load's second cycle.

    Args:
        out: the code.
        row: the convolution.
        words: the pixels' registers.
        group: of the round.
        single: the second output lies beyond the row.
        moves: the pixels' pointer, to the next round.

    Returns:
        The registers for the next group.
    """
    two = row.stride == 1 and not single
    last, free = list(words.last), list(words.free)
    new: list[str] = []
    for i, (w01, w12) in enumerate(_WEIGHTS):
        old = last[i]
        if not new:  # as many words at once as there are registers
            ahead = 1 if i == 0 else min(len(free), len(_WEIGHTS) - i)
            new, free = free[:ahead], free[ahead:]
            if i > 0:
                at = (4 * group + row.slot_bytes * (i + n) for n in range(ahead))
                out.put(*(f"ldr {r}, [r0, #{a}]" for r, a in zip(new, at, strict=True)))
            else:
                out.put("vmov lr, s0")
        word = new.pop(0)
        if two:
            before = "lr" if i == 0 else "r1"
            out.put(f"smlatb r1, {old}, {w01}, {before}", f"smlad r1, {word}, {w12}, r1")
        out.put(f"smlad lr, {old}, {w01}, lr", f"smlabt lr, {word}, {w12}, lr")
        last[i] = word
        free.append(old)
    load = f"ldr {free[0]}, [r0, #{4 * (group + 1)}]{'!' * moves}"
    _finish(out, row, load, free[0], group, two=two)
    return _Words(last, free)


def _finish(
    out: Assembly, row: DepthwiseRow, ahead: str, free: str, group: int, *, two: bool
) -> None:
    """Requantise and store a group's outputs; `ahead` reads the next group's first word."""
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
    out.put(ahead)
    out.put(
        *(f"{store} {s}, [r2, #{(before + i) * row.y_pixel_bytes}]" for i, s in enumerate(sums))
    )
    if row.steps_by_group:
        step = len(sums) * row.y_pixel_bytes
        parts = [step] if step <= REACH else [row.y_pixel_bytes] * len(sums)
        out.put(*(f"add r2, r2, #{part}" for part in parts))


DEPTHWISE = Part(
    "depthwise",
    code_bytes=464,
    cycles={
        "depthwise.output": Cost(14.4, "an output"),
    },
)
