"""Loads and stores that trap when their address is unaligned, and how that is seen beforehand.

Unicorn executes them at any address. So a block is looked through when it is first met: the two
lowest bits of an address are worked out as a sum of the registers that the block is entered with,
and those sums are checked whenever it is entered again. Where an address depends on what the block
itself loads, a check stands further on, at an instruction from which it can be told.

Source: ARM DDI 0403E A3.2.1 (which accesses trap), B3.2.8 (CCR.UNALIGN_TRP).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.targets.emulator.core.decode import PC, SP, Instruction, Kind

_MULTIPLE = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE})
_ALWAYS_BY_WORDS = _MULTIPLE | {Kind.FLOAT_LOAD, Kind.FLOAT_STORE}
_EXCLUSIVE = {"ldrex": 3, "strex": 3, "ldrexh": 1, "strexh": 1}
_REGISTERS = 16
_NONE = (0,) * _REGISTERS
_ALWAYS = 14


@dataclass(frozen=True)
class LowBits:
    """The two lowest bits of a value: an offset and registers, each so many times, modulo 4."""

    weights: tuple[int, ...] = _NONE
    offset: int = 0

    def plus(self, other: "LowBits") -> "LowBits":
        """Return the low bits of a sum."""
        if other.weights == _NONE:  # most are constants
            return LowBits(self.weights, self.offset + other.offset & 3)
        pairs = zip(self.weights, other.weights, strict=True)
        return LowBits(tuple(a + b & 3 for a, b in pairs), self.offset + other.offset & 3)

    def times(self, factor: int) -> "LowBits":
        """Return the low bits of a multiple."""
        if factor == 1:
            return self
        return LowBits(tuple(w * factor & 3 for w in self.weights), self.offset * factor & 3)

    def never_meets(self, mask: int) -> bool:
        """Whether the bits of a mask are clear whatever the registers hold."""
        return not any(w & mask for w in self.weights) and not self.offset & mask

    def value(self, registers: Sequence[int]) -> int:
        """Return the low bits for given registers, r0 to r15."""
        pairs = zip(self.weights, registers, strict=True)
        return sum((w * r for w, r in pairs), self.offset) & 3


@dataclass(frozen=True)
class Check:
    """An access at `address` traps when its own address has a bit of `mask` set."""

    address: int
    low: LowBits
    mask: int

    @property
    def packed_weights(self) -> int:
        """Two bits for each register, r0 lowest."""
        return sum(weight << 2 * register for register, weight in enumerate(self.low.weights))


@dataclass(frozen=True)
class Plan:
    """Where a block has to be checked.

    Attributes:
        checks: by the address of the instruction before which they are made, the block's first
            one first.
        untold: accesses whose address nothing tells before the instruction itself is reached.
    """

    checks: dict[int, tuple[Check, ...]]
    untold: frozenset[int]


def forbidden_bits(instruction: Instruction, *, all_trap: bool) -> int:
    """Return which low bits of an instruction's data address make it trap.

    Args:
        instruction: any.
        all_trap: CCR.UNALIGN_TRP.
    """
    if instruction.access is None:
        return 0
    if instruction.kind in _ALWAYS_BY_WORDS:
        return 3
    if instruction.name in _EXCLUSIVE:
        return _EXCLUSIVE[instruction.name]
    if all_trap and instruction.kind in {Kind.LOAD, Kind.STORE}:
        return instruction.access_bytes - 1
    return 1 if all_trap and instruction.name == "tbh" else 0


def plan(
    instructions: Sequence[Instruction],
    forbidden: Callable[[Instruction], int],
    literal: Callable[[int], int | None],
) -> Plan:
    """Say what to check where, so that no access of a block is unaligned unseen.

    Args:
        instructions: of the block.
        forbidden: as `forbidden_bits`.
        literal: the word of constant data at an address, None where it may change.
    """
    checks: dict[int, dict[tuple[LowBits, int], Check]] = {}
    untold = set()
    begin = index = 0
    covering_it: int | None = None
    values = _fresh()
    while index < len(instructions):
        instruction = instructions[index]
        if instruction.kind is Kind.IT:
            covering_it = index
        if mask := forbidden(instruction):
            low = _address(instruction, values)
            if low is None:
                # A run cannot be stopped inside an IT block, so the check goes before it.
                again = index if instruction.condition == _ALWAYS else covering_it
                if again is not None and again > begin:
                    begin = index = again
                    values = _fresh()
                    continue
                untold.add(instruction.address)
            elif not low.never_meets(mask):
                here = checks.setdefault(instructions[begin].address, {})
                here.setdefault((low, mask), Check(instruction.address, low, mask))
        _follow(instruction, values, literal)
        index += 1
    return Plan({at: tuple(found.values()) for at, found in checks.items()}, frozenset(untold))


def is_unaligned(instruction: Instruction, registers: Sequence[int], *, all_trap: bool) -> bool:
    """Whether an instruction about to execute would trap.

    Args:
        instruction: the one.
        registers: r0 to r15.
        all_trap: CCR.UNALIGN_TRP.
    """
    mask = forbidden_bits(instruction, all_trap=all_trap)
    low = _address(instruction, _fresh()) if mask else None
    return low is not None and bool(low.value(registers) & mask)


_WORD = LowBits()
_AT_ENTRY = tuple(
    _WORD if register in {SP, PC} else LowBits(tuple(int(i == register) for i in range(_REGISTERS)))
    for register in range(_REGISTERS)
)
"""Registers of which nothing is known but that SP and PC are those of words."""


def _fresh() -> list[LowBits | None]:
    return list(_AT_ENTRY)


def _address(instruction: Instruction, values: Sequence[LowBits | None]) -> LowBits | None:
    access = instruction.access
    base = values[access.base] if access is not None and access.base >= 0 else None
    if access is None or base is None:
        return None
    if access.index >= 0:
        index = values[access.index]
        return None if index is None else base.plus(index.times(1 << access.shift))
    return base if access.post_indexed else base.plus(LowBits(offset=access.offset & 3))


def _follow(
    instruction: Instruction,
    values: list[LowBits | None],
    literal: Callable[[int], int | None],
) -> None:
    """Bring the registers' low bits up to date with an instruction."""
    result = _result(instruction, values, literal)
    changed = {r: result if len(instruction.writes) == 1 else None for r in instruction.writes}
    access = instruction.access
    if instruction.writes_back and access is not None:
        # A multiple one moves its base by words; it is among what it writes only when loaded.
        base = values[access.base]
        if instruction.kind is not Kind.LOAD_MULTIPLE or access.base not in changed:
            changed[access.base] = base and base.plus(LowBits(offset=access.offset & 3))
    if instruction.name.startswith("strex"):
        changed = dict.fromkeys(range(_REGISTERS))  # the decoder does not say where its result goes
    for register, value in changed.items():
        if instruction.condition == _ALWAYS or value == values[register]:
            values[register] = value
        else:
            values[register] = None
    values[SP] = values[PC] = _WORD


