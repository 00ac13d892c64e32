"""Straight-line Cortex-M4 code for a sparse FastGRNN cell: the weights' pattern made program.

One sequence's state stands in r4-r11, two units a register. The code makes one unit after another.
It loads the product with the input. It adds the non-zero recurrent weights: by SMLAD where both
units of a register count, by SMLAxy where one does. It looks the sum up in the cell's table (USAT,
LDR). It forms the next state (SMLAB, and one PKHTB for two units). A state that later units still
read waits in the FPU's registers, which also hold weights: VMOV takes one cycle and never waits.

The loads of a unit stand together with the table look-up of the unit before: n loads in a row take
n + 1 cycles. The C that this code equals is in firmware/kernels/fastgrnn.c.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np

from hil.compiler.code.assembly import Assembly, registers
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.program import Int16

Writer: TypeAlias = Callable[[], Assembly]

_TEMPORARIES = ("r2", "r3", "r12", "lr")
_NEXT_STATES = 16  # s16 .. s23
_FPU_WEIGHTS = tuple(f"s{n}" for n in (2, 3, *range(9, 16), *range(24, 32)))
_MOST_UNITS = 16
_MOST_WORDS = 64  # of weights: about a kibibyte of code, what the instruction cache holds


@dataclass(frozen=True)
class _Word:
    """A word of weights and the multiplications that take it: (instruction, state register)."""

    value: int
    uses: tuple[tuple[str, str], ...]


@dataclass
class _Placement:
    """Where each word of weights waits: an FPU register or an offset from the stack pointer."""

    where: dict[tuple[int, int], str] = field(default_factory=dict)  # by unit and number
    stacked: list[int] = field(default_factory=list)
    in_fpu: list[int] = field(default_factory=list)

    def load(self, register: str, unit: int, number: int) -> str:
        """The instruction that brings a word into a register."""
        where = self.where[unit, number]
        return (
            f"ldr {register}, [{where}]"
            if self.is_stacked(unit, number)
            else f"vmov {register}, {where}"
        )

    def is_stacked(self, unit: int, number: int) -> bool:
        """Whether the word is loaded from memory."""
        return self.where[unit, number].startswith("sp")


def suits_start(cell: Cell) -> bool:
    """Whether a cell's state fits the registers."""
    return cell.units in (4, 8, _MOST_UNITS)


def suits(cell: Cell) -> bool:
    """Whether a cell's recurrence makes small straight-line code."""
    words = sum(len(row) for row in _matrix(cell.u))
    return suits_start(cell) and words <= _MOST_WORDS


def suits_states(cell: Cell) -> bool:
    """Whether the products of states with a cell's W make small straight-line code."""
    inputs = int(cell.w.shape[1])
    words = sum(len(row) for row in _matrix(cell.w))
    return inputs % 2 == 0 and inputs <= _MOST_UNITS and words <= _MOST_WORDS


