"""What a chip's option bytes forbid, read before anything is erased.

A chip of another family adds a reader to `_READERS`; until then its option bytes are not looked at.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from hil.config.board import Board
from hil.errors import FlashError, ProbeError

ReadWord = Callable[[int], int]
"""Reads 32 bits at an address of the chip."""

_OPTCR, _OPTCR1 = 0x4002_3C14, 0x4002_3C18
_BANK_SECTORS = 12
_MIB = 1 << 20
_F42X_F43X = 0x419


class Piece(Protocol):
    """What is to be programmed."""

    @property
    def address(self) -> int:
        """Of its first byte."""

    @property
    def end(self) -> int:
        """First address past it."""


@dataclass(frozen=True)
class OptionBytes:
    """Option bytes of an STM32F4. Source: RM0090 sections 3.9.10 and 3.9.11.

    Attributes:
        control: FLASH_OPTCR.
        control_1: FLASH_OPTCR1, of the second bank.
    """

    control: int
    control_1: int

    @property
    def is_read_protected(self) -> bool:
        """Whether a debugger is kept from the flash."""
        return self.control >> 8 & 0xFF != 0xAA

    @property
    def starts_watchdog(self) -> bool:
        """Whether WDG_SW has the independent watchdog run from reset on."""
        return not self.control >> 5 & 1

    @property
    def boots_second_bank(self) -> bool:
        """BFB2."""
        return bool(self.control >> 4 & 1)

    @property
    def halves_a_mebibyte(self) -> bool:
        """DB1M: 1 MiB of flash stands in two banks, of other sectors."""
        return bool(self.control >> 30 & 1)

    def is_write_protected(self, sector: int) -> bool:
        """Whether nWRP forbids writing a sector; it is active low."""
        register = self.control if sector < _BANK_SECTORS else self.control_1
        return not register >> (16 + sector % _BANK_SECTORS) & 1


def check(board: Board, word: ReadWord, pieces: Iterable[Piece]) -> None:
    """Refuse a chip that would not let itself be measured, or sectors that it does not let go.

    Raises:
        ProbeError: it names the option byte, and what to set it to.
        FlashError: it names the sectors.
    """
    reader = _READERS.get(board.chip)
    if reader is None:
        return
    found = reader(board, word)
    for what, hint in _obstacles(board, found):
        raise ProbeError(f"option bytes of the chip: {what}", hint=hint, stage="option bytes")
    taken = {sector for piece in pieces for sector in _sectors(board, piece)}
    closed = sorted(sector for sector in taken if found.is_write_protected(sector))
    if closed:
        raise FlashError(
            f"option bytes of the chip protect sectors that the image needs against writing: "
            f"{', '.join(map(str, closed))}",
            hint="set their bits of nWRP in FLASH_OPTCR (OPTCR1 for 12 to 23), with "
            "STM32CubeProgrammer or pyOCD",
            stage="option bytes",
        )


def _obstacles(board: Board, found: OptionBytes) -> Iterator[tuple[str, str]]:
    """Yield what keeps a chip from being measured, and what mends it."""
    if found.is_read_protected:
        yield (
            "read-out protection is on (RDP), so that no debugger reaches the flash",
            "set RDP to 0xAA, which erases all of the flash, then switch the power off and on",
        )
    if found.starts_watchdog:
        yield (
            "the watchdog runs from reset on (WDG_SW = 0) and would end every long inference",
            "set WDG_SW to 1; the firmware feeds no watchdog",
        )
    if found.boots_second_bank:
        yield (
            "the chip starts what the second bank holds (BFB2 = 1), not the image",
            "set BFB2 to 0",
        )
    if found.halves_a_mebibyte and board.dev_id == _F42X_F43X and board.flash.bytes == _MIB:
        yield (
            "1 MiB of flash stands in two banks (DB1M = 1), so that its sectors are others",
            "set DB1M to 0",
        )


def _sectors(board: Board, piece: Piece) -> range:
    ends = list(accumulate(board.flash_sectors, initial=board.flash.address))[1:]
    return range(bisect_right(ends, piece.address), bisect_right(ends, piece.end - 1) + 1)


def _stm32f4(board: Board, word: ReadWord) -> OptionBytes:
    has_second = len(board.flash_sectors) > _BANK_SECTORS
    return OptionBytes(word(_OPTCR), word(_OPTCR1) if has_second else 0)


_READERS: dict[str, Callable[[Board, ReadWord], OptionBytes]] = {"stm32f4": _stm32f4}
