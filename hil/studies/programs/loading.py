"""Puts a program into the memory of an emulated chip."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.build.image import Segment
from hil.config.board import Board
from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

_WAIT_STATE_BITS = 0xF
_ART_BITS = 0x700


def acr_override(wait_states: int | None, art: bool | None) -> Callable[[int], int]:
    """Return what the flash access control register becomes when the program writes it."""

    def override(value: int) -> int:
        if wait_states is not None:
            value = value & ~_WAIT_STATE_BITS | wait_states & _WAIT_STATE_BITS
        if art is not None:
            value = value & ~_ART_BITS | (_ART_BITS if art else 0)
        return value

    return override


def load(chip: "Chip", segment: Segment) -> None:
    """Put a segment of a program where it belongs.

    Args:
        chip: without power yet.
        segment: address and bytes.

    Raises:
        UsageError: the chip has no memory there.
    """
    regions = chip.board.regions
    for region in regions:
        # Programs linked for the boot alias at 0 are programmed into flash.
        address = segment.address + (region.address if segment.address < region.bytes else 0)
        if region.holds(address) and address + len(segment.data) <= region.end:
            chip.load(address, segment.data)
            return
    listed = ", ".join(f"{r.name} {r.address:#010x}..{r.end - 1:#010x}" for r in regions)
    raise UsageError(
        f"the program has {len(segment.data):,} B at {segment.address:#010x}, where "
        f"{chip.board.name} has no memory",
        hint=f"link it for {listed}",
    )


def entry(segments: tuple[Segment, ...], board: Board) -> int | None:
    """Return where the vector table is, None where the chip looks by itself: at 0."""
    starts = [segment.address for segment in segments]
    if not starts or 0 in starts or board.flash.address in starts:
        return None
    return starts[0]
