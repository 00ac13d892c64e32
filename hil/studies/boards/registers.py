"""Registers of a chip through its debugger. Source: RM0090 sections 7.3.10 and 8.4."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

RCC_AHB1ENR = 0x4002_3830
_GPIO, _PORT_BYTES = 0x4002_0000, 0x400


def write(debugger: "Debugger", address: int, value: int) -> None:
    """Write 32 bits. Raises ProbeError."""
    debugger.write(address, value.to_bytes(4, "little"))


def change(debugger: "Debugger", address: int, *, clear: int, set_: int) -> None:
    """Clear some bits of a register and set others. Raises ProbeError."""
    write(debugger, address, debugger.read_word(address) & ~clear | set_)


def gpio_of(debugger: "Debugger", pin: str) -> tuple[int, int]:
    """Switch the clock of a pin's port on; returns the port's address and the pin's number.

    Args:
        debugger: of an open board.
        pin: such as PB7.

    Raises:
        ProbeError: the board is lost.
    """
    letter = ord(pin[1]) - ord("A")
    change(debugger, RCC_AHB1ENR, clear=0, set_=1 << letter)
    return _GPIO + letter * _PORT_BYTES, int(pin[2:])
