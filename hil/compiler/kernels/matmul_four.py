"""Cortex-M4 code for a matrix product of four pixels by two output channels at a time.

Eight sums stand in r6-r12 and lr. Two inputs take six loads, in two groups, and
eight SMLAD: 16 multiply-accumulates in 16 cycles. Three pixels are as fast in proportion, but here
more outputs share the beginning and the end of two channels. Where channels are many, words of the
last two pixels wait in the FPU's registers: a VMOV takes one cycle and never waits, so such a step
takes 15 cycles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hil.compiler.code.align import align_wide
from hil.compiler.code.assembly import Assembly, clamp, immediate
from hil.compiler.code.thumb import instruction_sizes
from hil.compiler.kernels.matmul import REACH, MatMul

_LINE_BYTES, _CACHE_LINES = 16, 64  # of the instruction cache
_AHEAD_BYTES = 16  # that are fetched behind a branch before it is taken
_LOOP_BYTES = 1000  # of a loop's code, about as much as the instruction cache holds
_STEP_BYTES = 48  # at least
_REFILL = 1  # cycle to read a line of the cache anew in order, as each call may have to
_PIXELS = 4
_SUMS = ("r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr")
_FPU_REGISTERS = 32
_CALLER_SAVED = 16  # s0 .. s15 may change
_PUSHED_BYTES = 36  # of nine core registers
_ROUND = 5  # cycles to count a round and go back
_SEGMENT = 7  # cycles to count a segment, move on and go back
_MOVES = 6  # cycles to begin all sums with the biases, which a peeled step does by itself


@dataclass(frozen=True)
class _Shape:
    """How the steps of a segment stand in the code.

    Attributes:
        peel: steps before the loop.
        unroll: steps of its body, 0 where there is no loop.
        rounds: of the loop.
        held: of the first steps, whose words of the last two pixels wait in the FPU.
        first: the FPU register of the first such word.
    """

    peel: int
    unroll: int
    rounds: int
    held: int
    first: int

    @property
    def back(self) -> int:
        """Steps by which the pointers begin early, as the loop's first loads move them on."""
        return self.unroll - self.peel

    def held_in(self, pixel: int, step: int) -> str:
        """Return the register in which a word waits, "" where it is loaded."""
        if pixel < 2 or step >= self.held:
            return ""
        return f"s{self.first + (pixel - 2) * self.held + step}"


def matmul_four(name: str, product: MatMul) -> Assembly:
    """Write the product for four pixels.

    C: void name(const int16_t *x, const int32_t *weights, void *y, const int8_t *residual,
    int32_t groups): so many groups of four pixels, one behind the other

    Args:
        name: the function's symbol.
        product: its shape, which becomes immediates.
    """
    return _written(name, product, _best_shape(product))


@lru_cache(maxsize=1024)  # to find it, the product is written many times
def _best_shape(product: MatMul) -> "_Shape":
    """The shape of the fewest cycles whose loop fits the cache, or else the last one."""
    ends = Assembly()
    _requantise(ends, product)
    end_bytes = sum(instruction_sizes(ends.lines))
    shapes = sorted(_shapes(product, end_bytes), key=lambda s: _cycles(s, product, end_bytes))
    for shape in shapes:
        if _loop_lines(_written("any", product, shape), ".Lany_pair") <= _CACHE_LINES:
            break
    return shape


def _loop_lines(out: Assembly, label: str) -> int:
    """Lines of the cache that the loop from a label to the branch to it takes."""
    lines = align_wide(out.lines)
    sizes = instruction_sizes(lines)
    begin = lines.index(f"{label}:")
    end = lines.index(f"    bne {label}")
    last = sum(sizes[: end + 1]) + _AHEAD_BYTES - 1
    return last // _LINE_BYTES - sum(sizes[:begin]) // _LINE_BYTES + 1


