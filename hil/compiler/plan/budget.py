"""The memory that a plan may use, and what it says where that is too little."""

from dataclasses import dataclass

from hil.compiler.program import Program
from hil.config.board import Board
from hil.errors import MemoryLimitError
from hil.limits import limit

RUNTIME_BYTES = limit("RUNTIME_RAM_BYTES")
"""Of memory, for the stack, the link's frames and other static data."""


@dataclass(frozen=True)
class Budget:
    """Memory that a plan may use, by region.

    Attributes:
        flash_bytes: None: however much there is.
        flash_wait_states: cycles that a read of flash waits.
    """

    sram_bytes: int
    ccm_bytes: int
    flash_bytes: int | None = None
    flash_wait_states: int = 5

    @classmethod
    def of(cls, board: Board) -> "Budget":
        """All flash and RAM of a board, less what the runtime needs of its CCM, or else SRAM."""
        sram_bytes, ccm_bytes = board.arena.bytes, board.ccm.bytes if board.ccm else 0
        if board.ccm:
            ccm_bytes = max(0, ccm_bytes - RUNTIME_BYTES)
        elif not board.arena_outside:
            sram_bytes = max(0, sram_bytes - RUNTIME_BYTES)
        return cls(sram_bytes, ccm_bytes, board.flash.bytes, board.flash_wait_states)


@dataclass(frozen=True)
class Need:
    """What a plan takes of a region, and what takes it.

    Attributes:
        available: None: however much is needed.
        parts: bytes by name.
    """

    region: str
    bytes: int
    available: int | None
    parts: dict[str, int]

    @property
    def lacking(self) -> int:
        """Bytes that there are too few."""
        return 0 if self.available is None else max(0, self.bytes - self.available)

    @property
    def text(self) -> str:
        """For a person."""
        return (
            f"{self.bytes:,} B of {self.region}, {self.lacking:,} B more than the "
            f"{self.available:,} B there are"
        )

    @property
    def largest(self) -> str:
        """What might be made smaller."""
        largest = sorted(self.parts.items(), key=lambda part: -part[1])[:3]
        return f"most of {self.region}: " + ", ".join(f"{n} {size:,} B" for n, size in largest)


def check(program: Program, *needs: Need) -> None:
    """Compare what a plan needs with what there is.

    Raises:
        MemoryLimitError: there is less; names every such region and the bytes it lacks.
    """
    unmet = [need for need in needs if need.lacking > 0]
    if unmet:
        raise MemoryLimitError(
            f"{program.name} needs " + ", and ".join(need.text for need in unmet),
            hint=unmet[0].largest,
            stage="plan",
            lacking=sum(need.lacking for need in unmet),
            region=unmet[0].region,
        )
