"""Cortex-M4 code for a FastGRNN cell of dense weights: three sequences by two units at a time.

For every two weights of each unit there are five loads and six SMLAD. The states of the three
sequences and U stand on the stack, in the same memory, so that all the loads of a step pair. U's
units come from the last to the first, so that U ends where the stack pointer is. The C that this
code equals is in firmware/kernels/fastgrnn.c.
"""

import numpy as np

from hil.compiler.code.assembly import Assembly
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.program import Int16
from hil.limits import limit

SEQUENCES = 3
_SUMS = ("r4", "r5", "r6", "r7", "r8", "r9")
_MOST_UNITS = limit("FASTGRNN_MOST_WIDENED_INPUTS")


def suits(cell: Cell) -> bool:
    """Whether a cell's recurrence fits the code's offsets and registers."""
    return cell.units % 4 == 0 and cell.units & (cell.units - 1) == 0 and cell.units <= _MOST_UNITS


def suits_states(cell: Cell) -> bool:
    """Whether the products of states with a cell's W fit."""
    inputs = int(cell.w.shape[1])
    return inputs % 2 == 0 and inputs <= _MOST_UNITS and cell.units % 2 == 0


def go_on(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.go_on`: further steps from the states in memory.

    Args:
        name: the function's symbol.
        cell: its weights become a table of the code.
    """
    out = Assembly()
    out.function(name, "h = the states after some more steps")
    backwards = cell.u.reshape(-1, 2, cell.units)[::-1]
    weights = _blocked(backwards.reshape(cell.u.shape))
    state = 2 * cell.units
    now, then = 4 * len(weights), 4 * len(weights) + SEQUENCES * state
    out.put("push {r4-r11, lr}", f"sub sp, sp, #{-(-(then + SEQUENCES * state) // 8) * 8}")
    out.put("ldm r2, {r4-r7}", "lsl r4, r4, #2", "lsl r5, r5, #2", "vmov s0, r0", "vmov s1, r3")
    out.put("vmov s4, r4", "vmov s5, r5", "vmov s6, r6", "vmov s7, r7", "vmov s11, r1")
    _copy(out, name, len(weights))
    out.label(f".L{name}_group")
    # Fewer than three left: one at a time, as three copies of itself.
    out.put("vmov r2, s6", "vmov r4, s4", f"mov r5, #{state}", f"cmp r2, #{SEQUENCES}")
    out.put("itte lt", "movlt r4, #0", "movlt r5, #0", f"subge r2, r2, #{SEQUENCES}")
    out.put("it lt", "sublt r2, r2, #1", "vmov s6, r2", "vmov s10, r4", "vmov s15, r5")
    out.put("vmov r0, s1", f"add r1, sp, #{now}")
    for _ in range(SEQUENCES):
        _copy_state(out, state, "r0", "r1!")
        out.put("add r0, r0, r5")
    out.put("vmov r2, s7", "vmov s8, r2", "vmov r2, s0")
    out.put("vmov r3, s11", "sub r2, r2, r3", "vmov s2, r2")
    out.put(f"add r0, sp, #{now}", f"mov r2, #{then - now}", "vmov s13, r2")
    out.label(f".L{name}_step")
    out.put("vmov s12, r0", f"add r1, sp, #{now}", "vmov lr, s11")
    out.label(f".L{name}_pair")
    _pair(out, cell)
    out.put("cmp r1, sp", f"bne .L{name}_pair")
    # The two sets of states change places.
    out.put(f"sub r0, r2, #{state}", "vmov r3, s13", "rsb r3, r3, #0", "vmov s13, r3")
    out.put("vmov r2, s2", "vmov r3, s5", "add r2, r2, r3", "vmov s2, r2")
    out.put("vmov r2, s8", "subs r2, r2, #1", "vmov s8, r2", f"bne .L{name}_step")
    out.put("mov r1, r0", "vmov r0, s1", "vmov r5, s15")
    for _ in range(SEQUENCES):
        _copy_state(out, state, "r1!", "r0")
        out.put("add r0, r0, r5")
    # On to the next group: three sequences, or one.
    out.put("cmp r5, #0", "vmov r2, s0", "vmov r4, s4", "vmov r0, s1", "ite eq")
    out.put("moveq r3, #1", f"movne r3, #{SEQUENCES}", "mla r2, r3, r4, r2")
    out.put(f"mov r4, #{state}", "mla r0, r3, r4, r0", "vmov s0, r2", "vmov s1, r0")
    out.put("vmov r2, s6", "cmp r2, #0", f"bne .L{name}_group")
    out.put(f"add sp, sp, #{-(-(then + SEQUENCES * state) // 8) * 8}", "pop {r4-r11, pc}")
    out.words(f".L{name}_weights", weights)
    return out


def state_products(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.state_products` for three vectors or more.

    Args:
        name: the function's symbol.
        cell: its weights become a table of the code.
    """
    out = Assembly()
    out.function(name, "products = bias + (W x << w_shift)")
    weights = _blocked(cell.w, [int(b) for b in cell.bias])
    inputs, units = int(cell.w.shape[1]), cell.units
    size = -(-4 * len(weights) // 8) * 8
    out.put("push {r4-r11, lr}", f"sub sp, sp, #{size}", "vmov s0, r1", "vmov s1, r2")
    out.put("vmov s2, r0")
    _copy(out, name, len(weights))
    out.put("vmov r0, s2", "vmov lr, s1")
    out.label(f".L{name}_group")
    out.put("mov r1, sp", f"mov r2, #{units // 2}", "vmov s3, r2")
    out.label(f".L{name}_pair")
    out.put("ldrd r4, r5, [r1], #8")
    if cell.w_shift:
        out.put("vmov s4, r4", "vmov s5, r5", *(f"mov {s}, #0" for s in _SUMS))
    else:
        out.put("mov r6, r4", "mov r7, r5", "mov r8, r4", "mov r9, r5")
    _products(out, inputs)
    if cell.w_shift:
        out.put("vmov r2, s4", "vmov r3, s5")
        for i, s in enumerate(_SUMS):
            out.put(f"add {s}, {('r2', 'r3')[i % 2]}, {s}, lsl #{cell.w_shift}")
    for i, s in reversed(list(enumerate(_SUMS))[1:]):
        out.put(f"str {s}, [lr, #{4 * units * (i // 2) + 4 * (i % 2)}]")
    out.put("str r4, [lr], #8", "vmov r2, s3", "subs r2, r2, #1", "vmov s3, r2")
    out.put(f"bne .L{name}_pair")
    # The last group may begin among vectors already done: they come out the same again.
    out.put("vmov r2, s0", f"subs r2, r2, #{SEQUENCES}", "vmov s0, r2", f"beq .L{name}_end")
    out.put(f"add r0, r0, #{SEQUENCES * 2 * inputs}")
    out.put(f"add lr, lr, #{(SEQUENCES - 1) * 4 * units}", f"cmp r2, #{SEQUENCES}")
    out.put(f"bge .L{name}_group", f"rsb r3, r2, #{SEQUENCES}", f"mov r4, #{2 * inputs}")
    out.put("mls r0, r3, r4, r0", f"mov r4, #{4 * units}", "mls lr, r3, r4, lr")
    out.put(f"mov r2, #{SEQUENCES}", "vmov s0, r2", f"b .L{name}_group")
    out.label(f".L{name}_end")
    out.put(f"add sp, sp, #{size}", "pop {r4-r11, pc}")
    out.words(f".L{name}_weights", weights)
    return out


def _pair(out: Assembly, cell: Cell) -> None:
    """Two units of three sequences.

    r0: the states; r1: where the pair's U ends, moves down to its start; lr: the pair's column of
    the table, moves on; s2: from there to the first sequence's products; s10: from sequence to
    sequence; s12: the pair's state, moves on; s13: from there to the next state. Leaves in r2 the
    next state's word after the pair's.
    """
    state = 2 * cell.units
    out.put("vmov r10, s2", "add r10, r10, lr", "vmov r11, s10")
    low, high = _SUMS[0::2], _SUMS[1::2]
    others = ("r11", "r11, lsl #1")
    out.put(f"ldr {high[0]}, [r10, #4]")
    out.put(*(f"ldr {s}, [r10, {o}]" for s, o in zip(low[1:], others, strict=True)))
    out.put(f"ldr {low[0]}, [r10], #4")
    out.put(*(f"ldr {s}, [r10, {o}]" for s, o in zip(high[1:], others, strict=True)))
    _products(out, cell.units, backwards=True)
    shift = f", asr #{cell.index_shift}" if cell.index_shift else ""
    row_shift = (4 * cell.units).bit_length() - 1
    out.put("vmov r3, s12", *(f"usat {s}, #{cell.index_bits}, {s}{shift}" for s in _SUMS))
    out.put(*(f"add {s}, lr, {s}, lsl #{row_shift}" for s in _SUMS))
    out.put(*(f"ldr {s}, [{s}, #{4 * (i % 2)}]" for i, s in enumerate(_SUMS)))
    out.put(f"ldr r11, [r3, #{state}]", f"ldr r12, [r3, #{2 * state}]", "ldr r10, [r3], #4")
    out.put("add lr, lr, #8", "vmov r2, s13", "add r2, r2, r3", "vmov s12, r3")
    for one, other, before in zip(low, high, ("r10", "r11", "r12"), strict=True):
        out.put(f"smlabb {one}, {one}, {before}, {one}")
        out.put(f"smlabt {other}, {other}, {before}, {other}", f"lsl {other}, {other}, #1")
        out.put(f"pkhtb {one}, {other}, {one}, asr #15")
    out.put(*(f"str {s}, [r2, #{n * state - 4}]" for n, s in enumerate(low)))


def _products(out: Assembly, inputs: int, *, backwards: bool = False) -> None:
    """Add the products of two units with three vectors at r0; moves r1 on, or back beforehand."""
    for i in range(inputs // 2):
        out.put(*(f"ldr r{10 + n}, [r0, #{4 * i + 2 * inputs * n}]" for n in range(SEQUENCES)))
        first = f"[r1, #-{4 * inputs}]!" if backwards and i == 0 else f"[r1, #{8 * i}]"
        out.put(f"ldr r2, {first}", f"ldr r3, [r1, #{8 * i + 4}]")
        for n in range(SEQUENCES):
            for c, weight in enumerate(("r2", "r3")):
                s = _SUMS[2 * n + c]
                out.put(f"smlad {s}, r{10 + n}, {weight}, {s}")
    if not backwards:
        out.put(f"add r1, r1, #{4 * inputs}")


def _copy(out: Assembly, name: str, words: int) -> None:
    """Copy the weights from flash to the stack; changes r4-r6 and r12."""
    out.put(f"adr.w r4, .L{name}_weights", "mov r5, sp", f"add r6, sp, #{4 * words}")
    out.label(f".L{name}_copy")
    out.put("ldr r12, [r4], #4", "str r12, [r5], #4", "cmp r5, r6", f"bne .L{name}_copy")


def _copy_state(out: Assembly, state: int, source: str, sink: str) -> None:
    """Copy one state; a pointer with ! moves on. Changes r4 and r6-r12."""
    for first in range(0, state, 32):
        held = ["r4", *(f"r{n}" for n in range(6, 13))][: (state - first) // 4]
        listed = f"{{{', '.join(held)}}}"
        if first:
            # Beyond what one LDM takes, the pointer that stays put has to be moved and put back.
            out.put(*(f"add {p}, {p}, #{first}" for p in (source, sink) if p[-1] != "!"))
        out.put(f"ldm {source}, {listed}", f"stm {sink}, {listed}")
        if first:
            out.put(*(f"sub {p}, {p}, #{first}" for p in (source, sink) if p[-1] != "!"))


def _blocked(weights: Int16, bias: list[int] | None = None) -> list[int]:
    """For every two units: their biases if any, then words of the one and the other by turns."""
    low, high = weights[:, 0::2].astype(np.int64), weights[:, 1::2].astype(np.int64)
    words = (low & 0xFFFF) | (high & 0xFFFF) << 16
    stream: list[int] = []
    for unit in range(0, len(weights), 2):
        stream += bias[unit : unit + 2] if bias else []
        stream += words[unit : unit + 2].T.reshape(-1).tolist()
    return stream
