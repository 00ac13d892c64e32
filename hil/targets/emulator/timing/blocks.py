"""A block as it was costed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.timing.addresses import Case
from hil.targets.emulator.timing.pipeline import BlockTiming


@dataclass(frozen=True)
class Costed:
    """A block as it was costed for one state of the pipeline and some registers.

    Attributes:
        decode: returns its instructions; those of few blocks are asked for.
    """

    decode: Callable[[], Instructions]
    case: Case
    timing: BlockTiming

    @cached_property
    def instructions(self) -> Instructions:
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
