"""Print the table of docs/kernels.md anew: `.venv/bin/python tests/kernel_table.py`."""

from collections.abc import Iterator

import cortex_m4
import random_programs
from cortex_m4 import measure
from random_programs import Builder

from hil.compiler.program import Program


def programs() -> Iterator[tuple[str, Program]]:
    """One operator or block each."""
    for rows, inputs, outputs in (
        (30, 32, 64), (30, 64, 32), (20, 64, 128), (20, 128, 32), (15, 64, 64),
    ):  # fmt: skip
        b = Builder(0, (rows, 40, inputs), full_range=True)
        conv = b.conv("conv", b.input, outputs, relu=True)
        yield f"1x1 {rows}x40 {inputs}->{outputs}", b.program(conv)
    for inputs, outputs, stride in ((64, 32, 1), (32, 32, 1), (32, 64, 2)):
        b = Builder(0, (30, 40, inputs), full_range=True)
        block = b.inverted_residual("block", b.input, outputs, stride)
        yield f"inverted residual 30x40 {inputs}-{2 * inputs}-{outputs} s{stride}", b.program(block)
    b = Builder(0, (15, 20, 64), full_range=True)
    yield (
        "inverted residual 15x20 64-128-64 + x",
        b.program(b.inverted_residual("block", b.input, 64)),
    )
    for rows, columns, inputs, widths in (
        (30, 40, 32, (4, 4)),
        (30, 40, 32, (2, 4)),
        (15, 20, 64, (2, 4)),
    ):
        b = Builder(0, (rows, columns, inputs))
        maps = [b.conv(f"head{i}", b.input, n, 3) for i, n in enumerate(widths)]
        yield f"heads 3x3 {rows}x{columns} {inputs}->{'+'.join(map(str, widths))}", b.program(*maps)
    b = Builder(0, (112, 112, 3), full_range=True)
    yield "3x3 s2 112x112 3->8", b.program(b.conv("conv", b.input, 8, 3, 2, relu=True))


def main() -> None:
    """Measure and print."""
    toolchains = ["zig", *(["gcc"] if cortex_m4.has_gcc() else [])]
    print("| operator | MAC | " + " | ".join(f"{t} cycles | cycles/MAC" for t in toolchains) + " |")
    print("|---|---|" + "---|---|" * len(toolchains))
    for name, program in programs():
        cells = []
        for toolchain in toolchains:
            cycles = measure(program, random_programs.image(program), toolchain=toolchain).cycles
            cells.append(f"{cycles:,} | {cycles / program.macs:.3f}")
        print(f"| {name} | {program.macs:,} | " + " | ".join(cells) + " |")
    for dense in (False, True):
        program = random_programs.face_m4(dense=dense)
        x = random_programs.image(program)
        found = [measure(program, x, toolchain=toolchain) for toolchain in toolchains]
        print(f"\nface_m4, {'dense' if dense else 'sparse'} RNN weights")
        for layers in zip(*(f.layers for f in found), strict=True):
            cells = [f"{layer.cycles:,}" for layer in layers]
            print(f"| {layers[0].name} | {layers[0].macs:,} | " + " | ".join(cells) + " |")
        print("| all | | " + " | ".join(f"{f.cycles:,}" for f in found) + " |")


if __name__ == "__main__":
    main()
