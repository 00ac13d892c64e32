"""`hil mlperf-run`: one image, on the emulated board or on a real one's port."""

from pathlib import Path

from hil.config import board as kinds
from hil.errors import UsageError
from hil.studies.mlperf import boards
from hil.studies.mlperf.measure import Timed, measure, runners_window, short_windows
from hil.targets.chips import stm32l4

_CHIP = "stm32l4"


def on_emulator(image: Path, board: str, banks: int | None, data: bytes | None) -> Timed:
    """Time an image on the emulated board.

    Args:
        image: an ELF, or the flash's bytes.
        board: its kind.
        banks: of the flash; None: as the board's file says.
        data: the network's input; None: zeros.

    Raises:
        UsageError: banks are asked for of a chip that has no such setting. Else as the board and
            the image raise it.
    """
    kind = kinds.load(board)
    if banks is not None:
        if kind.chip != _CHIP:
            raise UsageError(f"the flash of {board} cannot be set to {banks} banks")
        kind = stm32l4.with_banks(kind, banks)
    with boards.emulated(image, kind) as running:
        return measure(running, short_windows, data, clock_hz=kind.clock_hz)


def on_port(device: str, baud: int, data: bytes | None) -> Timed:
    """Time the image that a real board runs.

    Args:
        device: the serial port.
        baud: its speed.
        data: the network's input; None: zeros.

    Raises:
        LinkError: the port is absent or busy. Else as the image raises it.
    """
    with boards.physical(device, baud) as running:
        return measure(running, runners_window, data)
