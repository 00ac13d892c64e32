"""Cortex-M4 code for Winograd's transform of 3x3 convolutions: inputs, products, outputs.

The C that this code equals is in firmware/kernels/winograd.c.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.compiler.code.assembly import Assembly, clamp, immediate
from hil.compiler.kernels.matmul import REACH
from hil.compiler.kernels.winograd_shape import END_WORDS, POINTS, SIDE, SUM_BYTES, Tiles

_LOOP_BYTES = 960  # of a loop's code, which the instruction cache of a kibibyte holds
_STEP_BYTES = {3: 44, 4: 52}
_SUMS = ("r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr")


def enter(name: str, tiles: Tiles) -> Assembly:
    """Write the transform of the inputs, two channels of a tile at a time.

    C: void name(const int16_t *const *rows, int16_t *v)

    Rows come in r0-r3, v in r12. A row of the tile is transformed along as it is loaded; rows 2 and
    0, 2 and 1, 1 and 3 then give points. 32 additions, 16 loads and 16 stores for two channels.

    Args:
        name: the function's symbol.
        tiles: its shape, which becomes immediates.
    """
    out = Assembly()
    out.function(name, f"{tiles.count} tiles of {tiles.channels} channels")
    out.put("push {r4-r11, lr}", "mov r12, r1", "ldm.w r0, {r0-r3}", f"mov r4, #{tiles.count}")
    # The first load of a round moves its row on, so all rows begin a round early.
    out.put(*(f"sub r{i}, r{i}, #8" for i in range(SIDE)))
    out.label(f".L{name}_tile")
    out.put("vmov s0, r4")
    _move(out, "r4", "r0", tiles.point_bytes)
    out.put("vmov s1, r4")
    out.label(f".L{name}_channels")
    for word in (0, 1):
        _enter_two(out, tiles, word)
    out.put("add r12, r12, #8", "vmov r4, s1", "cmp r0, r4", f"bne .L{name}_channels")
    for row in range(SIDE):
        _move(out, f"r{row}", f"r{row}", tiles.point_bytes)
    _move(out, "r12", "r12", tiles.tile_bytes - tiles.point_bytes)
    out.put("vmov r4, s0", "subs r4, r4, #1", f"bne .L{name}_tile", "pop {r4-r11, pc}")
    return out


@dataclass
class _Points:
    """Stores of a word of every point, r12 moving from row to row of them where they are far.

    Attributes:
        word: of a round.
        at: row of points that r12 stands at.
    """

    out: Assembly
    tiles: Tiles
    word: int
    at: int = 0

    def store(self, row: int, registers: Sequence[str]) -> None:
        """Store a row of points."""
        self.reach(row)
        line = (row - self.at) * self.tiles.line_bytes + 4 * self.word
        for column, register in enumerate(registers):
            self.out.put(f"str {register}, [r12, #{line + column * self.tiles.point_bytes}]")

    def reach(self, row: int) -> None:
        """Move r12 to a row unless offsets reach all of them."""
        if SIDE * self.tiles.line_bytes > REACH:
            _move(self.out, "r12", "r12", (row - self.at) * self.tiles.line_bytes)
            self.at = row


def _enter_two(out: Assembly, tiles: Tiles, word: int) -> None:
    """Two channels: the first or the second word of a round."""
    points = _Points(out, tiles, word)
    two = _along(out, tiles, (2, word), ("r4", "r5", "r6", "r7", "lr"))
    zero = _along(out, tiles, (0, word), ("r8", "r9", "r10", "r11", "r5"))
    out.put(*(f"ssub16 {a}, {a}, {b}" for a, b in zip(zero, two, strict=True)))
    points.store(0, zero)
    one = _along(out, tiles, (1, word), ("r8", "r9", "r10", "r11", "r5"))
    points.reach(1)
    for j in range(SIDE):
        out.put(f"sadd16 r9, {one[j]}, {two[j]}", f"ssub16 {two[j]}, {two[j]}, {one[j]}")
        line = (1 - points.at) * tiles.line_bytes + 4 * word
        out.put(f"str r9, [r12, #{line + j * tiles.point_bytes}]")
    points.store(2, two)
    three = _along(out, tiles, (3, word), ("r4", "lr", "r6", "r7", "r9"))
    out.put(*(f"ssub16 {a}, {b}, {a}" for a, b in zip(three, one, strict=True)))
    points.store(3, three)
    points.reach(0)


def _along(
    out: Assembly, tiles: Tiles, of: tuple[int, int], registers: tuple[str, str, str, str, str]
) -> tuple[str, str, str, str]:
    """Load four columns of a row's word and transform them; the second register is free then."""
    row, word = of
    a, b, c, d, free = registers
    out.put(f"ldr {a}, [r{row}, #8]!" if word == 0 else f"ldr {a}, [r{row}, #4]")
    for column, register in enumerate((b, c, d), start=1):
        out.put(f"ldr {register}, [r{row}, #{4 * word + column * tiles.point_bytes}]")
    out.put(f"ssub16 {a}, {a}, {c}", f"ssub16 {d}, {b}, {d}")
    out.put(f"sadd16 {free}, {b}, {c}", f"ssub16 {c}, {c}, {b}")
    return a, free, c, d


