"""The speed of a board's serial ports, set by its debugger where no frame can ask for it.

Firmware listens at the speed of the board's file and changes it on request. Where a line damages
every frame at that speed, no request arrives; the debugger divides the ports' clock instead.
Source: RM0090 section 30.6.3, RM0432 section 49.8.4.
"""

from typing import TYPE_CHECKING

from hil.errors import ProbeError
from hil.targets import chips

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.debugger import Debugger


def slow(board: "Board", debugger: "Debugger", baud: int) -> None:
    """Have every port on which firmware that was just started listens go on at a lower speed.

    Args:
        board: its kind, at whose speed they are.
        debugger: of the board; its core may run.
        baud: below the board's.

    Raises:
        ProbeError: the board is lost, or it is not known where its ports are.
    """
    chip = chips.find(board.chip)
    if chip is None or chip.bench is None or baud >= board.baud:
        raise ProbeError(
            f"the debugger cannot set the serial ports of {board.name} from {board.baud:,} to "
            f"{baud:,} baud",
            hint=f"an entry point of {chips.GROUP} says where a chip has them",
        )
    at = chip.bench.serial
    for port in board.ports:
        base = chip.bench.uarts[port.uart].base
        control, divider = (debugger.read_word(base + one) for one in (at.control, at.baud))
        slower = (divider * board.baud + baud // 2) // baud
        # A divider is taken while the port is off, of an STM32L4 only then.
        for offset, value in (
            (at.control, control & ~at.on),
            (at.baud, slower),
            (at.control, control),
        ):
            debugger.write(base + offset, value.to_bytes(4, "little"))
