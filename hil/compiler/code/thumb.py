"""How many bytes GNU assembler text becomes in Thumb-2: 2 or 4 for each instruction.

Source: Arm v7-M Architecture Reference Manual, chapter A7.7. Assemblers take the 16-bit encoding
where there is one; outside of IT blocks most of those set flags, so that few are left.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_FUNCTION_ALIGNMENT = 16  # bytes
_BRANCH = re.compile(r"b(?P<condition>[a-z]{2})?")
_CONDITION_REACH, _REACH = 252, 2044  # bytes that a 16-bit branch spans forwards at least
_MEMORY = re.compile(r"(?P<data>\w+), \[(?P<base>\w+)(, #(?P<offset>\d+))?\]")
_UNITS = {"ldr": 4, "str": 4, "ldrh": 2, "strh": 2, "ldrb": 1, "strb": 1}  # bytes
_LOW = frozenset(f"r{n}" for n in range(8))
_FIVE_BITS, _SEVEN_BITS, _EIGHT_BITS = 31, 127, 255


def text_bytes(text: str) -> int:
    """Count the bytes of functions and the words behind them, each function to its alignment.

    Args:
        text: as `Assembly` writes it; one function after another.
    """
    return sum(_aligned(size, _FUNCTION_ALIGNMENT) for size in function_bytes(text).values())


def function_bytes(text: str) -> dict[str, int]:
    """Count the bytes of each function with the words behind it, to a multiple of four.

    Args:
        text: as `Assembly` writes it; one function after another.

    Returns:
        Bytes by the function's name.
    """
    bodies = text.split("    .thumb_func\n")[1:]
    return {body.partition(":")[0]: _function_bytes(body) for body in bodies}


def instruction_sizes(lines: Sequence[str]) -> list[int]:
    """Count the bytes of each line of a function; labels, words and directives have none."""
    sizes: list[int] = []
    labels: dict[str, int] = {}
    branches: list[tuple[int, int, int, str]] = []  # line, where, the reach of 16 bits, the label
    at = 0
    for number, line in enumerate(map(_line, lines)):
        sizes.append(line.bytes)
        if line.label:
            labels[line.label] = at
        elif line.reach:
            branches.append((number, at, line.reach, line.to))
        at += line.bytes
    # Branches were counted as 4 bytes: those that reach their label even so take 2.
    for number, where, reach, label in branches:
        if abs(labels[label] - where) <= reach:
            sizes[number] = 2
    return sizes


class _Line(NamedTuple):
    """What a line of a function is.

    Attributes:
        bytes: of its instruction, a branch's as if its label were far; 0 of other lines.
        label: that it defines. reach: in bytes, of a branch in 16 bits. to: the branch's label.
    """

    bytes: int
    label: str = ""
    reach: int = 0
    to: str = ""


@lru_cache(maxsize=1 << 15)  # most lines stand in a thousand functions
def _line(text: str) -> _Line:
    line = text.strip()
    if line.endswith(":"):
        return _Line(0, label=line[:-1])
    if not line[:1].isalpha():
        return _Line(0)
    mnemonic, _, operands = line.partition(" ")
    match = _BRANCH.fullmatch(mnemonic)
    if match is None:
        return _Line(instruction_bytes(line))
    reach = _CONDITION_REACH if match["condition"] else _REACH
    return _Line(instruction_bytes(line), reach=reach, to=operands)


def _function_bytes(text: str) -> int:
    """Count a function's bytes: its instructions, then its words from a multiple of four on."""
    lines = text.splitlines()
    words = sum(line.count(",") + 1 for line in lines if line.strip().startswith(".word"))
    return _aligned(sum(instruction_sizes(lines)), 4) + 4 * words


def instruction_bytes(line: str) -> int:
    """Count the bytes of an instruction, a branch's as if its label were far.

    Args:
        line: mnemonic and operands, in the form in which the kernels' writers put them.
    """
    mnemonic, _, operands = line.partition(" ")
    return 2 if _is_narrow(mnemonic, operands) else 4


def _is_narrow(mnemonic: str, operands: str) -> bool:
    if mnemonic.endswith(".w"):
        return False
    if mnemonic in _UNITS:
        return _is_narrow_access(_UNITS[mnemonic], operands)
    if mnemonic in {"ldm", "stm"}:
        base, _, registers = operands.partition(", ")
        return base.endswith("!") and base[:-1] in _LOW and _listed(registers) <= _LOW
    if mnemonic in {"push", "pop"}:
        return _listed(operands) - {"lr", "pc"} <= _LOW
    if mnemonic.startswith("it"):
        return True
    if mnemonic[:3] in {"mov", "cmp", "add", "sub"}:
        return _is_narrow_arithmetic(mnemonic, operands.split(", "))
    return False


def _is_narrow_access(unit: int, operands: str) -> bool:
    """Offsets of five bits in units of the size, of eight bits from the stack pointer."""
    match = _MEMORY.fullmatch(operands)
    if match is None or match["data"] not in _LOW:
        return False
    offset = int(match["offset"] or 0)
    if match["base"] == "sp":
        return unit == 4 and offset <= 4 * _EIGHT_BITS
    return match["base"] in _LOW and offset % unit == 0 and offset <= _FIVE_BITS * unit


def _is_narrow_arithmetic(mnemonic: str, operands: list[str]) -> bool:
    target, *rest = operands
    last = rest[-1] if rest else ""
    immediate = int(last[1:]) if last.startswith("#") else None
    if mnemonic[:3] in {"mov", "cmp"} and len(mnemonic) in {3, 5}:
        if immediate is None:
            return True
        sets_flags = mnemonic != "mov"  # or stands in an IT block, where it sets none
        return sets_flags and target in _LOW and immediate <= _EIGHT_BITS
    if mnemonic in {"add", "sub"} and "sp" in operands and immediate is not None:
        if target == "sp":
            return immediate <= 4 * _SEVEN_BITS
        return mnemonic == "add" and target in _LOW and immediate <= 4 * _EIGHT_BITS
    if mnemonic == "add" and immediate is None:
        return len(rest) == 2 and target in rest
    in_block = mnemonic[:3] in {"add", "sub"} and len(mnemonic) == 5
    if (mnemonic in {"adds", "subs"} or in_block) and immediate is not None:
        few = _EIGHT_BITS if target == rest[0] else 7
        return target in _LOW and rest[0] in _LOW and immediate <= few
    return False


def _listed(registers: str) -> set[str]:
    """Return the registers of a list."""
    found: set[str] = set()
    for part in registers.strip("{}").split(", "):
        first, _, last = part.partition("-")
        if last:
            found |= {f"r{n}" for n in range(int(first[1:]), int(last[1:]) + 1)}
        else:
            found.add(first)
    return found


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment
