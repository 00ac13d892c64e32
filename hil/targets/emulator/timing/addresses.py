"""What a block's loads and stores reach, as sums of the registers that it is entered with.

Whether two accesses overlap depends on the memories they go to, and an unaligned one takes longer.
An address is followed as a constant and registers, each so many times, modulo 2^32; so what was
found for one run of a block is known to hold for another by looking at a few registers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hil.config.board import Board
from hil.targets.emulator.core.decode import MEMORY, PC, SP, Address, Instruction, Kind
from hil.targets.emulator.timing.pipeline import Access

Registers = Sequence[int]
Literal = Callable[[int], int | None]
"""The word of constant data at an address, None where it may change."""

_WORD = 0xFFFF_FFFF
FIRST_FLOAT, FIRST_LOADED, FIRST_OPAQUE = 16, 48, 1 << 16
"""Numbers of terms: core registers come first, then single float registers."""
REGISTERS = FIRST_LOADED
"""How many registers there are; those of the float unit hold pointers as well."""

_STORES = frozenset({Kind.STORE, Kind.STORE_MULTIPLE, Kind.FLOAT_STORE})
_MULTIPLE = frozenset({Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE})
_DOUBLE = frozenset({"ldrd", "strd"})  # with an offset, as single ones
_DOWN = frozenset({"push", "vpush", "stmdb", "ldmdb", "vstmdb", "vldmdb"})
_STACK = frozenset({"push", "pop", "vpush", "vpop"})
_ALWAYS = 14


@dataclass(frozen=True)
class Memory:
    """A range of addresses with its own bus slave, or without any."""

    name: str
    address: int
    end: int


def memories_of(board: Board) -> tuple[Memory, ...]:
    """Return the ranges of a board's chip that have a bus slave each, and those between.

    Its flash appears once more at 0, from where the core boots. Source: RM0090 section 2.3.
    """
    known = (
        Memory("flash", 0x0000_0000, board.flash.bytes),
        *(Memory(memory.name, memory.address, memory.end) for memory in board.memories),
        *_peripherals(board),
        Memory("private", 0xE000_0000, 0x1_0000_0000),
    )
    return tuple(_without_gaps(sorted(known, key=lambda memory: memory.address)))


def _peripherals(board: Board) -> Iterator[Memory]:
    """Yield what of the peripherals' range is before and behind a memory outside the chip."""
    begin, end = 0x4000_0000, 0xE000_0000
    outside = board.external
    if outside is not None:
        yield Memory("peripherals", begin, outside.address)
        begin = outside.end
    yield Memory("peripherals", begin, end)


def _without_gaps(memories: Sequence[Memory]) -> Iterator[Memory]:
    end = 0
    for memory in memories:
        if memory.address > end:
            yield Memory("unknown", end, memory.address)
        yield memory
        end = memory.end


@dataclass(frozen=True)
class Sum:
    """A value: a constant and terms, each so many times, modulo 2^32.

    Attributes:
        terms: (number, times), by number, none of them zero times. The first are the registers that
            the block is entered with, r0 to r15 and from `FIRST_FLOAT` on s0 to s31; from
            `FIRST_LOADED` on it is what the block loads, and from `FIRST_OPAQUE` on values of which
            nothing is told.
    """

    terms: tuple[tuple[int, int], ...] = ()
    constant: int = 0

    def plus(self, other: "Sum") -> "Sum":
        """Return the sum of two."""
        if not other.terms:  # most are constants
            return Sum(self.terms, self.constant + other.constant & _WORD)
        times = dict(self.terms)
        for term, more in other.terms:
            times[term] = times.get(term, 0) + more & _WORD
        terms = tuple(sorted((t, n) for t, n in times.items() if n))
        return Sum(terms, self.constant + other.constant & _WORD)

    def times(self, factor: int) -> "Sum":
        """Return a multiple."""
        if factor == 1:
            return self
        terms = ((term, n * factor & _WORD) for term, n in self.terms)
        return Sum(tuple((t, n) for t, n in terms if n), self.constant * factor & _WORD)

    def value(self, values: Mapping[int, int] | Registers) -> int:
        """Return what it comes to for given values of its terms."""
        return sum((values[t] * n for t, n in self.terms), self.constant) & _WORD


@dataclass(frozen=True)
class Load:
    """A value that a block loads.

    Attributes:
        term: its number in sums.
        at: its address.
        stores: (address, bytes) of what the block stores before.
    """

    term: int
    at: Sum
    bytes: int
    signed: bool
    stores: tuple[tuple[Sum, int], ...]


@dataclass(frozen=True)
class Reach:
    """What a load or store reaches.

    Attributes:
        instruction: its address.
        at: the lowest address accessed.
        mask: the low bits of that address on which its cost depends.
    """

    instruction: int
    at: Sum
    mask: int