@dataclass(frozen=True)
class _Loop:
    """How two inputs at a time stand in the code: some before the loop, then rounds of some."""

    peel: int
    unroll: int
    rounds: int


def _loop_of(steps: int, pixels: int) -> _Loop:
    most = _LOOP_BYTES // _STEP_BYTES[pixels]
    if steps <= most:
        return _Loop(steps, 0, 0)
    shapes = [
        _Loop(peel, unroll, (steps - peel) // unroll)
        for unroll in range(1, most)
        for peel in range(1, most - unroll + 1)
        if (steps - peel) % unroll == 0 and 8 * unroll <= 255
    ]
    return min(shapes, key=lambda shape: (shape.rounds, shape.peel + shape.unroll))


def multiply(name: str, tiles: Tiles, pixels: int, groups: int) -> Assembly:
    """Write the products of all points, three or four tiles by two output channels at a time.

    C: void name(const int16_t *v, const int32_t *u, int32_t *m)

    Args:
        name: the function's symbol.
        tiles: its shape, which becomes immediates.
        pixels: tiles at a time.
        groups: of so many tiles.
    """
    out = Assembly()
    out.function(name, f"{groups} times {pixels} tiles, {tiles.outputs} channels")
    shape = _loop_of(tiles.channels // 2, pixels)
    of_point = 4 * tiles.outputs * tiles.channels // 2
    out.put("push {r4-r11, lr}", "vmov s1, r2", f"mov r3, #{POINTS}", "vmov s4, r3")
    out.label(f".L{name}_point")
    out.put(f"mov r3, #{groups}", "vmov s3, r3")
    _move(out, "r3", "r1", of_point)
    out.put("vmov s2, r3")
    out.label(f".L{name}_group")
    out.label(f".L{name}_pair")
    _accumulate(out, name, tiles, pixels, shape)
    out.put("vmov r2, s1")
    for i in range(2 * pixels):
        at = i // 2 * tiles.outputs * SUM_BYTES + i % 2 * SUM_BYTES
        out.put(f"str {_SUMS[i]}, [r2, #{at}]")
    out.put(f"add r2, r2, #{2 * SUM_BYTES}", "vmov s1, r2", "vmov r3, s2", "cmp r1, r3")
    out.put(f"bne .L{name}_pair")
    # The next tiles meet the point's weights again; their sums stand behind the others'.
    _move(out, "r0", "r0", pixels * tiles.tile_bytes)
    _move(out, "r2", "r2", (pixels - 1) * tiles.outputs * SUM_BYTES)
    out.put("vmov r4, s3", "subs r4, r4, #1", "vmov s3, r4", "vmov s1, r2")
    _move(out, "r1", "r1", -of_point, scratch="r5")
    out.put(f"bne .L{name}_group")
    _move(out, "r1", "r1", of_point, scratch="r5")
    _move(out, "r2", "r2", 4 - groups * pixels * tiles.outputs * SUM_BYTES, scratch="r5")
    out.put("vmov s1, r2")
    _move(out, "r0", "r0", tiles.point_bytes - groups * pixels * tiles.tile_bytes, scratch="r5")
    out.put("vmov r4, s4", "subs r4, r4, #1", "vmov s4, r4", f"beq .L{name}_end")
    row = tiles.line_bytes - SIDE * tiles.point_bytes
    if row:
        out.put("tst r4, #3", f"bne .L{name}_point")
        _move(out, "r0", "r0", row, scratch="r5")
    out.put(f"b .L{name}_point")
    out.label(f".L{name}_end")
    out.put("pop {r4-r11, pc}")
    return out


def _accumulate(out: Assembly, name: str, tiles: Tiles, pixels: int, shape: _Loop) -> None:
    """Sums of two channels; afterwards r1 stands at the next weights and r0 where it began."""
    for step in range(shape.peel):
        _step(out, tiles, pixels, step, first=step == 0)
    if not shape.unroll:
        _move(out, "r1", "r1", 8 * shape.peel)
        return
    # The loop's first loads move the pointers on.
    back = shape.unroll - shape.peel
    _move(out, "r0", "r0", -4 * back)
    _move(out, "r1", "r1", -8 * back)
    if shape.rounds > 1:
        _move(out, "r2", "r0", 4 * shape.unroll * shape.rounds)
        out.put("vmov s5, r2")
        out.label(f".L{name}_round")
    for step in range(shape.unroll):
        _step(out, tiles, pixels, step, advance=shape.unroll if step == 0 else 0)
    if shape.rounds > 1:
        out.put("vmov r2, s5", "cmp r0, r2", f"bne .L{name}_round")
    _move(out, "r0", "r0", 4 * (back - shape.unroll * shape.rounds))
    _move(out, "r1", "r1", 8 * shape.unroll)


def _step(
    out: Assembly, tiles: Tiles, pixels: int, step: int, *, first: bool = False, advance: int = 0
) -> None:
    """Two inputs of every tile and channel."""
    x = ("r4", "r5", "r4", "r5") if pixels == 4 else ("r4", "r5", "r12")

    def load(pixel: int) -> str:
        return f"ldr {x[pixel]}, [r0, #{4 * step + pixel * tiles.tile_bytes}]"

    def products(pixel: int) -> None:
        for c, weight in enumerate(("r2", "r3")):
            total = _SUMS[2 * pixel + c]
            if first:
                out.put(f"smuad {total}, {x[pixel]}, {weight}")
            else:
                out.put(f"smlad {total}, {x[pixel]}, {weight}, {total}")

    if advance:
        out.put(f"ldr r4, [r0, #{4 * advance}]!", f"ldr r2, [r1, #{8 * advance}]!")
    else:
        out.put(load(0), f"ldr r2, [r1, #{8 * step}]")
    early = 2 if pixels == 4 else pixels
    out.put(*(load(pixel) for pixel in range(1, early)), f"ldr r3, [r1, #{8 * step + 4}]")
    for pixel in range(early):
        products(pixel)
    if early < pixels:
        out.put(*(load(pixel) for pixel in range(early, pixels)))
        for pixel in range(early, pixels):
            products(pixel)


def leave(name: str, tiles: Tiles) -> Assembly:
    """Write the transform of the sums, their requantisation and their stores.

    C: void name(const int32_t *m, const int32_t *ends, int8_t *line)

    Args:
        name: the function's symbol.
        tiles: its shape, which becomes immediates.
    """
    out = Assembly()
    out.function(name, f"{tiles.count} tiles of {tiles.outputs} output channels")
    out.put("push {r4-r11, lr}")
    immediate(out, "r12", tiles.count * tiles.outputs * SUM_BYTES)
    out.put("add r12, r12, r0")
    _move(out, "r11", "r1", 4 * END_WORDS * tiles.outputs)
    out.label(f".L{name}_channel")
    _sums(out)
    out.put("ldm r1!, {r3-r5}")
    shift = f", asr #{tiles.excess}" if tiles.excess else ""
    sums = ("r7", "r8", "r9", "r10")
    out.put(*(f"add {s}, r3, {s}{shift}" for s in sums))
    out.put(*(f"smmlar {s}, {s}, r4, r5" for s in sums))
    clamp(out, sums, tiles.low, tiles.high, "lr")
    # r7 and r8 are of the tile's first row, r9 and r10 of its second.
    out.put(f"strb r8, [r2, #{tiles.outputs}]", f"strb r9, [r2, #{tiles.row_bytes}]")
    out.put(f"strb r10, [r2, #{tiles.row_bytes + tiles.outputs}]", "strb r7, [r2], #1")
    out.put("cmp r1, r11", f"bne .L{name}_channel")
    _move(out, "r1", "r1", -4 * END_WORDS * tiles.outputs)
    _move(out, "r2", "r2", tiles.outputs)
    out.put("cmp r0, r12", f"bne .L{name}_channel", "pop {r4-r11, pc}")
    return out


def _sums(out: Assembly) -> None:
    """A m A' of one channel: r7 and r8 of the first row, r9 and r10 of the second."""
    load = "ldm r0!, {r3-r6}"  # m[i][0] to m[i][3]

    def along(first: str, second: str) -> None:
        """Give m0 + m1 + m2 and m1 - m2 - m3."""
        out.put(load, "add lr, r4, r5", "sub r4, r4, r5")
        out.put(f"add {first}, r3, lr", f"sub {second}, r4, r6")

    along("r7", "r8")
    along("r9", "r10")
    out.put("add r7, r7, r9", "add r8, r8, r10")
    along("r3", "r5")
    out.put("add r7, r7, r3", "sub r9, r9, r3", "add r8, r8, r5", "sub r10, r10, r5")
    along("r3", "r5")
    out.put("sub r9, r9, r3", "sub r10, r10, r5")


def _move(out: Assembly, target: str, source: str, value: int, scratch: str = "") -> None:
    """Add a constant, in two instructions where it is a large one, three of them with `scratch`."""
    if not value and target == source:
        return
    name, size = ("sub" if value < 0 else "add"), abs(value)
    if size <= REACH:
        out.put(f"{name}w {target}, {source}, #{size}")
    elif size >> 12 <= 255:
        out.put(f"{name}.w {target}, {source}, #{size & ~REACH}")
        if size & REACH:
            out.put(f"{name}w {target}, {target}, #{size & REACH}")
    else:
        immediate(out, scratch, size)
        out.put(f"{name}.w {target}, {source}, {scratch}")
