"""32-bit instructions put at multiples of four, where the Cortex-M4 fetches them without delay.

Behind an instruction of more than a cycle, every third unaligned 32-bit instruction waits a cycle
for its second half (docs/timing.md, `wide_run_with_cache`). A 16-bit instruction in front of such a
run is written in its 32-bit encoding, which takes two bytes more and no cycle.
"""

from collections.abc import Sequence

from hil.compiler.code.thumb import instruction_sizes

_RUN = 3  # 32-bit instructions, the last of which would wait


def align_wide(lines: Sequence[str]) -> list[str]:
    """Widen 16-bit instructions in front of runs of 32-bit ones that would be unaligned.

    Args:
        lines: of functions, each at a multiple of four, as `Assembly` writes them.
    """
    out: list[str] = []
    begin = 0
    for number, line in enumerate([*lines, "    .thumb_func"]):
        if line.strip() == ".thumb_func":
            out += _aligned(lines[begin:number])
            begin = number
    return out


def _aligned(lines: Sequence[str]) -> list[str]:
    """The lines of one function."""
    out, sizes = list(lines), instruction_sizes(lines)
    at, conditional = 0, False
    for number, size in enumerate(sizes):
        text = lines[number].strip()
        may_widen = size == 2 and not conditional and not text.startswith("it")
        if may_widen and at % 4 == 0 and _run_behind(sizes, number) >= _RUN:
            mnemonic, _, operands = text.partition(" ")
            out[number] = f"    {mnemonic}.w {operands}"
            at += 2
        conditional = text.startswith("it")
        at += size
    return out


def _run_behind(sizes: Sequence[int], number: int) -> int:
    """How many 32-bit instructions follow one."""
    run = 0
    for size in sizes[number + 1 :]:
        if size == 2 or run == _RUN:
            break
        run += size == 4
    return run
