"""What a block's loads and stores reach: which memories, how aligned, and where that is the same.

Whether two accesses overlap depends on the memories they go to, and an unaligned one takes longer.
addresses.h follows an address through a block as a sum of registers, and cases.h says for which
registers what was found for one run of a block holds for another.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hil.config.board import Board
from hil.errors import EmulatorError
from hil.targets.emulator.core.alignment import literal_function
from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.core.instructions import MOST_INSTRUCTIONS
from hil.targets.emulator.timing.c_side import VALUE_REGISTERS, Node, Place
from hil.targets.emulator.timing.desk import (
    ACCESS_BYTES,
    MEMORY_NUMBERS,
    TERM_BYTES,
    CaseMembers,
    Facts,
    Look,
    load_library,
)

_PLACE_BYTES = ctypes.sizeof(Place)


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


class Case(NamedTuple):
    """A block's accesses for some registers, and for which others they are the same.

    Attributes:
        accesses: what each instruction reaches, an `access_t` each.
        places: what has to hold, in the order in which it is to be looked at, a `place_t` each.
        terms: of the places' sums, a `term_t` each.
        hook: where the block has first to be cut so that an address can be told, and whether an IT
            stands there; None for nowhere.
    """

    accesses: bytes
    places: bytes = b""
    terms: bytes = b""
    hook: tuple[int, bool] | None = None


class Lookout:
    """Says what blocks reach.

    Args:
        memories: all addresses, by ranges.
        literal: the word of constant data at an address, None where it may change.
    """

    def __init__(
        self, memories: Sequence[Memory], literal: Callable[[int], int | None] = lambda _: None
    ) -> None:
        self._library = load_library()
        self._buffer = bytearray(self._library.look_size())  # its pages are the system's until used
        self._look = Look.from_buffer(self._buffer)
        self._at = ctypes.addressof(self._look)
        self._found = self._at + Look.found.offset
        self.literal = self._look.literal = literal_function(literal)
        self.registers = self._look.registers
        ranges = self._look.memories
        ranges.count = len(memories)
        numbers = dict(MEMORY_NUMBERS)
        for one, memory in zip(ranges.all, memories, strict=False):
            one.begin, one.length = memory.address, memory.end - memory.address
            one.number = numbers.setdefault(memory.name, len(numbers) + 1)

    def host(self, where: Callable[[int, int], int | None]) -> None:
        """Take note where memories can be loaded from.

        Args:
            where: says where on the host a range is, by its begin and length.
        """
        ranges = self._look.memories
        for memory in ranges.all[: ranges.count]:
            memory.host = where(memory.begin, memory.length)

    def look(self, block: Instructions) -> tuple[Case, Facts]:
        """Look at a block that is about to run with `registers`.

        Returns:
            What it reaches; and what else there is to know of it, until the next look.

        Raises:
            EmulatorError: it has too many addresses, or is none that this side has room for.
        """
        count = len(block)
        if not 0 < count <= MOST_INSTRUCTIONS:
            raise EmulatorError(f"a block of {count} instructions cannot be costed")
        self._library.look_at(self._at, block.at, count)
        found = self._look.found
        if found.is_full:
            raise EmulatorError(f"a block at {block[0].address:#010x} has too many addresses")
        hook = (found.hook, bool(found.hook_decides)) if found.hook else None
        case = Case(
            self._bytes(CaseMembers.accesses, count * ACCESS_BYTES),
            self._bytes(CaseMembers.places, found.count * _PLACE_BYTES),
            self._bytes(CaseMembers.terms, found.term_count * TERM_BYTES),
            hook,
        )
        return case, self._look.facts

    def _bytes(self, member: Any, length: int) -> bytes:
        return ctypes.string_at(self._found + member.offset, length) if length else b""

    def holds(self, case: Case) -> bool:
        """Whether `registers` are those of a case."""
        count = len(case.places) // _PLACE_BYTES
        holds: bool = self._library.look_holds(self._at, case.places, count, case.terms)
        return holds

    def place(self, case: Case, places: object, node: Node) -> bool:
        """Tell the hot path for which registers a node's costs hold.

        Args:
            case: of the node's block.
            places: those of the hot path.
            node: which gains some.

        Returns:
            whether there is room.
        """
        count = len(case.places) // _PLACE_BYTES
        room: bool = not count or self._library.look_place(
            self._at, case.places, count, case.terms, places, ctypes.addressof(node.placed)
        )
        return room

    def reached(self) -> Iterator[tuple[int, int]]:
        """Yield what the last block reaches, where registers alone tell.

        The index of each instruction, and its address for `registers`.
        """
        index, address = ctypes.c_uint32(), ctypes.c_uint32()
        for number in range(self._library.look_reaches(self._at)):
            if self._library.look_reached(
                self._at, number, ctypes.byref(index), ctypes.byref(address)
            ):
                yield index.value, address.value

    def left(self) -> dict[int, int]:
        """Return what registers hold behind the last block, where registers alone tell."""
        value = ctypes.c_uint32()
        return {
            number: value.value
            for number in range(VALUE_REGISTERS)
            if self._library.look_left(self._at, number, ctypes.byref(value))
        }