def _result(
    instruction: Instruction,
    values: Sequence[LowBits | None],
    literal: Callable[[int], int | None],
) -> LowBits | None:
    """Return the low bits of what an instruction writes, where they can be told."""
    access = instruction.access
    if instruction.name == "ldr" and access is not None and access.base == PC and access.index < 0:
        word = literal((instruction.address + 4 & ~3) + access.offset)
        return None if word is None else LowBits(offset=word & 3)
    if instruction.kind is not Kind.SIMPLE:
        return None
    operands = []
    for source in instruction.sources:
        value = values[source.register] if source.register >= 0 else None
        if source.register < 0:
            value = LowBits(offset=source.constant & 3)
        if value is None:
            return None
        operands.append(value.times(1 << source.shift))
    if instruction.name == "lsl" and len(operands) == 2 and instruction.sources[1].register < 0:
        return operands[0].times(1 << instruction.sources[1].constant)
    operation = _OPERATIONS.get((instruction.name, len(operands)))
    return operation(*operands) if operation else None


def _masked(value: LowBits, mask: LowBits) -> LowBits | None:
    return {0: LowBits(), 3: value}.get(_constant(mask))


def _constant(value: LowBits) -> int:
    """Return a constant's low bits, or -1."""
    return -1 if any(value.weights) else value.offset


def _inverted(value: LowBits) -> LowBits:
    return value.times(-1).plus(LowBits(offset=3))


def _set(value: LowBits, bits: LowBits) -> LowBits | None:
    return {0: value, 3: LowBits(offset=3)}.get(_constant(bits))


def _multiplied(a: LowBits, b: LowBits) -> LowBits | None:
    if _constant(a) >= 0:
        return b.times(a.offset)
    return a.times(b.offset) if _constant(b) >= 0 else None


_OPERATIONS: dict[tuple[str, int], Callable[..., LowBits | None]] = {
    ("mov", 1): lambda a: a,
    ("adr", 1): lambda a: a,
    ("movt", 2): lambda a, _: a,
    ("mvn", 1): _inverted,
    ("add", 2): lambda a, b: a.plus(b),
    ("sub", 2): lambda a, b: a.plus(b.times(-1)),
    ("rsb", 2): lambda a, b: b.plus(a.times(-1)),
    ("and", 2): _masked,
    ("bic", 2): lambda a, b: _masked(a, _inverted(b)),
    ("orr", 2): _set,
    ("eor", 2): lambda a, b: a if _constant(b) == 0 else None,
    ("mul", 2): _multiplied,
    **{(name, 1): lambda a: a for name in ("uxtb", "uxth", "sxtb", "sxth")},
}
