"""What a chip's option bytes forbid, read before anything is erased."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Protocol

from hil.config.board import Board
from hil.errors import FlashError, ProbeError
from hil.targets import chips
from hil.targets.chips.facts import ReadWord


class Piece(Protocol):
    """What is to be programmed."""

    @property
    def address(self) -> int:
        """Of its first byte."""

    @property
    def end(self) -> int:
        """First address past it."""


def check(board: Board, word: ReadWord, pieces: Iterable[Piece]) -> None:
    """Refuse a chip that would not let itself be measured, or sectors that it does not let go.

    Args:
        board: its kind.
        word: reads a 32-bit register at an address.
        pieces: what is to be programmed.

    Raises:
        ProbeError: it names the option byte, and what to set it to.
        FlashError: it names the sectors.
    """
    chip = chips.find(board.chip)
    if chip is None:
        return
    found = chip.option_bytes(board, word)
    for what, hint in found.obstacles:
        raise ProbeError(f"option bytes of the chip: {what}", hint=hint, stage="option bytes")
    closed = sorted(
        found.closed & {sector for piece in pieces for sector in _sectors(board, piece)}
    )
    if closed:
        raise FlashError(
            f"option bytes of the chip protect sectors that the image needs against writing: "
            f"{', '.join(map(str, closed))}",
            hint=f"{found.mend_closed}, with STM32CubeProgrammer or pyOCD",
            stage="option bytes",
        )


def _sectors(board: Board, piece: Piece) -> range:
    ends = list(accumulate(board.flash_sectors, initial=board.flash.address))[1:]
    return range(bisect_right(ends, piece.address), bisect_right(ends, piece.end - 1) + 1)
