"""Parts that pyOCD's builtin targets lack: the board's file and a flash algorithm of ours.

A CMSIS pack that is installed in pyOCD goes before them, where the board's file names its target.
"""

from typing import TYPE_CHECKING, Any

from hil.targets import chips

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.chips.facts import FlashAlgorithm

_DBGMCU_CR, _RUNS_IN_SLEEP = 0xE004_2004, 0x7  # DBG_SLEEP, DBG_STOP, DBG_STANDBY
_OURS: set[str] = set()


def register(board: "Board") -> None:
    """Tell pyOCD of the board's part, if it does not know it and the chip's algorithm is here."""
    from pyocd.target import TARGET

    chip, name = chips.find(board.chip), board.pyocd_target.lower()
    if chip and chip.algorithm and (name not in TARGET or name in _OURS):
        TARGET[name] = _target_of(board, chip.algorithm)
        _OURS.add(name)


def _target_of(board: "Board", algorithm: "FlashAlgorithm") -> type[Any]:
    from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
    from pyocd.coresight.coresight_target import CoreSightTarget

    flash = FlashRegion(
        name="flash",
        start=board.flash.address,
        length=board.flash.bytes,
        sector_size=board.flash_sectors[0],
        page_size=algorithm.page_bytes,
        is_boot_memory=True,
        algo=dict(algorithm.description),
    )
    rams = [
        RamRegion(name=ram.name, start=ram.address, length=ram.bytes)
        for ram in board.memories
        if ram.flash is None
    ]

    class Part(CoreSightTarget):
        """The board's part."""

        VENDOR = "STMicroelectronics"

        def __init__(self, session: Any) -> None:
            super().__init__(session, MemoryMap(flash, *rams))

        def post_connect_hook(self) -> None:
            """Keep the core's clock on in sleep, as pyOCD's own targets of this vendor do."""
            self.write32(_DBGMCU_CR, _RUNS_IN_SLEEP)

    return Part