def _written(name: str, product: MatMul, shape: "_Shape") -> Assembly:
    """Write the product, its steps in the given shape."""
    out = Assembly()
    out.function(name, f"{_PIXELS} pixels, {product.channels} channels")
    saved = _registers(_CALLER_SAVED, shape.first + 2 * shape.held - _CALLER_SAVED)
    out.put("push {r4-r11, lr}", *([f"vpush {saved}"] if saved else []), "vmov s1, r2")
    fpu_saved = max(0, shape.first + 2 * shape.held - _CALLER_SAVED)
    out.put(f"ldr r12, [sp, #{_PUSHED_BYTES + 4 * fpu_saved}]", "vmov s5, r12")
    immediate(out, "r12", 4 * product.stream_words)
    out.put("add r12, r12, r1", "vmov s2, r12")
    if product.residual:
        _hold_residual(out, product.residual)
    out.label(f".L{name}_group")
    if shape.rounds > 1 and product.segments == 1:
        _add_constant(out, "r2", "r0", 4 * (shape.unroll * shape.rounds - shape.back))
        out.put("vmov s4, r2")
    for pixel in (2, 3) if shape.held else ():
        _add_constant(out, "r2", "r0", pixel * product.pixel_bytes)
        first = shape.first + (pixel - 2) * shape.held
        out.put(f"vldmia r2, {_registers(first, shape.held)}")
    out.label(f".L{name}_pair")
    _accumulate(out, name, product, shape)
    _requantise(out, product)
    out.put("vmov r2, s2", "cmp r1, r2", f"bne .L{name}_pair")
    _next_group(out, name, product)
    out.put(*([f"vpop {saved}"] if saved else []), "pop {r4-r11, pc}")
    return out


def _next_group(out: Assembly, name: str, product: MatMul) -> None:
    """Back to the first channels, four pixels on, if there are more."""
    out.put("vmov r2, s5", "subs r2, r2, #1", "vmov s5, r2")
    _add_constant(out, "r0", "r0", _PIXELS * product.pixel_bytes)
    _add_constant(out, "r1", "r1", -4 * product.stream_words)
    on = _PIXELS * product.y_pixel_bytes - product.channels * product.y_channel_bytes
    for pointer in ("s1", "s3") if product.residual else ("s1",):
        out.put(f"vmov r3, {pointer}")
        _add_constant(out, "r3", "r3", on)
        out.put(f"vmov {pointer}, r3")
    if product.residual:
        out.put("vmov s0, r0")
    out.put(f"bne .L{name}_group")


def _registers(first: int, count: int) -> str:
    """Return a list of FPU registers, "" of none. GNU as refuses a range from one to itself."""
    if count <= 0:
        return ""
    return f"{{s{first}-s{first + count - 1}}}" if count > 1 else f"{{s{first}}}"


