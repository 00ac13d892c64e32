"""What ran between two visits of the same block: the counts of the edges say."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from hil.targets.emulator.core.clock import Mark
from hil.targets.emulator.core.instructions import Instruction, Kind
from hil.targets.emulator.timing.c_side import Head, Node

_NONE = 0xFFFF_FFFF
_MOST_BLOCKS = 24
_WRITES = frozenset({Kind.STORE, Kind.STORE_MULTIPLE, Kind.FLOAT_STORE})


class Loops:
    """Tells of loops whether they change anything.

    Args:
        library, buffer, head: the timing core's.
        instructions_of: those of a block, by its number; none where that is not known.
    """

    def __init__(
        self,
        library: Any,
        buffer: Any,
        head: Head,
        instructions_of: Callable[[int], Sequence[Instruction]],
    ) -> None:
        self._library = library
        self._buffer = buffer
        self._head = head
        self._instructions_of = instructions_of
        self._base = ctypes.addressof(library.timing_node(buffer, 0).contents)

    def mark(self) -> Mark | None:
        """Note the counts of the blocks that may follow the one that runs; None where none does."""
        start = self._library.timing_current(self._buffer)
        if start == _NONE:
            return None
        counts: dict[int, tuple[int, int]] = {}
        waiting = [start]
        while waiting and len(counts) < _MOST_BLOCKS:
            index = waiting.pop(0)
            if index in counts:
                continue
            node = self._library.timing_node(self._buffer, index).contents
            counts[index] = (node.fall_through.count, node.taken.count)
            following = (edge.next for edge in (node.fall_through, node.taken) if edge.next)
            waiting += [(at - self._base) // ctypes.sizeof(Node) for at in following]
        return counts

    def is_pure(self, before: Mark | None, after: Mark | None) -> bool:
        """Whether the one round between two marks wrote core registers alone.

        Args:
            before: the mark at the round's beginning.
            after: the mark at its end.
        """
        if before is None or after is None or before.keys() != after.keys():
            return False
        ran = [index for index, counts in after.items() if counts != before[index]]
        if not ran or any(sum(after[i]) - sum(before[i]) != 1 for i in ran):
            return False
        return all(self._writes_nothing(index) for index in ran)

    def _writes_nothing(self, index: int) -> bool:
        instructions = self._instructions_of(index)
        return bool(instructions) and not any(
            one.kind in _WRITES or one.writes_masks or one.is_float for one in instructions
        )

    def skip(self, cycles: int, instructions: int) -> None:
        """Charge whole rounds; what the flash has under way is as far at their end.

        Args:
            cycles: of all rounds.
            instructions: of all rounds.
        """
        head = self._head
        head.run.cycles += cycles
        head.run.instructions += instructions
        head.prefetch_ready += cycles
        head.flash_free += cycles