@dataclass(frozen=True)
class Plan:
    """What can be told of a block's addresses.

    Attributes:
        after: the registers behind the block.
    """

    reaches: tuple[Reach, ...]
    loads: tuple[Load, ...]
    after: tuple[Sum, ...]


@dataclass(frozen=True)
class Place:
    """What has to hold of a sum for a block to cost what it was found to.

    Attributes:
        sum: of the registers that the block is entered with, and of what it loads.
        begin, length: the sum lies there,
        mask, low: and these of its bits are those.
        step: by how much a run of the block moves it; None where that cannot be told.
        load: what the block loads from there, where later sums hold it.
    """

    sum: Sum
    begin: int
    length: int
    mask: int = 0
    low: int = 0
    step: int | None = None
    load: Load | None = None


@dataclass(frozen=True)
class Case:
    """A block's accesses for some registers, and for which others they are the same.

    Attributes:
        accesses: by the instruction's address.
        places: what has to hold, in the order in which it is to be looked at.
        untold: accesses of which nothing is told before the block.
    """

    accesses: Mapping[int, Access] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    untold: frozenset[int] = frozenset()


def plan(instructions: Sequence[Instruction], literal: Literal) -> Plan:
    """Follow the registers through a block.

    Args:
        instructions: of the block.
        literal: constant data that the block may load.
    """
    return _Follower(literal).follow(instructions)


class CaseFinder:
    """Says which memories a block's accesses go to, and how they are aligned.

    Args:
        memories: all addresses, by ranges.
        load: by the begin and length of a range that can be loaded from, an address in it and a
            number of bytes, the value there; None where it cannot be known beforehand, as of a
            device's register.
    """

    def __init__(
        self, memories: Sequence[Memory], load: Callable[[int, int, int, int], int | None]
    ) -> None:
        self._memories = memories
        self._load = load

    def find(self, block: Plan, registers: Registers, *, loops: bool) -> Case:
        """Return the case of a block that is entered with these registers.

        Args:
            block: what can be told of its addresses.
            registers: r0 to r15, s0 to s31.
            loops: whether the block may go on to itself.
        """
        values = dict(enumerate(registers))
        places = list(self._loaded(block, values))
        accesses, untold = {}, set()
        alike: dict[tuple[tuple[int, int], ...], list[tuple[int, Sum]]] = {}
        for reach in block.reaches:
            at = self._told(reach, values)
            if at is None:
                accesses[reach.instruction] = Access()
                untold.add(reach.instruction)
                continue
            address = at.value(values)
            accesses[reach.instruction] = Access(self._memory(address).name, address & 3)
            if at.terms:
                alike.setdefault(at.terms, []).append((reach.mask, at))
        after = block.after if loops else ()
        for those in alike.values():
            places += self._places(those, values, after)
        return Case(accesses, tuple(places), frozenset(untold))

    def _memory(self, address: int) -> Memory:
        return next(m for m in self._memories if m.address <= address < m.end)

    def _told(self, reach: Reach, values: Mapping[int, int]) -> Sum | None:
        """Return an access's address, or that of what it is an index into.

        An index of which nothing is told is taken to stay in its table's memory.
        """
        opaque = [(term, times) for term, times in reach.at.terms if term not in values]
        if not opaque:
            return reach.at
        terms = tuple(one for one in reach.at.terms if one not in opaque)
        table = Sum(terms, reach.at.constant)
        memory = self._memory(table.value(values))
        is_table = memory.name != "unknown" and memory.address != 0
        aligned = not any(times & reach.mask for _, times in opaque)
        return table if is_table and aligned else None

    def _loaded(self, block: Plan, values: dict[int, int]) -> Iterator[Place]:
        """Load what addresses are made of; yield what has to hold for that to be right."""
        needed = {term for reach in block.reaches for term, _ in reach.at.terms}
        for load in reversed(block.loads):
            if load.term in needed:
                needed |= {term for term, _ in load.at.terms}
        for load in block.loads:
            if load.term not in needed or any(term not in values for term, _ in load.at.terms):
                continue
            address = load.at.value(values)
            apart = [self._apart(load, at, size, values) for at, size in load.stores]
            memory = self._memory(address)
            begin, length = memory.address, memory.end - memory.address
            value = self._load(begin, length, address, load.bytes)
            if value is None or any(place is None for place in apart):
                continue
            yield from (place for place in apart if place is not None and place.sum.terms)
            yield Place(load.at, begin, length - load.bytes + 1, load=load)
            sign = 1 << 8 * load.bytes - 1 if load.signed else 0
            values[load.term] = (value ^ sign) - sign & _WORD

    def _apart(self, load: Load, at: Sum, size: int, values: Mapping[int, int]) -> Place | None:
        """Return what has to hold for a store not to change what is loaded, None if it does not."""
        if any(term not in values for term, _ in at.terms):
            return Place(Sum(), 0, 0)  # nothing is known of it: taken to go elsewhere
        between = load.at.plus(at.times(-1))
        length = (1 << 32) - size - load.bytes + 1
        inside = between.value(values) - size & _WORD
        return Place(between, size, length) if inside < length else None

    def _places(
        self,
        those: Sequence[tuple[int, Sum]],
        values: Mapping[int, int],
        after: Sequence[Sum],
    ) -> Iterator[Place]:
        """Yield what has to hold of accesses that differ by constants: once for all, if it can."""
        ordered = sorted(those, key=lambda one: one[1].value(values))
        first, last = ordered[0][1], ordered[-1][1]
        memory = self._memory(first.value(values))
        span = last.value(values) - first.value(values)
        step = _step(first, after)
        if first.value(values) + span < memory.end:
            mask = max(mask for mask, _ in those)
            low = first.value(values) & mask
            length = memory.end - memory.address - span
            yield Place(first, memory.address, length, mask, low, step)
            return
        for mask, at in ordered:
            memory = self._memory(at.value(values))
            low = at.value(values) & mask
            yield Place(at, memory.address, memory.end - memory.address, mask, low, step)