def _shapes(product: MatMul, end_bytes: int) -> list["_Shape"]:
    """The shapes whose code may fit the cache, among them one of the least code."""
    steps = product.depth // 2
    most = (_LOOP_BYTES - end_bytes) // _STEP_BYTES
    first = 8 if product.residual else 6
    shapes = []
    if product.segments == 1 and steps <= most:
        shapes += [_Shape(steps, 0, 0, held, first) for held in _held(steps, first)]
    if 1 < product.segments <= most // steps and _is_flat(product):
        shapes.append(_Shape(product.segments * steps, 0, 0, 0, first))
    for unroll in range(1, min(most, steps) + 1):
        if product.segments > 1 and steps % unroll:
            continue
        # Whatever does not make whole rounds comes before them, and more rounds where that pays.
        rests = range(steps % unroll, most - unroll + 1, unroll) if product.segments == 1 else (0,)
        shapes += [
            _Shape(peel, unroll, (steps - peel) // unroll, held, first)
            for peel in rests
            if peel < steps
            for held in _held(peel, first)
        ]
    return shapes


def _is_flat(product: MatMul) -> bool:
    """Tell whether all segments are within reach of a load."""
    far = (_PIXELS - 1) * product.pixel_bytes + (product.segments - 1) * product.segment_bytes
    return far + 2 * product.depth <= REACH


def _held(peel: int, first: int) -> range:
    """The numbers of steps whose words of two pixels fit the FPU's registers from `first` on."""
    return range(min(peel, (_FPU_REGISTERS - first) // 2) + 1)


def _cycles(shape: _Shape, product: MatMul, end_bytes: int) -> int:
    """Cycles of a call beside those of loads and multiplications, held words' loads gained."""
    segment = _ROUND * (shape.rounds if shape.rounds > 1 else 0)
    if product.segments > 1 and shape.unroll:
        segment = product.segments * (segment + _SEGMENT)
    each = segment + _MOVES * (shape.peel == 0) - shape.held
    code_bytes = end_bytes + _STEP_BYTES * (shape.peel + shape.unroll)
    saved = max(0, shape.first + 2 * shape.held - _CALLER_SAVED)
    once = 2 * shape.held + 6 if shape.held else 0
    once += (2 * (saved + 1) if saved else 0) + _REFILL * code_bytes // _LINE_BYTES
    return product.channels // 2 * each + once


def _accumulate(out: Assembly, name: str, product: MatMul, shape: _Shape) -> None:
    """Sums of two channels; afterwards r1 stands at the multipliers and r0 where it began."""
    out.put("ldrd r6, r7, [r1], #8")
    for step in range(shape.peel):
        _step(out, product, shape, step, first=step == 0)
    if not shape.peel:
        out.put(*(f"mov {_SUMS[i]}, {_SUMS[i % 2]}" for i in range(2, len(_SUMS))))
    if shape.unroll:
        _loop(out, name, product, shape)
    else:
        out.put(f"add r1, r1, #{8 * shape.peel}")


def _loop(out: Assembly, name: str, product: MatMul, shape: _Shape) -> None:
    """The steps after the peeled ones, in rounds, in every segment."""
    _add_constant(out, "r0", "r0", -4 * shape.back)
    _add_constant(out, "r1", "r1", -8 * shape.back)
    moved = 4 * shape.rounds * shape.unroll
    if product.segments > 1:
        out.put(f"mov r2, #{product.segments}", "vmov s3, r2")
        out.label(f".L{name}_segment")
        if shape.rounds > 1:
            _add_constant(out, "r2", "r0", moved)
            out.put("vmov s4, r2")
    if shape.rounds > 1:
        out.label(f".L{name}_round")
    for step in range(shape.unroll):
        _step(out, product, shape, step, in_loop=True)
    if shape.rounds > 1:
        out.put("vmov r2, s4", "cmp r0, r2", f"bne .L{name}_round")
    if product.segments > 1:
        _add_constant(out, "r0", "r0", product.segment_bytes - moved)
        out.put("vmov r2, s3", "subs r2, r2, #1", "vmov s3, r2", f"bne .L{name}_segment")
        moved = product.segments * product.segment_bytes
    _add_constant(out, "r0", "r0", 4 * shape.back - moved)
    _add_constant(out, "r1", "r1", 8 * shape.unroll)


def _step(
    out: Assembly,
    product: MatMul,
    shape: _Shape,
    step: int,
    *,
    first: bool = False,
    in_loop: bool = False,
) -> None:
    """Two inputs of every pixel and channel; the loop's first loads move the pointers on."""
    advance = shape.unroll if in_loop and step == 0 else 0

    def load(pixel: int, register: str) -> str:
        if held := "" if in_loop else shape.held_in(pixel, step):
            return f"vmov {register}, {held}"
        segment, within = (0, step) if in_loop else divmod(step, product.depth // 2)
        at = segment * product.segment_bytes + 4 * within + pixel * product.pixel_bytes
        return f"ldr {register}, [r0, #{at}]"

    def multiply(pixel: int, register: str) -> None:
        for c, weight in enumerate(("r2", "r3")):
            total = _SUMS[2 * pixel + c]
            out.put(f"smlad {total}, {register}, {weight}, {_SUMS[c] if first else total}")

    if advance:
        out.put(f"ldr r4, [r0, #{4 * advance}]!", f"ldr r2, [r1, #{8 * advance}]!")
    else:
        out.put(load(0, "r4"), f"ldr r2, [r1, #{8 * step}]")
    out.put(load(1, "r5"), f"ldr r3, [r1, #{8 * step + 4}]")
    if first:  # the biases stand in the sums of pixel 0, which therefore comes last
        for pixel in (1, 2, 3):
            if pixel > 1:
                out.put(load(pixel, "r5"))
            multiply(pixel, "r5")
        multiply(0, "r4")
        return
    multiply(0, "r4")
    multiply(1, "r5")
    out.put(load(2, "r4"), load(3, "r5"))
    multiply(2, "r4")
    multiply(3, "r5")


def _requantise(out: Assembly, product: MatMul) -> None:
    """Multiply, add, clamp and store; moves r1 to the next two channels' biases."""
    out.put("ldm r1!, {r2, r3, r4}")
    out.put(*(f"smmlar {s}, {s}, {('r2', 'r3')[i % 2]}, r4" for i, s in enumerate(_SUMS)))
    if product.residual:
        _residual(out, product, product.residual[2])
    clamp(out, _SUMS, product.low, product.high, "r4")
    out.put("vmov r5, s1")
    store_sums(out, product, _SUMS, "r5")
    out.put("vmov s1, r5")


def store_sums(out: Assembly, product: MatMul, sums: Sequence[str], pointer: str) -> None:
    """Store two channels of each pixel, and move the pointer on to the next two.

    Args:
        out: where the code goes.
        product: whose output it is.
        sums: registers of the results, both channels of a pixel together.
        pointer: register of the first one's address.
    """
    store = "strb" if product.y_bytes == 1 else "strh"
    # The store that moves the pointer on comes last.
    for i, s in reversed(list(enumerate(sums))[1:]):
        at = i // 2 * product.y_pixel_bytes + i % 2 * product.y_channel_bytes
        out.put(f"{store} {s}, [{pointer}, #{at}]")
    step = 2 * product.y_channel_bytes
    if step <= 255:
        out.put(f"{store} {sums[0]}, [{pointer}], #{step}")
    else:
        out.put(f"{store} {sums[0]}, [{pointer}]", f"add {pointer}, {pointer}, #{step}")


def _hold_residual(out: Assembly, residual: tuple[int, int, int]) -> None:
    """Keep the residual's pointer, its factor and constant, and r0, in the FPU."""
    zero, multiplier, shift = residual
    out.put("vmov s0, r0", "vmov s3, r3")
    immediate(out, "r2", multiplier)
    immediate(out, "r3", (1 << (shift - 1)) - zero * multiplier)
    out.put("vmov s6, r2", "vmov s7, r3")


def _residual(out: Assembly, product: MatMul, shift: int) -> None:
    """Add ((q - zero) * multiplier + 2**(shift - 1)) >> shift."""
    out.put("vmov r0, s3", "vmov r2, s6", "vmov r3, s7")
    for pixel in range(_PIXELS):
        at = pixel * product.y_pixel_bytes
        out.put(f"ldrsb r4, [r0, #{at}]", f"ldrsb r5, [r0, #{at + product.y_channel_bytes}]")
        out.put("mla r4, r4, r2, r3", "mla r5, r5, r2, r3")
        for s, term in ((_SUMS[2 * pixel], "r4"), (_SUMS[2 * pixel + 1], "r5")):
            out.put(f"add {s}, {s}, {term}, asr #{shift}")
    out.put(f"add r0, r0, #{2 * product.y_channel_bytes}", "vmov s3, r0", "vmov r0, s0")


def _add_constant(out: Assembly, target: str, source: str, value: int) -> None:
    """Add a constant; changes r4 where it is a large one."""
    if abs(value) > REACH:
        immediate(out, "r4", value)
        out.put(f"add {target}, {source}, r4")
    elif value or target != source:
        out.put(f"{'sub' if value < 0 else 'add'}w {target}, {source}, #{abs(value)}")
