"""GNU assembler text, line by line."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hil.compiler.code.align import align_wide


@dataclass
class Assembly:
    """Functions in Thumb-2, each in a section of its own."""

    lines: list[str] = field(default_factory=list)

    def put(self, *instructions: str) -> None:
        """Append instructions."""
        self.lines += [f"    {instruction}" for instruction in instructions]

    def label(self, name: str) -> None:
        """Append a label."""
        self.lines.append(f"{name}:")

    def function(self, name: str, comment: str) -> None:
        """Begin a function.

        Args:
            name: its symbol, which C declares.
            comment: what it computes, a line above it.
        """
        self.lines += [
            "",
            f"/* {comment} */",
            f'    .section .text.{name}, "ax", %progbits',
            "    .balign 16",
            f"    .global {name}",
            f"    .type {name}, %function",
            "    .thumb_func",
            f"{name}:",
        ]

    def words(self, name: str, values: Sequence[int]) -> None:
        """Append words in flash under a label.

        Args:
            name: the label.
            values: words of 32 bits, signed or unsigned.
        """
        self.lines += ["    .balign 4", f"{name}:"]
        for first in range(0, len(values), 8):
            row = ", ".join(f"0x{v & 0xFFFFFFFF:08X}" for v in values[first : first + 8])
            self.lines.append(f"    .word {row}")

    @property
    def text(self) -> str:
        """The lines in one string, 32-bit instructions aligned where that saves cycles."""
        return "\n".join([*align_wide(self.lines), ""])


def registers(first: int, count: int) -> str:
    """A list of core registers as LDM takes it.

    Args:
        first: number of the first core register.
        count: how many, one at least.
    """
    return f"{{r{first}-r{first + count - 1}}}" if count > 1 else f"{{r{first}}}"


def clamp(out: Assembly, sums: Sequence[str], low: int, high: int, scratch: str) -> None:
    """Saturate registers, which one instruction does for the ranges of int8 and of uint8.

    Args:
        out: the code.
        sums: the registers.
        low: the range's start.
        high: its end, included.
        scratch: a register that may change.
    """
    if low >= -128 and high <= 127:
        instruction, bits, covered = "ssat", 8, (-128, 127)
    elif low >= 0 and high <= 255:
        instruction, bits, covered = "usat", 8, (0, 255)
    else:
        instruction, bits, covered = "ssat", 16, (-(2**15), 2**15 - 1)
    out.put(*(f"{instruction} {s}, #{bits}, {s}" for s in sums))
    for bound, condition, limit in ((high, "gt", covered[1]), (low, "lt", covered[0])):
        if bound != limit:
            immediate(out, scratch, bound)
            for s in sums:
                out.put(f"cmp {s}, {scratch}", f"it {condition}", f"mov{condition} {s}, {scratch}")


def immediate(out: Assembly, register: str, value: int) -> None:
    """Load a constant of 32 bits.

    Args:
        out: the code that the load is appended to.
        register: its destination, such as "r4".
        value: the constant, signed or unsigned.
    """
    word = value & 0xFFFFFFFF
    out.put(f"movw {register}, #{word & 0xFFFF}")
    if word >> 16:
        out.put(f"movt {register}, #{word >> 16}")
