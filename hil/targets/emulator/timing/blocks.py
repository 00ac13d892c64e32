"""A block as it was costed, and what the C side is told of it beside that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hil.targets.emulator.core.decode import SP, Instruction, Kind
from hil.targets.emulator.timing.addresses import Case
from hil.targets.emulator.timing.c_side import Transfer, Writes
from hil.targets.emulator.timing.pipeline import BlockTiming

_MASK_WRITERS = frozenset({"cps", "msr"})


@dataclass(frozen=True)
class Costed:
    """A block as it was costed for one state of the pipeline and some registers.

    Attributes:
        decode: returns its instructions; those of few blocks are asked for.
    """

    decode: Callable[[], tuple[Instruction, ...]]
    case: Case
    timing: BlockTiming

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """Its instructions, up to where it is cut."""
        return self.decode()

    @cached_property
    def issue_at(self) -> dict[int, int]:
        """When each instruction is issued, by the addresses of its halfwords."""
        return {
            address: issue
            for instruction, issue in zip(self.instructions, self.timing.issues, strict=False)
            for address in range(instruction.address, instruction.end, 2)
        }


def may_write(instructions: Sequence[Instruction]) -> Writes:
    """Return what a block may write."""
    found = Writes.NOTHING
    for instruction in instructions:
        if instruction.name in _MASK_WRITERS:
            found |= Writes.MASKS | Writes.STACK_POINTER
        if SP in instruction.writes and not _moves_by_words(instruction):
            found |= Writes.STACK_POINTER
    return found


def _moves_by_words(instruction: Instruction) -> bool:
    return instruction.name in {"add", "sub"} and all(
        source.register == SP or (source.register < 0 and source.constant % 4 == 0)
        for source in instruction.sources
    )


def transfer_of(end: Instruction) -> Transfer:
    """Return how a block ends, by its last instruction."""
    if end.name in {"bl", "blx"}:
        return Transfer.CALLS
    returns = (end.name == "bx" and end.text.endswith("lr")) or (
        end.kind is Kind.LOAD_MULTIPLE and end.loads_pc
    )
    return Transfer.RETURNS if returns else Transfer.NEITHER