def _step(value: Sum, after: Sequence[Sum]) -> int | None:
    """Return by how much a value is another one behind the block, where that is a constant."""
    if not after or any(term >= FIRST_LOADED for term, _ in value.terms):
        return None
    moved = Sum((), value.constant)
    for register, times in value.terms:
        moved = moved.plus(after[register].times(times))
    return moved.constant - value.constant & _WORD if moved.terms == value.terms else None


def _mask(instruction: Instruction) -> int:
    """Return the low bits of an address on which the instruction's cost depends."""
    if instruction.kind not in {Kind.LOAD, Kind.STORE}:
        return 0  # by bytes, or trapping when it is unaligned
    return instruction.access_bytes - 1


def _moves_base(instruction: Instruction) -> bool:
    return instruction.kind in MEMORY and (instruction.writes_back or instruction.name in _STACK)


def _base_step(instruction: Instruction, access: Address) -> int:
    if instruction.kind in _MULTIPLE and instruction.name not in _DOUBLE:
        return (-4 if instruction.name in _DOWN else 4) * instruction.words
    return access.offset


def _bytes_of(instruction: Instruction) -> int:
    """Return how much memory a load or store reaches."""
    if instruction.kind in {Kind.FLOAT_LOAD, Kind.FLOAT_STORE}:
        return 8 if instruction.double else 4
    return 4 * instruction.words if instruction.kind in _MULTIPLE else instruction.access_bytes


_AT_ENTRY = tuple(Sum(((register, 1),)) for register in range(REGISTERS))
"""Registers as sums of what they hold when a block is entered: each is itself."""


