"""What clocks a chip's core and how its flash is read, as its own registers say."""

from hil.config.board import Board
from hil.targets import chips
from hil.targets.chips.facts import ClockTree, ReadWord


def expected(board: Board) -> ClockTree:
    """Return what a board's file says, with all that hides wait states on."""
    return ClockTree(board.clock_hz, board.flash_wait_states, True, True, True)


def read(board: Board, word: ReadWord) -> ClockTree | None:
    """Return the clocks of a running board, or None if its chip's registers are not known.

    Args:
        board: its kind.
        word: reads a 32-bit register at an address.
    """
    chip = chips.find(board.chip)
    return chip.clock_tree(board, word) if chip else None


def is_internal(board: Board, word: ReadWord) -> bool:
    """Whether the PLL is fed by the internal oscillator; False where that is not known here.

    Args:
        board: its kind.
        word: reads a 32-bit register at an address.
    """
    chip = chips.find(board.chip)
    return chip is not None and chip.pll_is_internal(word)
