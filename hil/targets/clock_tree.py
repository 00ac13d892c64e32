"""What clocks a chip's core and how its flash is read, as its own registers say.

A chip of another family adds a reader to `_READERS`; until then nothing is known of its clocks.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hil.config.board import Board

ReadWord = Callable[[int], int]
"""Reads 32 bits at an address of the chip."""

# RM0090 sections 7.3.2, 7.3.3 and 3.9.1.
_RCC_PLLCFGR, _RCC_CFGR, _FLASH_ACR = 0x4002_3804, 0x4002_3808, 0x4002_3C00
_HSI_HZ = 16_000_000
_PLLSRC = 1 << 22
_AHB_SHIFTS = {8: 1, 9: 2, 10: 3, 11: 4, 12: 6, 13: 7, 14: 8, 15: 9}


@dataclass(frozen=True)
class ClockTree:
    """Attributes: core_hz: of the core. wait_states: of the flash; the others: what is on."""

    core_hz: int
    wait_states: int
    prefetch: bool
    instruction_cache: bool
    data_cache: bool


def expected(board: Board) -> ClockTree:
    """Return what a board's file says, with all that hides wait states on."""
    return ClockTree(board.clock_hz, board.flash_wait_states, True, True, True)


def read(board: Board, word: ReadWord) -> ClockTree | None:
    """Return what is set on a running board; None for a chip whose registers are not known here."""
    reader = _READERS.get(board.chip)
    return reader(board.hse_hz, word) if reader else None


def is_internal(board: Board, word: ReadWord) -> bool:
    """Whether the PLL is fed by the internal oscillator; False where that is not known here."""
    known = board.chip in _READERS
    return known and not word(_RCC_PLLCFGR) & _PLLSRC


def _stm32f4(hse_hz: int, word: ReadWord) -> ClockTree:
    configuration, access = word(_RCC_CFGR), word(_FLASH_ACR)
    source = configuration >> 2 & 3
    core_hz = _pll_hz(hse_hz, word(_RCC_PLLCFGR)) if source == 2 else (_HSI_HZ, hse_hz)[source & 1]
    return ClockTree(
        core_hz=core_hz >> _AHB_SHIFTS.get(configuration >> 4 & 15, 0),
        wait_states=access & 15,
        prefetch=bool(access & 1 << 8),
        instruction_cache=bool(access & 1 << 9),
        data_cache=bool(access & 1 << 10),
    )


def _pll_hz(hse_hz: int, setting: int) -> int:
    source = hse_hz if setting & _PLLSRC else _HSI_HZ
    divided = (setting & 63) * ((setting >> 16 & 3) + 1) * 2
    return source * (setting >> 6 & 511) // divided if divided else 0


_READERS: dict[str, Callable[[int, ReadWord], ClockTree]] = {"stm32f4": _stm32f4}