def start(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.start`: one step from a zero state, next state = table entry >> 15.

    Args:
        name: the function's symbol.
        cell: its non-zero weights become instructions.
    """
    out = Assembly()
    out.function(name, "h = the states after one step from zero")
    states = _states(cell.units)
    out.put("push {r4-r11, lr}", "ldr r4, [r2]", "ldr r5, [r2, #8]", "lsl r4, r4, #2")
    out.put("vmov s4, r4", "vmov s6, r5", "vmov s1, r3")
    out.label(f".L{name}_sequence")
    for first in range(0, cell.units, 4):
        quad = list(zip(_TEMPORARIES, range(first, first + 4), strict=True))
        out.put(*(f"ldr {r}, [r0, #{4 * unit}]" for r, unit in quad))
        out.put(*(_index(r, cell) for r, _ in quad))
        out.put(*(_address(r, cell) for r, _ in quad))
        out.put(*(f"ldr {r}, [{r}, #{4 * unit}]" for r, unit in quad))
        for low, high, unit in (("r2", "r3", first), ("r12", "lr", first + 2)):
            out.put(f"lsl {high}, {high}, #1", f"pkhtb {states[unit // 2]}, {high}, {low}, asr #15")
    out.put("vmov r2, s1", f"stm r2!, {registers(4, cell.units // 2)}", "vmov s1, r2")
    out.put("vmov r3, s4", "vmov r12, s6", "add r0, r0, r3")
    out.put("subs r12, r12, #1", "vmov s6, r12", f"bne .L{name}_sequence", "pop {r4-r11, pc}")
    return out


def go_on(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.go_on`: further steps from the states in memory.

    Args:
        name: the function's symbol.
        cell: its non-zero weights become instructions.
    """
    out = Assembly()
    out.function(name, "h = the states after some more steps")
    rows = _matrix(cell.u)
    order, direct = _order(cell.u)
    units = [unit for pair in order for unit in (2 * pair, 2 * pair + 1)]
    placement = _place(units, rows)
    held = registers(4, cell.units // 2)
    out.put("push {r4-r11, lr}", "vpush {s16-s31}", "ldm r2, {r4-r7}")
    out.put("lsl r4, r4, #2", "lsl r5, r5, #2", "vmov s0, r0", "vmov s1, r3")
    out.put("vmov s4, r4", "vmov s5, r5", "vmov s6, r6", "vmov s7, r7")
    _unpack(out, name, placement)
    out.label(f".L{name}_sequence")
    out.put("vmov r2, s1", f"ldm r2, {held}", "vmov r2, s7", "vmov s8, r2")
    out.label(f".L{name}_step")
    _step(out, cell, units, rows, placement, direct)
    out.put("vmov r2, s5", "vmov r12, s8", "add r0, r0, r2")
    out.put("subs r12, r12, #1", "vmov s8, r12", f"bne .L{name}_step")
    out.put("vmov r2, s1", f"stm r2!, {held}", "vmov s1, r2")
    out.put("vmov r0, s0", "vmov r3, s4", "vmov r12, s6", "add r0, r0, r3", "vmov s0, r0")
    out.put("subs r12, r12, #1", "vmov s6, r12", f"bne .L{name}_sequence")
    out.put(f"add sp, sp, #{_stack_bytes(placement)}", "vpop {s16-s31}", "pop {r4-r11, pc}")
    out.words(f".L{name}_weights", [*placement.stacked, *placement.in_fpu])
    return out


def state_products(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.state_products`: W times int16 states, shifted, plus the bias.

    Args:
        name: the function's symbol.
        cell: its non-zero weights become instructions.
    """
    out = Assembly()
    out.function(name, "products = bias + (W x << w_shift)")
    rows = _matrix(cell.w)
    placement = _Placement()
    for unit, row in enumerate(rows):
        for number, word in enumerate(row):
            placement.where[unit, number] = f"sp, #{4 * len(placement.stacked)}"
            placement.stacked.append(word.value)
    biases = {unit: len(placement.stacked) + unit for unit in range(cell.units)}
    placement.stacked += [int(b) for b in cell.bias]
    out.put("push {r4-r11, lr}", "vmov s0, r1", "vmov s1, r2")
    _unpack(out, name, placement)
    out.put("vmov r1, s1")
    out.label(f".L{name}_vector")
    out.put(f"ldm r0!, {registers(4, int(cell.w.shape[1]) // 2)}")
    for unit, row in enumerate(rows):
        bias = f"ldr lr, [sp, #{4 * biases[unit]}]"
        if cell.w_shift == 0 or not row:
            _sum(out, placement, unit, row, "lr", [bias])
            out.put(f"str lr, [r1, #{4 * unit}]")
        else:
            out.put("mov r2, #0")
            _sum(out, placement, unit, row, "r2", [bias], temporaries=("r3", "r12"))
            out.put(f"add r2, lr, r2, lsl #{cell.w_shift}", f"str r2, [r1, #{4 * unit}]")
    out.put("vmov r12, s0", f"add r1, r1, #{4 * cell.units}")
    out.put("subs r12, r12, #1", "vmov s0, r12", f"bne .L{name}_vector")
    out.put(f"add sp, sp, #{_stack_bytes(placement)}", "pop {r4-r11, pc}")
    out.words(f".L{name}_weights", placement.stacked)
    return out


def pixel_products(name: str, cell: Cell) -> Assembly:
    """Write `fastgrnn_t.pixel_products` for three or four channels, for three pixels or more.

    A word is read for each pixel. Of three channels it holds a neighbour's as well, whose weight is
    zero; it begins a byte early where it would end behind the last pixel.

    Args:
        name: of the function.
        cell: RNN1, its input's zero point folded into the bias.
    """
    out = Assembly()
    channels = int(cell.w.shape[1])
    out.function(name, f"products = bias + (W x << w_shift), {channels} int8 channels a pixel")
    cell = replace(cell, w=np.pad(cell.w, ((0, 0), (0, 4 - channels))))
    rows = [_pixel_row(weights) for weights in cell.w]
    placement = _Placement()
    offsets = []
    for unit, row in enumerate(rows):
        offsets.append(4 * len(placement.stacked))
        placement.stacked += [*row, int(cell.bias[unit])]
    out.put("push {r4-r11, lr}", "vmov s0, r1", "vmov s1, r2", "vmov s2, r0")
    _unpack(out, name, placement)
    out.put("vmov r0, s2", "vmov r2, s1", "vmov r1, s0", "subs r1, r1, #3", "vmov s0, r1")
    out.put(f"blt .L{name}_rest")
    for label, pixels in (("three", 3), ("one", 1)):
        if pixels == 1:
            out.label(f".L{name}_rest")
            out.put("vmov r1, s0", "adds r1, r1, #3", f"beq .L{name}_end", "vmov s0, r1")
        out.label(f".L{name}_{label}")
        _read_pixels(out, channels, pixels)
        _pixels(out, cell, rows, offsets, pixels)
        out.put("vmov r1, s0", f"add r2, r2, #{4 * cell.units * pixels}")
        out.put(f"subs r1, r1, #{pixels}", "vmov s0, r1")
        out.put(f"b{'ge' if pixels == 3 else 'ne'} .L{name}_{label}")
    out.label(f".L{name}_end")
    out.put(f"add sp, sp, #{_stack_bytes(placement)}", "pop {r4-r11, pc}")
    out.words(f".L{name}_weights", placement.stacked)
    return out


def _pixel_row(weights: Int16) -> list[int]:
    """Four weights as the words (w0, w2) and (w1, w3), those that are zero left out."""
    pairs = (_pack(int(weights[0]), int(weights[2])), _pack(int(weights[1]), int(weights[3])))
    return [p for p in pairs if p] if any(pairs) else []


def _read_pixels(out: Assembly, channels: int, pixels: int) -> None:
    """The pixels at r0 into r4, r6, r8; r0 moves on."""
    last = pixels - 1
    for p in reversed(range(pixels)):
        early = channels == 3 and p == last
        out.put(f"ldr r{4 + 2 * p}, [r0, #{channels * p - early}]")
    out.put(f"add r0, r0, #{channels * pixels}")
    if channels == 3:
        out.put(f"lsr r{4 + 2 * last}, r{4 + 2 * last}, #8")


def _pixels(
    out: Assembly, cell: Cell, rows: Sequence[list[int]], offsets: Sequence[int], pixels: int
) -> None:
    """Write all units' products with some pixels, in r4-r11 as (x0, x2) and (x1, x3) of each."""
    for p in range(pixels):
        out.put(f"sxtb16 r{5 + 2 * p}, r{4 + 2 * p}, ror #8", f"sxtb16 r{4 + 2 * p}, r{4 + 2 * p}")
    for unit, row in enumerate(rows):
        names = ("r3", "r12")[: len(row)]
        loads = (*names, "lr")
        out.put(*(f"ldr {r}, [sp, #{offsets[unit] + 4 * i}]" for i, r in enumerate(loads)))
        halves = _halves_of(cell.w[unit])
        for p in range(pixels):
            total = "lr"
            for i, (weight, half) in enumerate(zip(names, halves, strict=True)):
                x = f"r{4 + 2 * p + half}"
                out.put(f"smuad r1, {x}, {weight}" if i == 0 else f"smlad r1, {x}, {weight}, r1")
                total = "r1"
            if total == "r1":
                out.put(f"add r1, lr, r1{_lsl(cell.w_shift)}")
            out.put(f"str {total}, [r2, #{4 * (unit + cell.units * p)}]")


def _halves_of(weights: Int16) -> list[int]:
    """Which of a pixel's two registers the words of `_pixel_row` multiply."""
    return [half for half in (0, 1) if weights[half] or weights[half + 2]]


def _step(  # noqa: PLR0917
    out: Assembly,
    cell: Cell,
    units: Sequence[int],
    rows: Sequence[Sequence[_Word]],
    placement: _Placement,
    direct: frozenset[int],
) -> None:
    """One step of one sequence: every unit's sum, table entry and next state."""
    states = _states(cell.units)
    free = list(_TEMPORARIES)
    entry = half = ""  # registers of the entry looked up last, and of its pair's first next state
    before = -1
    for unit in units:
        acc = free.pop(0)
        loads = [f"ldr {acc}, [r0, #{4 * unit}]"]
        words = [(k, w) for k, w in enumerate(rows[unit])]
        stacked = [(k, w) for k, w in words if placement.is_stacked(unit, k)]
        first = stacked[: len(free)]
        loads += [placement.load(r, unit, k) for r, (k, _) in zip(free, first, strict=False)]
        if entry:
            loads.append(f"ldr {entry}, [{entry}, #{4 * before}]")
        out.put(*loads)
        in_first = list(zip(free, first, strict=False))
        released: list[str] = []
        if entry:
            half, released = _next_state(out, states, before, entry, half, direct)
        for register, (_, word) in in_first:
            _multiply(out, acc, register, word)
        free += released
        rest = [(k, w) for k, w in words if (k, w) not in first]
        _multiply_rest(out, placement, unit, rest, acc, free)
        out.put(_index(acc, cell), _address(acc, cell))
        entry, before = acc, unit
    waiting = [p for p in dict.fromkeys(u // 2 for u in units) if p not in direct]
    own = before // 2
    out.put(*(f"vmov {states[p]}, s{_NEXT_STATES + p}" for p in waiting if p != own))
    out.put(f"ldr {entry}, [{entry}, #{4 * before}]")
    _next_state(out, states, before, entry, half, direct)


def _next_state(  # noqa: PLR0917
    out: Assembly,
    states: Sequence[str],
    unit: int,
    entry: str,
    half: str,
    direct: frozenset[int],
) -> tuple[str, list[str]]:
    """From a unit's table entry to its next state.

    Returns:
        The register that holds the first half of a pair's next state, and the registers released.
    """
    pair = unit // 2
    if unit % 2 == 0:
        out.put(f"smlabb {entry}, {entry}, {states[pair]}, {entry}")
        return entry, []
    out.put(f"smlabt {entry}, {entry}, {states[pair]}, {entry}", f"lsl {entry}, {entry}, #1")
    if pair in direct:
        out.put(f"pkhtb {states[pair]}, {entry}, {half}, asr #15")
    else:
        out.put(f"pkhtb {half}, {entry}, {half}, asr #15", f"vmov s{_NEXT_STATES + pair}, {half}")
    return "", [entry, half]


def _multiply(out: Assembly, acc: str, register: str, word: _Word) -> None:
    out.put(*(f"{name} {acc}, {state}, {register}, {acc}" for name, state in word.uses))


def _multiply_rest(  # noqa: PLR0917
    out: Assembly,
    placement: _Placement,
    unit: int,
    rest: Sequence[tuple[int, _Word]],
    acc: str,
    free: Sequence[str],
) -> None:
    """The words that the first group of loads had no registers for."""
    stacked = [(k, w) for k, w in rest if placement.is_stacked(unit, k)]
    others = [(k, w) for k, w in rest if not placement.is_stacked(unit, k)]
    for group in [stacked[i : i + len(free)] for i in range(0, len(stacked), len(free))]:
        pairs = list(zip(free, group, strict=False))
        out.put(*(placement.load(register, unit, k) for register, (k, _) in pairs))
        for register, (_, word) in pairs:
            _multiply(out, acc, register, word)
    for k, word in others:
        out.put(placement.load(free[0], unit, k))
        _multiply(out, acc, free[0], word)


def _sum(  # noqa: PLR0917
    out: Assembly,
    placement: _Placement,
    unit: int,
    row: Sequence[_Word],
    acc: str,
    extra_loads: Sequence[str],
    temporaries: Sequence[str] = ("r2", "r3", "r12"),
) -> None:
    """Add a row's products to a register, its words loaded in groups; `extra_loads` go first."""
    for first in range(0, max(len(row), 1), len(temporaries)):
        group = list(enumerate(row))[first : first + len(temporaries)]
        pairs = list(zip(temporaries, group, strict=False))
        if first == 0:
            out.put(*extra_loads)
        out.put(*(placement.load(register, unit, k) for register, (k, _) in pairs))
        for register, (_, word) in pairs:
            _multiply(out, acc, register, word)


def _place(units: Sequence[int], rows: Sequence[Sequence[_Word]]) -> _Placement:
    """Put into the FPU's registers those words that would need a group of loads of their own."""
    placement = _Placement()
    rests: list[tuple[float, int, list[int]]] = []
    for position, unit in enumerate(units):
        in_first = 3 if position == 0 else 1 + position % 2
        left = list(range(in_first, len(rows[unit])))
        if left:
            groups = -(-len(left) // (2 if position % 2 else 3))
            rests.append((-groups / len(left), unit, left))
    for _, unit, left in sorted(rests):
        for k in reversed(left):
            if len(placement.in_fpu) < len(_FPU_WEIGHTS):
                placement.where[unit, k] = _FPU_WEIGHTS[len(placement.in_fpu)]
                placement.in_fpu.append(rows[unit][k].value)
    for unit in units:
        for k, word in enumerate(rows[unit]):
            if (unit, k) not in placement.where:
                placement.where[unit, k] = f"sp, #{4 * len(placement.stacked)}"
                placement.stacked.append(word.value)
    return placement


def _unpack(out: Assembly, name: str, placement: _Placement) -> None:
    """Copy the weights from flash to the stack and to the FPU; changes r4-r8."""
    size = _stack_bytes(placement)
    out.put(f"adr.w r4, .L{name}_weights", f"sub sp, sp, #{size}", "mov r5, sp")
    if placement.stacked:  # the loop's condition stands behind its body
        out.put(f"add r6, sp, #{4 * len(placement.stacked)}")
        out.label(f".L{name}_unpack")
        out.put("ldr r7, [r4], #4", "str r7, [r5], #4", "cmp r5, r6", f"bne .L{name}_unpack")
    for register in _FPU_WEIGHTS[: len(placement.in_fpu)]:
        out.put("ldr r7, [r4], #4", f"vmov {register}, r7")


def _stack_bytes(placement: _Placement) -> int:
    return -(-4 * len(placement.stacked) // 8) * 8


def _index(register: str, cell: Cell) -> str:
    shift = f", asr #{cell.index_shift}" if cell.index_shift else ""
    return f"usat {register}, #{cell.index_bits}, {register}{shift}"


def _address(register: str, cell: Cell) -> str:
    return f"add {register}, r1, {register}, lsl #{(4 * cell.units).bit_length() - 1}"


def _lsl(shift: int) -> str:
    return f", lsl #{shift}" if shift else ""


def _states(units: int) -> list[str]:
    return [f"r{4 + pair}" for pair in range(units // 2)]


def _matrix(weights: Int16) -> list[tuple[_Word, ...]]:
    """Each unit's words: pairs of weights that meet one register, then single ones two by two."""
    return [_row(row.tobytes()) for row in weights.astype(np.int16)]


@lru_cache(maxsize=1024)  # every schedule that is tried asks again
def _row(row: bytes) -> tuple[_Word, ...]:
    weights = np.frombuffer(row, np.int16)
    words, singles = [], []
    for pair in range(len(weights) // 2):
        bottom, top = int(weights[2 * pair]), int(weights[2 * pair + 1])
        state = f"r{4 + pair}"
        if bottom and top:
            words.append(_Word(_pack(bottom, top), (("smlad", state),)))
        elif bottom or top:
            singles.append(("b" if bottom else "t", state, bottom or top))
    for i in range(0, len(singles), 2):
        two = singles[i : i + 2]
        uses = tuple((f"smla{h}{'bt'[n]}", state) for n, (h, state, _) in enumerate(two))
        words.append(_Word(_pack(two[0][2], two[1][2] if len(two) > 1 else 0), uses))
    return tuple(words)


def _pack(bottom: int, top: int) -> int:
    return (bottom & 0xFFFF) | (top & 0xFFFF) << 16


def _order(u: Int16) -> tuple[list[int], frozenset[int]]:
    """An order of the pairs of units in which most next states need not wait.

    Returns:
        The order, and the pairs that no later pair reads.
    """
    pairs = len(u) // 2
    blocks = np.abs(u.astype(np.int64)).reshape(pairs, 2, pairs, 2).sum(axis=(1, 3))
    readers = [set(np.flatnonzero(blocks[:, p]).tolist()) - {p} for p in range(pairs)]

    @cache
    def best(done: frozenset[int]) -> tuple[int, tuple[int, ...]]:
        if len(done) == pairs:
            return 0, ()
        choices = []
        for p in range(pairs):
            if p not in done:
                count, order = best(done | {p})
                choices.append((count + (readers[p] <= done), (p, *order)))
        return max(choices, key=lambda c: (c[0], [-p for p in c[1]]))

    order = best(frozenset())[1]
    done: set[int] = set()
    direct = set()
    for p in order:
        if readers[p] <= done:
            direct.add(p)
        done.add(p)
    return list(order), frozenset(direct)
