"""For which registers a block costs what it was found to; places.h looks at them as it runs."""

import ctypes
from collections.abc import Sequence
from typing import Any

from hil.config.board import Board
from hil.errors import EmulatorError
from hil.targets.emulator.core.decode import Instruction
from hil.targets.emulator.timing import addresses
from hil.targets.emulator.timing.addresses import Case, CaseFinder
from hil.targets.emulator.timing.c_side import VALUE_REGISTERS, Node, Place


class Constants:
    """Tells constants, and remembers which were asked for.

    Args:
        literal: the word of constant data at an address, None where it may change.

    Attributes:
        asked: what was told, by address.
    """

    def __init__(self, literal: addresses.Literal) -> None:
        self._literal = literal
        self.asked: dict[int, int | None] = {}

    def __call__(self, address: int) -> int | None:
        """Return the word at an address."""
        word = self.asked[address] = self._literal(address)
        return word


class Places:
    """Finds the case of a block that is about to run, and tells the C side when it is that again.

    Args:
        library, places: the C side.
        board: whose memories.
        mapped: (address, bytes) of what stands for memory, now or later; what else the core loads
            is not looked at beforehand.
        read, engine: Unicorn's function that reads a register, and what it is called with.
        literal: the word of constant data at an address, None where it may change.
    """

    def __init__(
        self,
        library: Any,
        places: Any,
        board: Board,
        *,
        mapped: Sequence[tuple[int, Any]],
        read: ctypes.c_void_p,
        engine: Any,
        literal: addresses.Literal,
    ) -> None:
        self._library = library
        self._places = places
        self._mapped = mapped
        self._read, self._engine = read, engine
        self._registers = (ctypes.c_uint32 * VALUE_REGISTERS)()
        self._literal = literal
        self._finder = CaseFinder(addresses.memories_of(board), self.load)
        self._plans: dict[tuple[int, int], tuple[addresses.Plan, dict[int, int | None]]] = {}

    @property
    def memories(self) -> int:
        """How many memories can be looked at."""
        return len(self._mapped)

    def forget(self) -> None:
        """Take note that code, or constants among it, have changed."""
        self._plans.clear()

    def registers(self) -> list[int]:
        """Return r0 to r15 and s0 to s31 as they are."""
        values = self._registers
        self._library.places_registers(self._places, self._read, self._engine, values)
        return list(values)

    def case(
        self, instructions: tuple[Instruction, ...], registers: Sequence[int]
    ) -> tuple[Case, dict[int, int | None]]:
        """Return the case of a block, and the constants that it depends on, by address.

        Args:
            instructions: of the block.
            registers: that it is entered with.
        """
        begin = instructions[0].address
        here = begin, instructions[-1].end
        known = self._plans.get(here)
        if known is None:
            constants = Constants(self._literal)
            known = addresses.plan(instructions, constants), constants.asked
            self._plans[here] = known
        plan, asked = known
        loops = instructions[-1].target == begin
        return self._finder.find(plan, registers, loops=loops), asked

    def add(self, node: Node, case: Case) -> None:
        """Tell the C side for which registers a node's costs hold.

        Args:
            node: of a block.
            case: where its addresses lie.
        """
        numbers = {term: term for term in range(addresses.REGISTERS)}
        for place in case.places:
            room = True
            for term, times in place.sum.terms:
                room &= self._library.places_add_term(self._places, numbers[term], times)
                if term < addresses.REGISTERS:
                    node.placed.registers |= 1 << term
            if place.load is not None:
                numbers[place.load.term] = len(numbers)
            known = self._known(place, numbers)
            room &= self._library.places_add(
                self._places, ctypes.byref(node.placed), ctypes.byref(known)
            )
            if not room:
                raise EmulatorError(f"a block at {node.address:#010x} has too many addresses")

    def _known(self, place: addresses.Place, numbers: dict[int, int]) -> Place:
        load = place.load
        return Place(
            terms=len(place.sum.terms),
            constant=place.sum.constant,
            begin=place.begin,
            length=place.length,
            mask=place.mask,
            low=place.low,
            step=place.step or 0,
            moves_by_step=place.step is not None,
            loads=numbers[load.term] if load else 0,
            bytes=load.bytes if load else 0,
            is_signed=bool(load and load.signed),
            host=self._host_address(place.begin, place.length) if load else None,
        )

    def load(self, begin: int, length: int, address: int, size: int) -> int | None:
        """Return what memory holds, where a whole range of it can be looked at.

        Args:
            begin: of the range.
            length: of the range, in bytes.
            address: in the range.
            size: bytes of the value there.
        """
        host = self._host_address(begin, length)
        if host is None:
            return None
        return int.from_bytes(ctypes.string_at(host + address - begin, size), "little")

    def _host_address(self, address: int, length: int) -> int | None:
        for begin, memory in self._mapped:
            offset = address - begin
            if 0 <= offset <= len(memory) - length:
                # Of one byte: an array type of each size would stay for good.
                return ctypes.addressof(ctypes.c_char.from_buffer(memory)) + offset
        return None
