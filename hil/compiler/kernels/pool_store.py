"""Cortex-M4 code that writes a sweep's states out as a part of RNNPool's map.

A pixel's states stand in r4-r11, two a register; their offsets wait in the FPU. Four outputs of one
word take two packs, a shift and a mask each, and one addition. The states may come in any order.
The C that this code equals is `store` in firmware/kernels/rnnpool.c.
"""

from collections.abc import Sequence

from hil.compiler.code.assembly import Assembly, immediate, registers

_MOST_UNITS = 16
_OFFSETS = 8  # s8 .. s15
_EVEN = 0x00FF00FF


def suits_store(units: int) -> bool:
    """Whether the states fit the registers, and the outputs whole words."""
    return units % 4 == 0 and units <= _MOST_UNITS


def store(name: str, order: Sequence[int], shift: int) -> Assembly:
    """Write the function.

    C: void name(const int16_t *h, const int16_t *offset, int32_t columns, int8_t *y)

    Args:
        name: of the function.
        order: the channel that each state goes to.
        shift: 1 to 8, to the right.
    """
    units = len(order)
    pairs = units // 2
    out = Assembly()
    out.function(name, f"y = clamp((h + offset) >> {shift}, -128, 127) of {units} channels")
    out.put("push {r4-r11, lr}", f"vldmia r1, {{s{_OFFSETS}-s{_OFFSETS + pairs - 1}}}")
    immediate(out, "r12", 2 * units)
    out.put("mul r2, r2, r12", "add r2, r2, r0", "vmov s0, r2")
    immediate(out, "r12", _EVEN)
    out.put("mvn lr, r12")
    out.label(f".L{name}_column")
    out.put(f"ldm r0!, {registers(4, pairs)}")
    for pair in range(pairs):
        out.put(f"vmov r1, s{_OFFSETS + pair}", f"qadd16 r{4 + pair}, r{4 + pair}, r1")
        if shift < 8:
            out.put(f"ssat16 r{4 + pair}, #{8 + shift}, r{4 + pair}")
    where = {channel: state for state, channel in enumerate(order)}
    for channel in range(0, units, 4):
        _pack(out, "r1", where[channel], where[channel + 2])
        _pack(out, "r2", where[channel + 1], where[channel + 3])
        out.put(f"and r1, r12, r1, lsr #{shift}")
        out.put(f"and r2, lr, r2, lsl #{8 - shift}" if shift < 8 else "and r2, r2, lr")
        out.put("orr r1, r1, r2", f"str r1, [r3, #{channel}]")
    out.put("vmov r1, s0", f"add r3, r3, #{4 * units}", "cmp r0, r1", f"bne .L{name}_column")
    out.put("pop {r4-r11, pc}")
    return out


def _pack(out: Assembly, register: str, low: int, high: int) -> None:
    """Put two states in the halves of a register."""
    first, second = (f"r{4 + state // 2}" for state in (low, high))
    match low % 2, high % 2:
        case 0, 0:
            out.put(f"pkhbt {register}, {first}, {second}, lsl #16")
        case 0, 1:
            out.put(f"pkhbt {register}, {first}, {second}")
        case 1, 1:
            out.put(f"pkhtb {register}, {second}, {first}, asr #16")
        case _:
            out.put(
                f"lsr {register}, {first}, #16", f"pkhbt {register}, {register}, {second}, lsl #16"
            )
