"""Boards that differ in one thing from one of `boards/`."""

from dataclasses import replace

from hil.config.board import Board, Memory


def with_sram(board: Board, sram_bytes: int) -> Board:
    """The board with one SRAM of this size."""
    small = replace(board.sram, bytes=sram_bytes)
    return replace(board, memories=(*_without(board, {"data", "dma"}), small))


def with_flash(board: Board, flash_bytes: int) -> Board:
    """The board with another size of flash."""
    flash = replace(board.flash, bytes=flash_bytes)
    others = (one for one in board.memories if one.flash is None)
    return replace(board, memories=(flash, *others))


def with_wait_states(board: Board, wait_states: int) -> Board:
    """The board with another flash."""
    flash = board.flash.flash
    assert flash is not None
    slow = replace(board.flash, flash=replace(flash, wait_states=wait_states))
    others = (one for one in board.memories if one.flash is None)
    return replace(board, memories=(slow, *others))


def without_ccm(board: Board) -> Board:
    """The board with SRAM only."""
    return replace(board, memories=tuple(m for m in board.memories if m.uses != {"data"}))


def _without(board: Board, uses: set[str]) -> list[Memory]:
    return [one for one in board.memories if not uses <= one.uses]
