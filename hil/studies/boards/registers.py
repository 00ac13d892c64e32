"""Registers of a chip through its debugger."""

from typing import TYPE_CHECKING

from hil.errors import ProbeError
from hil.targets import chips

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.chips.facts import Bench
    from hil.targets.debugger import Debugger

_PORT_BYTES = 0x400


def write(debugger: "Debugger", address: int, value: int) -> None:
    """Write 32 bits. Raises ProbeError.

    Args:
        debugger: of the board.
        address: of the register.
        value: 32 bits.
    """
    debugger.write(address, value.to_bytes(4, "little"))


def change(debugger: "Debugger", address: int, *, clear: int, set_: int) -> None:
    """Clear some bits of a register and set others. Raises ProbeError.

    Args:
        debugger: of the board.
        address: of the register.
        clear: a mask.
        set_: a mask.
    """
    write(debugger, address, debugger.read_word(address) & ~clear | set_)


def bench_of(board: "Board") -> "Bench":
    """Return what a look at a board of this kind touches.

    Raises:
        ProbeError: nothing is known of its chip.
    """
    chip = chips.find(board.chip)
    if chip is None or chip.bench is None:
        raise ProbeError(
            f"it is not known where the chip {board.chip} has its clocks and serial ports",
            hint=f"an entry point of {chips.GROUP} says it",
        )
    return chip.bench


def gpio_of(board: "Board", debugger: "Debugger", pin: str) -> tuple[int, int]:
    """Switch the clock of a pin's port on; returns the port's address and the pin's number.

    Args:
        board: its kind.
        debugger: of an open board.
        pin: such as PB7.

    Raises:
        ProbeError: the board is lost, or nothing is known of its chip's ports.
    """
    chip = chips.find(board.chip)
    if chip is None:
        raise ProbeError(
            f"it is not known where the ports of the chip {board.chip} are",
            hint=f"an entry point of {chips.GROUP} says it",
        )
    letter = ord(pin[1]) - ord("A")
    change(debugger, chip.ports.enable, clear=0, set_=1 << letter)
    return chip.ports.address + letter * _PORT_BYTES, int(pin[2:])
