"""Cortex-M4 code for a step of a GRU: two sequences by the three gates of a unit at a time.

Six sums in r4-r9, and for every two states five loads and six SMLAD, 12 cycles for 12
multiply-accumulates, as in a matrix product; then both sequences' gates and next states, whose
loads stand together. The C that this code equals is in firmware/kernels/gru.c.
"""

from hil.compiler.code.assembly import Assembly
from hil.compiler.kernels.cycles import Cost, Part
from hil.compiler.kernels.sweep import product_of, state_units
from hil.compiler.operators.gru_sweep import GRUSweep

_MOST_UNROLLED = 10  # of 40 bytes each, so that a unit's code fits the instruction cache
_REACH = 4095  # bytes, of a load's immediate offset
_WEIGHTS = ("r2", "r3", "r12")
_FIRST, _SECOND = ("r4", "r5", "r6"), ("r7", "r8", "r9")  # r, z and m of each sequence


def suits(sweep: GRUSweep) -> bool:
    """Whether a cell's units fill words and its sequences lie within an offset."""
    return sweep.forward.units % 2 == 0 and product_of(sweep).y_pixel_bytes + 4 <= _REACH


def step(name: str, sweep: GRUSweep) -> Assembly:
    """Write `gru_t.code`.

    C: void name(const int16_t *products, const int32_t *recurrent, const int16_t *middle,
                 const int16_t *h, int16_t *next, int32_t pairs)

    Args:
        name: the function's symbol.
        sweep: whose cells it steps.
    """
    out = Assembly()
    out.function(name, f"one step of pairs of sequences, {sweep.forward.units} units")
    state, products = 2 * state_units(sweep), product_of(sweep).y_pixel_bytes
    # s0 products, s1 next states, s2 table, s3 U, s4 the unit's old state, s5 pairs left
    out.put("push {r4-r11, lr}", "ldr r4, [sp, #36]", "ldr r5, [sp, #40]", "vmov s0, r0")
    out.put("vmov s1, r4", "vmov s2, r2", "vmov s3, r1", "vmov s5, r5", "mov r0, r3")
    out.label(f".L{name}_pair")
    out.put("vmov r1, s3", "vmov s4, r0")
    out.label(f".L{name}_unit")
    _sums(out, name, state)
    _next(out, sweep, state, products)
    out.put(f"add r12, r0, #{state}", "vmov r10, s4", "cmp r10, r12", f"bne .L{name}_unit")
    # On to the next pair: the pointers stand at the second sequence of this one.
    out.put("vmov r2, s0", f"add r2, r2, #{products}", "vmov s0, r2")
    out.put("vmov r3, s1", f"add r3, r3, #{state}", "vmov s1, r3", f"add r0, r0, #{2 * state}")
    out.put("vmov r4, s5", "subs r4, r4, #1", "vmov s5, r4", f"bne .L{name}_pair")
    out.put("pop {r4-r11, pc}")
    return out


def _sums(out: Assembly, name: str, state: int) -> None:
    """U h of a unit's gates, with bias_n; moves r1 on to the next unit."""
    steps = state // 4
    unroll = max(n for n in range(1, _MOST_UNROLLED + 1) if steps % n == 0)
    rounds = steps // unroll
    out.put("ldr r6, [r1], #4")
    if rounds > 1:
        out.put(f"mov lr, #{rounds}", "mov r9, r6")
        out.put(*(f"mov {s}, #0" for s in ("r4", "r5", "r7", "r8")))
        out.label(f".L{name}_round")
    for k in range(unroll):
        out.put(f"ldr r10, [r0, #{4 * k}]", f"ldr r11, [r0, #{4 * k + state}]")
        out.put(*(f"ldr {w}, [r1, #{12 * k + 4 * g}]" for g, w in enumerate(_WEIGHTS)))
        first = rounds == 1 and k == 0
        for g, w in reversed(list(enumerate(_WEIGHTS))):
            for pair, sums in (("r11", _SECOND), ("r10", _FIRST)):
                if first and g < 2:
                    out.put(f"smuad {sums[g]}, {pair}, {w}")
                else:
                    out.put(f"smlad {sums[g]}, {pair}, {w}, {'r6' if first else sums[g]}")
    out.put(f"add r1, r1, #{12 * unroll}")
    if rounds > 1:
        out.put(f"add r0, r0, #{4 * unroll}", "subs lr, lr, #1", f"bne .L{name}_round")
        out.put(f"sub r0, r0, #{4 * steps}")


def _next(out: Assembly, sweep: GRUSweep, state: int, products: int) -> None:
    """Gates, candidate and next state of both sequences."""
    shift = f", lsl #{sweep.product_shift}" if sweep.product_shift else ""
    index = f", asr #{sweep.index_shift}" if sweep.index_shift else ""
    gates = ("r4", "r7", "r5", "r8")
    out.put("vmov lr, s0", "ldrsh r2, [lr]", f"ldrsh r3, [lr, #{products}]")
    out.put("ldrsh r10, [lr, #2]", f"ldrsh r11, [lr, #{products + 2}]", "vmov r12, s2")
    for gate, of_x in zip(gates, ("r2", "r3", "r10", "r11"), strict=True):
        out.put(f"add {gate}, {gate}, {of_x}{shift}")
    out.put(*(f"ssat {gate}, #{sweep.index_bits}, {gate}{index}" for gate in gates))
    out.put("ldrsh r2, [lr, #4]", f"ldrsh r3, [lr, #{products + 4}]")
    out.put(*(f"ldrsh {gate}, [r12, {gate}, lsl #1]" for gate in gates))
    out.put("add lr, lr, #6", "vmov s0, lr")
    if shift:
        out.put(*(f"lsl {r}, {r}, #{sweep.product_shift}" for r in ("r2", "r3")))
    out.put("smlawb r6, r6, r4, r2", "smlawb r9, r9, r7, r3", "vmov lr, s4")
    out.put(*(f"ssat {m}, #{sweep.index_bits}, {m}{index}" for m in ("r6", "r9")))
    out.put("ldrsh r6, [r12, r6, lsl #1]", "ldrsh r9, [r12, r9, lsl #1]")
    out.put(f"ldrsh r11, [lr, #{state}]", "ldrsh r10, [lr], #2", "vmov s4, lr")
    out.put("mov r2, #32768", "mov r3, #16384", "vmov lr, s1")
    for n, h, z in (("r6", "r10", "r5"), ("r9", "r11", "r8")):
        out.put(f"rsb {n}, r2, {n}, lsl #1", f"sub {h}, {h}, {n}", f"mla {h}, {h}, {z}, r3")
        out.put(f"add {n}, {n}, {h}, asr #15")
    out.put(f"strh r9, [lr, #{state}]", "strh r6, [lr], #2", "vmov s1, lr")


GRU = Part(
    "gru",
    code_bytes=500,
    cycles={
        "gru.update": Cost(63.4, "an update of a unit"),
        "gru.state": Cost(2.49, "a state in an update of a unit: three multiply-accumulates"),
    },
)
