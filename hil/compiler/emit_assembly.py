"""GNU assembler text, line by line."""

from collections.abc import Sequence
from dataclasses import dataclass, field


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
        """Begin a function."""
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
        """Append words in flash under a label."""
        self.lines += ["    .balign 4", f"{name}:"]
        for first in range(0, len(values), 8):
            row = ", ".join(f"0x{v & 0xFFFFFFFF:08X}" for v in values[first : first + 8])
            self.lines.append(f"    .word {row}")

    @property
    def text(self) -> str:
        """The lines in one string."""
        return "\n".join([*self.lines, ""])


def registers(first: int, count: int) -> str:
    """A list of core registers as LDM takes it."""
    return f"{{r{first}-r{first + count - 1}}}" if count > 1 else f"{{r{first}}}"
