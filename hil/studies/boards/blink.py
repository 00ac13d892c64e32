"""Which of the boards on a desk is it: its light blinks. Source: RM0090 sections 7.3.10 and 8.4."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_RCC_AHB1ENR = 0x4002_3830
_GPIO, _PORT_BYTES = 0x4002_0000, 0x400
_MODER, _BSRR = 0x00, 0x18
_TIMES, _HALF_S = 6, 0.25


def blink(debugger: "Debugger", pin: str, wait: Callable[[float], object]) -> None:
    """Blink a light while the core is halted; a reset ends it, and the firmware starts anew.

    Args:
        debugger: of an open board.
        pin: such as PB7.
        wait: waits so many seconds.

    Raises:
        ProbeError: the board is lost.
    """
    port, number = ord(pin[1]) - ord("A"), int(pin[2:])
    gpio = _GPIO + port * _PORT_BYTES
    debugger.halt()
    _change(debugger, _RCC_AHB1ENR, clear=0, set_=1 << port)
    _change(debugger, gpio + _MODER, clear=3 << 2 * number, set_=1 << 2 * number)
    for _ in range(_TIMES):
        for bits in (1 << number, 1 << number + 16):
            _write(debugger, gpio + _BSRR, bits)
            wait(_HALF_S)
    debugger.reset()


def _change(debugger: "Debugger", address: int, *, clear: int, set_: int) -> None:
    value = int.from_bytes(debugger.read(address, 4), "little")
    _write(debugger, address, value & ~clear | set_)


def _write(debugger: "Debugger", address: int, value: int) -> None:
    debugger.write(address, value.to_bytes(4, "little"))
