"""The core's pipeline: what a block of code costs when the flash never makes it wait.

pipeline.h works it out; this side gives it the rules and takes the results.
"""

import ctypes
import struct
from array import array
from dataclasses import astuple
from typing import Any, NamedTuple

from hil.errors import UsageError
from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.core.instructions import Instruction
from hil.targets.emulator.timing.desk import (
    MOST_QUEUE,
    Cause,
    Cost,
    LineFetch,
    RuleValues,
    StateMembers,
    load_library,
)
from hil.targets.emulator.timing.rules import Rules

_LEAST_QUEUE = 2  # words: an instruction may take as many
_MEMBER = "I"  # of arrays
_MEMBER_BYTES = array(_MEMBER).itemsize
_LINE_BYTES = ctypes.sizeof(LineFetch)
_MEMBERS: Any = StateMembers
_CONDITION_COUNT, _CONDITIONS = _MEMBERS.condition_count.offset, _MEMBERS.conditions.offset
_EXIT = struct.Struct(f"={1 + len(Cause)}I{ctypes.sizeof(StateMembers)}s")  # an `exit_t`


class State(bytes):
    """What the pipeline still has under way between two instructions: the bytes of a `state_t`."""

    __slots__ = ()

    @property
    def conditions(self) -> bytes:
        """Those of the remaining instructions of an IT block."""
        return self[_CONDITIONS : _CONDITIONS + self[_CONDITION_COUNT]]

    def where(self, outcome: int) -> "State":
        """Return the same with another outcome of the IT that comes next.

        Args:
            outcome: `CONDITION_HOLDS` or what core.c has for one that fails.
        """
        members = StateMembers.from_buffer_copy(self)
        members.outcome = outcome
        return State(bytes(members))


# Where nothing is known of what went before, the pipeline is empty and code is asked for anew.
FRESH = State(bytes(StateMembers(branched=1, wide_run=-1)))


class Exit(NamedTuple):
    """The end of a block one way: its cost in all and by cause, and what goes on behind it."""

    cost: int
    by_cause: tuple[int, ...]
    state: State


class BlockTiming(NamedTuple):
    """A block's cost.

    Attributes:
        issued: cycle at which each instruction issues, four bytes for each.
        line_fetches: the lines of code that the flash reads, each a `line_fetch_t`.
        fall_through, taken: the end of the block when the next one follows it in memory, or not.
    """

    issued: bytes
    line_fetches: bytes
    fall_through: Exit
    taken: Exit

    @property
    def issues(self) -> tuple[int, ...]:
        """Cycle at which each instruction issues."""
        return tuple(array(_MEMBER, self.issued))

    @property
    def lines(self) -> int:
        """How many lines of code there are."""
        return len(self.line_fetches) // _LINE_BYTES


class Pipeline:
    """Costs blocks.

    Args:
        rules: by which.
        line_bytes: of a line of the flash.
    """

    def __init__(self, rules: Rules, line_bytes: int) -> None:
        queues = rules.fetch_queue, rules.fetch_queue_with_cache
        if not _LEAST_QUEUE <= min(queues) <= max(queues) <= MOST_QUEUE:
            raise UsageError(
                f"a fetch unit of {queues[0]} or {queues[1]} words",
                hint=f"the model holds {_LEAST_QUEUE} to {MOST_QUEUE}",
            )
        self._rules = RuleValues(*astuple(rules))
        self._line_bytes = line_bytes
        self._cost = Cost()
        self._at = ctypes.addressof(self._cost)

    def cost(
        self, block: Instructions, state: State, accesses: bytes, *, cached: bool
    ) -> BlockTiming:
        """Cost a block entered in a state.

        Args:
            block: its instructions.
            state: of the pipeline before it.
            accesses: what its instructions reach, each an `access_t`.
            cached: whether the flash's instruction cache is on.
        """
        found, count = self._cost, len(block)
        load_library().pipeline_cost(
            block.at,
            count,
            state,
            ctypes.addressof(self._rules),
            accesses,
            cached,
            self._line_bytes,
            self._at,
        )
        fall = self._exit(Cost.fall_through.offset)
        ends_alike = not block[count - 1].leaves
        return BlockTiming(
            self._bytes(Cost.issues.offset, count * _MEMBER_BYTES),
            self._bytes(Cost.line.offset, found.lines * _LINE_BYTES),
            fall,
            fall if ends_alike else self._exit(Cost.taken.offset),
        )

    def _bytes(self, offset: int, length: int) -> bytes:
        return ctypes.string_at(self._at + offset, length)

    def _exit(self, offset: int) -> Exit:
        cost, *by_cause, state = _EXIT.unpack_from(self._cost, offset)
        return Exit(cost, tuple(by_cause), State(state))


def depends_on_outcome(instruction: Instruction) -> bool:
    """Whether an instruction in an IT block takes another time when it is skipped."""
    depends: bool = load_library().pipeline_depends_on_outcome(ctypes.byref(instruction))
    return depends
