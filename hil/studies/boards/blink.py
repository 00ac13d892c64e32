"""Which of the boards on a desk is it: its light blinks.

Source: RM0090 section 8.4, RM0432 section 8.4.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.studies.boards.registers import change, gpio_of, write

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.debugger import Debugger

_MODER, _BSRR = 0x00, 0x18
_TIMES, _HALF_S = 6, 0.25


def blink(board: "Board", debugger: "Debugger", wait: Callable[[float], object]) -> None:
    """Blink a light while the core is halted; a reset ends it, and the firmware starts anew.

    Args:
        board: its kind, which has a light.
        debugger: of an open board.
        wait: waits so many seconds.

    Raises:
        ProbeError: the board is lost.
    """
    debugger.halt()
    gpio, number = gpio_of(board, debugger, board.led)
    change(debugger, gpio + _MODER, clear=3 << 2 * number, set_=1 << 2 * number)
    for _ in range(_TIMES):
        for bits in (1 << number, 1 << number + 16):
            write(debugger, gpio + _BSRR, bits)
            wait(_HALF_S)
    debugger.reset()
