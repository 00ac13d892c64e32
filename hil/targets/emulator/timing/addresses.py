"""What a block's loads and stores reach, worked out from the registers it is entered with.

Whether two accesses overlap depends on the memories they go to, and an unaligned one takes longer.
Both are found once for a block, when it is first costed, and taken to hold from then on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.config.board import Board
from hil.targets.emulator.core.decode import MEMORY, PC, SP, Address, Instruction, Kind
from hil.targets.emulator.timing.pipeline import Access

Registers = Sequence[int]
LoadWord = Callable[[int], int | None]


@dataclass(frozen=True)
class Memory:
    """A range of addresses with its own bus slave."""

    name: str
    address: int
    end: int


def memories_of(board: Board) -> tuple[Memory, ...]:
    """Return the ranges of a board's chip that have a bus slave each.

    Its flash appears once more at 0, from where the core boots. Source: RM0090 section 2.3.
    """
    return (
        Memory("flash", 0x0000_0000, board.flash.bytes),
        *(Memory(memory.name, memory.address, memory.end) for memory in board.memories),
        Memory("peripherals", 0x4000_0000, 0xE000_0000),
        Memory("private", 0xE000_0000, 0x1_0000_0000),
    )


class AddressTracker:
    """Follows register values through a block as far as they can be known."""

    def __init__(self, memories: Sequence[Memory], load_word: LoadWord) -> None:
        self._memories = memories
        self._load_word = load_word

    def accesses(
        self, instructions: Sequence[Instruction], registers: Registers
    ) -> dict[int, Access]:
        """Return what each load and store reaches, by its instruction's address.

        Args:
            instructions: of a block.
            registers: values of r0 to r15 when it is entered.
        """
        values: list[int | None] = list(registers)
        found = {}
        for instruction in instructions:
            values[PC] = instruction.address + 4 & ~3
            address = None
            if instruction.kind in MEMORY and instruction.access is not None:
                address = self._address(instruction.access, values)
                found[instruction.address] = self._describe(address)
            self._follow(instruction, values, address)
        return found

    def _describe(self, address: int | None) -> Access:
        if address is None:
            return Access()
        for memory in self._memories:
            if memory.address <= address < memory.end:
                return Access(memory.name, address & 3)
        return Access("unknown", address & 3)

    def _address(self, access: Address, values: Sequence[int | None]) -> int | None:
        base = values[access.base] if access.base >= 0 else None
        if base is None:
            return None
        if access.index >= 0:
            index = values[access.index]
            return None if index is None else base + (index << access.shift) & 0xFFFF_FFFF
        return (base if access.post_indexed else base + access.offset) & 0xFFFF_FFFF

    def _follow(
        self, instruction: Instruction, values: list[int | None], address: int | None
    ) -> None:
        """Bring the register values up to date with an instruction."""
        access = instruction.access
        if access is not None and instruction.writes_back and access.base >= 0:
            base = values[access.base]
            values[access.base] = None if base is None else base + access.offset & 0xFFFF_FFFF
        if instruction.kind in {Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE} and access is not None:
            self._move_base(instruction, access, values)
        result = None
        if instruction.kind is Kind.LOAD and address is not None:
            result = self._loaded(instruction, address)
        elif instruction.kind is Kind.SIMPLE:
            result = _processed(instruction, values)
        for register in instruction.writes:
            values[register] = result if len(instruction.writes) == 1 else None

    def _move_base(
        self, instruction: Instruction, access: Address, values: list[int | None]
    ) -> None:
        base = values[access.base]
        if base is None or not (instruction.writes_back or access.base == SP):
            return
        down = instruction.kind is Kind.STORE_MULTIPLE and access.base == SP
        step = -4 * instruction.words if down else 4 * instruction.words
        values[access.base] = base + step & 0xFFFF_FFFF

    def _loaded(self, instruction: Instruction, address: int) -> int | None:
        word = self._load_word(address & ~3)
        if word is None or instruction.name.startswith("ldrs"):
            return None
        value = word >> 8 * (address & 3)
        return value & ((1 << 8 * instruction.access_bytes) - 1)


def _processed(instruction: Instruction, values: Sequence[int | None]) -> int | None:
    """Return the result of the data processing that addresses are made with."""
    operation = _OPERATIONS.get((instruction.name, len(instruction.sources)))
    operands = [
        value if value is None else value << source.shift
        for source in instruction.sources
        for value in [values[source.register] if source.register >= 0 else source.constant]
    ]
    if operation is None or any(operand is None for operand in operands):
        return None
    return operation(*operands) & 0xFFFF_FFFF


_OPERATIONS: dict[tuple[str, int], Callable[..., int]] = {
    ("mov", 1): lambda a: a,
    ("mvn", 1): lambda a: ~a,
    ("movt", 2): lambda a, b: a & 0xFFFF | b << 16,
    ("add", 2): lambda a, b: a + b,
    ("sub", 2): lambda a, b: a - b,
    ("rsb", 2): lambda a, b: b - a,
    ("and", 2): lambda a, b: a & b,
    ("bic", 2): lambda a, b: a & ~b,
    ("orr", 2): lambda a, b: a | b,
    ("eor", 2): lambda a, b: a ^ b,
    ("lsl", 2): lambda a, b: a << (b & 31),
    ("lsr", 2): lambda a, b: a >> (b & 31),
    ("uxtb", 1): lambda a: a & 0xFF,
    ("uxth", 1): lambda a: a & 0xFFFF,
    ("mul", 2): lambda a, b: a * b,
}
