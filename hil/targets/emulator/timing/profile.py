"""What cycles were spent on: in all, and by block."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.targets.emulator.core.instructions import Instruction


@dataclass(frozen=True)
class Stalls:
    """Cycles by what they were spent on, and flash accesses behind them."""

    issue: int
    load_store: int
    branch: int
    division: int
    float: int
    other: int
    flash_instruction: int
    flash_data: int
    flash_data_reads: int
    flash_data_misses: int


@dataclass(frozen=True)
class BlockProfile:
    """How often a block ran and what it cost.

    Attributes:
        issues: cycle of the block at which each instruction issued.
        cost: cycles of all its runs together, without flash stalls.
    """

    instructions: Sequence[Instruction]
    issues: tuple[int, ...]
    runs: int
    cost: int
    by_cause: tuple[int, ...]
    flash_instruction: int
    flash_data: int