class _Follower:
    """Follows the registers through a block."""

    def __init__(self, literal: Literal) -> None:
        self._literal = literal
        self._values = list(_AT_ENTRY)
        self._loads: list[Load] = []
        self._stores: list[tuple[Sum, int]] = []
        self._opaque = FIRST_OPAQUE

    def follow(self, instructions: Sequence[Instruction]) -> Plan:
        reaches = []
        for instruction in instructions:
            self._values[PC] = Sum((), instruction.address + 4 & ~3)
            at = None
            if instruction.kind in MEMORY and instruction.access is not None:
                at = self._address(instruction, instruction.access)
                reaches.append(Reach(instruction.address, at, _mask(instruction)))
            self._step(instruction, at)
        return Plan(tuple(reaches), tuple(self._loads), tuple(self._values))

    def _untold(self) -> Sum:
        self._opaque += 1
        return Sum(((self._opaque, 1),))

    def _address(self, instruction: Instruction, access: Address) -> Sum:
        base = self._values[access.base] if access.base >= 0 else self._untold()
        if access.index >= 0:
            return base.plus(self._values[access.index].times(1 << access.shift))
        if instruction.name in _DOWN:
            return base.plus(Sum((), -4 * instruction.words & _WORD))
        return base if access.post_indexed else base.plus(Sum((), access.offset & _WORD))

    def _step(self, instruction: Instruction, at: Sum | None) -> None:
        """Bring the registers up to date with an instruction."""
        changed: dict[int, Sum] = {}
        access = instruction.access
        if access is not None and access.base >= 0 and _moves_base(instruction):
            step = _base_step(instruction, access)
            changed[access.base] = self._values[access.base].plus(Sum((), step & _WORD))
        result = None
        if instruction.kind is Kind.SIMPLE and len(instruction.writes) == 1:
            result = _processed(instruction, self._values)
        written = (*instruction.writes, *(FIRST_FLOAT + n for n in instruction.float_writes))
        if instruction.kind is Kind.FLOAT_MOVE and len(written) == 1 and instruction.operands == 2:
            result = self._moved(instruction)
        changed |= {register: result or self._untold() for register in written}
        if at is not None and instruction.loads:
            changed |= self._loaded(instruction, at)
        if instruction.name.startswith("strex") or instruction.text == "?":
            # The decoder does not say what it writes.
            changed = {register: self._untold() for register in range(REGISTERS)}
        if instruction.name == "msr":
            changed[SP] = self._untold()
        for register, value in changed.items():
            sure = instruction.condition == _ALWAYS or value == self._values[register]
            self._values[register] = value if sure else self._untold()
        if at is not None and instruction.kind in _STORES:
            self._stores.append((at, _bytes_of(instruction)))

    def _moved(self, instruction: Instruction) -> Sum | None:
        """Return what a move between core and float unit moves."""
        if len(instruction.sources) == 1:
            return self._values[instruction.sources[0].register]
        if len(instruction.float_reads) == 1:
            return self._values[FIRST_FLOAT + min(instruction.float_reads)]
        return None

    def _loaded(self, instruction: Instruction, at: Sum) -> dict[int, Sum]:
        """Return what an instruction loads, by register."""
        if instruction.condition != _ALWAYS or instruction.name.startswith("ldrex"):
            return {}
        found = {}
        for index, register in enumerate(instruction.loads):
            address = at.plus(Sum((), 4 * index))
            if register < 0:
                continue
            word = self._literal(address.constant) if not address.terms else None
            if word is not None and instruction.access_bytes == 4:
                found[register] = Sum((), word)
                continue
            load = Load(
                FIRST_LOADED + len(self._loads),
                address,
                instruction.access_bytes,
                instruction.name.startswith("ldrs"),
                tuple(self._stores),
            )
            self._loads.append(load)
            found[register] = Sum(((load.term, 1),))
        return {register: value for register, value in found.items() if register != PC}


def _processed(instruction: Instruction, values: Sequence[Sum]) -> Sum | None:
    """Return the result of the data processing that addresses are made with."""
    operands = []
    for source in instruction.sources:
        value = Sum((), source.constant & _WORD)
        if source.register == PC and not _is_adr(instruction):
            return None
        if source.register >= 0:
            value = values[source.register]
        operands.append(value.times(1 << source.shift))
    key = instruction.name, len(operands)
    if key in _OF_CONSTANTS:
        constants = [operand.constant for operand in operands if not operand.terms]
        if len(constants) == len(operands):
            return Sum((), _OF_CONSTANTS[key](*constants) & _WORD)
        return None
    operation = _OF_SUMS.get(key)
    return operation(*operands) if operation else None


def _is_adr(instruction: Instruction) -> bool:
    """Whether it adds a constant to PC: then PC is taken as that of a word."""
    return (
        instruction.name in {"add", "sub", "adr"}
        and len(instruction.sources) == 2
        and instruction.sources[1].register < 0
    )


def _multiplied(a: Sum, b: Sum) -> Sum | None:
    if not a.terms:
        return b.times(a.constant)
    return None if b.terms else a.times(b.constant)


def _shifted(a: Sum, by: Sum) -> Sum | None:
    return None if by.terms or by.constant > 31 else a.times(1 << by.constant)


_OF_SUMS: dict[tuple[str, int], Callable[..., Sum | None]] = {
    ("mov", 1): lambda a: a,
    ("mvn", 1): lambda a: a.times(-1).plus(Sum((), _WORD)),
    ("add", 2): lambda a, b: a.plus(b),
    ("sub", 2): lambda a, b: a.plus(b.times(-1)),
    ("rsb", 2): lambda a, b: b.plus(a.times(-1)),
    ("lsl", 2): _shifted,
    ("mul", 2): _multiplied,
}
_OF_CONSTANTS: dict[tuple[str, int], Callable[..., int]] = {
    ("movt", 2): lambda a, b: a & 0xFFFF | b << 16,
    ("and", 2): lambda a, b: a & b,
    ("bic", 2): lambda a, b: a & ~b,
    ("orr", 2): lambda a, b: a | b,
    ("eor", 2): lambda a, b: a ^ b,
    ("lsr", 2): lambda a, b: a >> b if b < 32 else 0,
    ("uxtb", 1): lambda a: a & 0xFF,
    ("uxth", 1): lambda a: a & 0xFFFF,
}
