"""On which pins does a board's serial port arrive, and do bytes pass both ways; no firmware needed.

The debugger sets up each USART of the chip as a receiver: its pins stay inputs. Only where a byte
arrived on the pin that the board's file names does the other pin become an output.
Source: RM0090 sections 7.3, 8.4 and 30.6; the data sheet's table 12 for pins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from hil.config import board as boards
from hil.config.board import Board, SerialPort
from hil.studies.boards.finding import Finding
from hil.studies.boards.registers import change, gpio_of, write

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_RCC_APB1ENR, _RCC_APB2ENR = 0x4002_3840, 0x4002_3844
_MODER, _PUPDR, _AFR = 0x00, 0x0C, 0x20
_ALTERNATE, _PULL_UP, _AF7 = 2, 1, 7
_SR, _DR, _BRR, _CR1 = 0x00, 0x04, 0x08, 0x0C
_RXNE = 1 << 5
_UE, _TE, _RE = 1 << 13, 1 << 3, 1 << 2
_HSI_HZ = 16_000_000
_BAUDS = (115_200, 1_000_000)  # the oscillator over 139, off by 0.1 %, and over 16
_SENT = b"\x55\xaa\x00\xff\x0f\xf0\x31\xc3"
_WAIT_S = 0.5
_LOOKS, _LOOK_EVERY_S = 40, 0.005  # a byte is there in milliseconds, or never


@dataclass(frozen=True)
class Usart:
    """A USART. Attributes: enable: its clock's register and bit. base: of its registers."""

    enable: tuple[int, int]
    base: int


_USARTS = {
    "usart1": Usart((_RCC_APB2ENR, 4), 0x4001_1000),
    "usart2": Usart((_RCC_APB1ENR, 17), 0x4000_4400),
    "usart3": Usart((_RCC_APB1ENR, 18), 0x4000_4800),
}


def listeners(board: Board) -> dict[str, SerialPort]:
    """Return the ports at which this board and others of the same chip listen, by their RX pin.

    Another board's is left out where the file forbids its pin, or has the USART on other pins.
    """
    known = boards.known()
    others = [port for one in known if one.dev_id == board.dev_id for port in one.ports]
    own = {port.uart for port in board.ports}
    elsewhere = {
        port.uart: port
        for port in others
        if port.uart not in own and port.rx not in board.forbidden
    }
    return {port.rx: port for port in (*board.ports, *elsewhere.values())}


def look(board: Board, debugger: "Debugger", port: Any) -> Iterator[Finding]:
    """Send bytes both ways at two speeds, through the chip's registers; the core stays halted.

    Args:
        board: its kind.
        debugger: of the halted board, on the oscillator that a reset leaves.
        port: the open serial port; its speed is set back.

    Raises:
        ProbeError: the probe is lost.
    """
    before = port.baudrate, port.timeout
    try:
        port.timeout = _WAIT_S
        for baud in _BAUDS:
            port.baudrate = baud
            found = _at(board, debugger, port, baud)
            yield found
            if not found.good:
                return
    finally:
        port.baudrate, port.timeout = before


def _at(board: Board, debugger: "Debugger", port: Any, baud: int) -> Finding:
    name = f"serial {baud:,} baud"
    pins = listeners(board)
    for rx, at in pins.items():
        _listen(board, debugger, _USARTS[at.uart], rx, baud)
    port.reset_input_buffer()
    port.write(_SENT[:1])
    port.flush()
    arrived: dict[str, SerialPort] = {}
    here: SerialPort | None = None
    for _ in range(_LOOKS):
        arrived |= {rx: at for rx, at in pins.items() if _has_byte(debugger, _USARTS[at.uart])}
        here = next((at for at in board.ports if at.rx in arrived), None)
        if here is not None:
            break
        Event().wait(_LOOK_EVERY_S)
    if here is None:
        return Finding(name, False, _elsewhere(board, arrived))
    usart = _USARTS[here.uart]
    debugger.read_word(usart.base + _DR)
    wrong = sum(_received(debugger, usart, port, one) != one for one in _SENT)
    _route(board, debugger, here.tx)
    change(debugger, usart.base + _CR1, clear=0, set_=_TE)
    came = b"".join(_sent(debugger, usart, port, one) for one in _SENT)
    lost = sum(one != other for one, other in zip(_SENT, came.ljust(len(_SENT)), strict=False))
    change(debugger, usart.base + _CR1, clear=_UE, set_=0)
    detail = (
        f"{len(_SENT)} bytes to {here.rx}, {wrong} wrong; {len(_SENT)} from {here.tx}, "
        f"{lost} wrong or lost"
    )
    return Finding(name, not (wrong or lost), detail)


def _elsewhere(board: Board, arrived: dict[str, SerialPort]) -> str:
    here = f"nothing arrives on {_listed(board.ports)}"
    if not arrived:
        return f"{here}, nor on another pin: is it this board's serial port, and wired?"
    known = boards.known()
    fits = [
        f"--board={one.name}"
        for one in known
        if one.dev_id == board.dev_id and set(one.ports) & set(arrived.values())
    ]
    return (
        f"{here}; what is sent arrives on {_listed(arrived.values())}, as with {' or '.join(fits)}"
    )


def _listed(ports: Iterable[SerialPort]) -> str:
    return ", ".join(f"{one.rx} ({one.uart})" for one in ports)


def _listen(board: Board, debugger: "Debugger", usart: Usart, rx: str, baud: int) -> None:
    register, bit = usart.enable
    change(debugger, register, clear=0, set_=1 << bit)
    _route(board, debugger, rx)
    write(debugger, usart.base + _CR1, 0)
    write(debugger, usart.base + _BRR, (_HSI_HZ + baud // 2) // baud)
    write(debugger, usart.base + _CR1, _UE | _RE)
    debugger.read_word(usart.base + _SR)
    debugger.read_word(usart.base + _DR)


def _route(board: Board, debugger: "Debugger", pin: str) -> None:
    gpio, number = gpio_of(board, debugger, pin)
    half, shift = gpio + _AFR + 4 * (number // 8), 4 * (number % 8)
    change(debugger, half, clear=15 << shift, set_=_AF7 << shift)
    for register, value in ((_PUPDR, _PULL_UP), (_MODER, _ALTERNATE)):
        change(debugger, gpio + register, clear=3 << 2 * number, set_=value << 2 * number)


def _has_byte(debugger: "Debugger", usart: Usart) -> bool:
    return bool(debugger.read_word(usart.base + _SR) & _RXNE)


def _received(debugger: "Debugger", usart: Usart, port: Any, byte: int) -> int | None:
    port.write(bytes((byte,)))
    port.flush()
    for _ in range(_LOOKS):
        if _has_byte(debugger, usart):
            return debugger.read_word(usart.base + _DR) & 0xFF
        Event().wait(_LOOK_EVERY_S)
    return None


def _sent(debugger: "Debugger", usart: Usart, port: Any, byte: int) -> bytes:
    write(debugger, usart.base + _DR, byte)
    came: bytes = port.read(1)
    return came or b"?"
