"""What blocks reach, with registers and memory as they are; places.h asks again as they run."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from hil.config.board import Board
from hil.errors import EmulatorError
from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.timing import addresses
from hil.targets.emulator.timing.addresses import Case, Lookout
from hil.targets.emulator.timing.c_side import Node
from hil.targets.emulator.timing.desk import Facts


class Places:
    """Finds the case of a block that is about to run, and tells the C side when it is that again.

    Args:
        library, places: the C side.
        board: whose memories.
        mapped: (address, bytes) of what stands for memory, now or later; what else the core loads
            is not looked at beforehand.
        read, engine: Unicorn's function that reads a register, and what it is called with.
        literal: the word of constant data at an address, None where it may change.

    Attributes:
        asked: constants that were asked for since it was last cleared, by address.
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
        literal: Callable[[int], int | None],
    ) -> None:
        self._library = library
        self._places = places
        self._mapped = mapped
        self._read, self._engine = read, engine
        self._literal = literal
        self.asked: dict[int, int | None] = {}
        self._lookout = Lookout(addresses.memories_of(board), self._constant)
        self._hosts = 0

    @property
    def memories(self) -> int:
        """How many memories can be looked at."""
        return len(self._mapped)

    @property
    def literal(self) -> Any:
        """Constants, as C asks for them."""
        return self._lookout.literal

    def _constant(self, address: int) -> int | None:
        word = self.asked[address] = self._literal(address)
        return word

    def take_registers(self) -> None:
        """Take r0 to r15 and s0 to s31, and the memories, as they are."""
        if self._hosts != len(self._mapped):
            self._hosts = len(self._mapped)
            self._lookout.host(self._host_address)
        self._library.places_registers(
            self._places, self._read, self._engine, self._lookout.registers
        )

    def case(self, block: Instructions) -> tuple[Case, Facts]:
        """Return the case of a block that is about to run, and what else there is to know of it.

        Args:
            block: its instructions.

        Raises:
            EmulatorError: it has too many addresses.
        """
        return self._lookout.look(block)

    def holds(self, case: Case) -> bool:
        """Whether the registers that were taken are those of a case."""
        return self._lookout.holds(case)

    def add(self, node: Node, case: Case) -> None:
        """Tell the C side for which registers a node's costs hold.

        Args:
            node: of a block.
            case: where its addresses lie.

        Raises:
            EmulatorError: there is no room.
        """
        if not self._lookout.place(case, self._places, node):
            raise EmulatorError(f"a block at {node.address:#010x} has too many addresses")

    def _host_address(self, address: int, length: int) -> int | None:
        for begin, memory in self._mapped:
            offset = address - begin
            if 0 <= offset <= len(memory) - length:
                # Of one byte: an array type of each size would stay for good.
                return ctypes.addressof(ctypes.c_char.from_buffer(memory)) + offset
        return None
