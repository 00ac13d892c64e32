"""On which pins does a board's serial port arrive, and do bytes pass both ways; no firmware needed.

The debugger sets up each USART of the chip as a receiver: its pins stay inputs. Only where a byte
arrived on the pin that the board's file names does the other pin become an output.
Source: RM0090 sections 7.3, 8.4 and 30.6, RM0432 sections 6.4, 8.4, 49.8 and 50.7; the data sheets
for pins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from hil.config import board as boards
from hil.config.board import Board, SerialPort
from hil.studies.boards.finding import Finding
from hil.studies.boards.registers import bench_of, change, gpio_of, write
from hil.targets.chips.facts import SerialRegisters, Uart

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_MODER, _PUPDR, _AFR = 0x00, 0x0C, 0x20
_ALTERNATE, _PULL_UP = 2, 1
_RXNE = 1 << 5
_TE, _RE = 1 << 3, 1 << 2
_HSI_HZ = 16_000_000
_SW = 3
_LOOP = b"\xfe\xe7"  # b .
_STARTS_S = 0.001  # the oscillator takes microseconds
_BAUDS = (115_200, 1_000_000)  # the oscillator over 139, off by 0.1 %, and over 16
_SENT = b"\x55\xaa\x00\xff\x0f\xf0\x31\xc3"
_WAIT_S = 0.5
_LOOKS, _LOOK_EVERY_S = 40, 0.005  # a byte is there in milliseconds, or never


@dataclass(frozen=True)
class _Port:
    """A serial port through a debugger."""

    debugger: "Debugger"
    uart: Uart
    at: SerialRegisters

    def listen(self, baud: int) -> None:
        """Receive, from now on."""
        register, bit = self.uart.enable
        change(self.debugger, register, clear=0, set_=1 << bit)
        self._write(self.at.control, 0)
        self._write(self.at.baud, (self.uart.scale * _HSI_HZ + baud // 2) // baud)
        self._write(self.at.control, self.at.on | _RE)
        self.has_byte()
        self.byte()

    def has_byte(self) -> bool:
        """Whether one has arrived."""
        return bool(self._read(self.at.status) & _RXNE)

    def byte(self) -> int:
        """Take it."""
        return self._read(self.at.received) & 0xFF

    def send(self, byte: int) -> None:
        """Send one."""
        self._write(self.at.sent, byte)

    def set_sending(self, *, on: bool) -> None:
        """Have it send as well, or end."""
        bits = {"clear": 0, "set_": _TE} if on else {"clear": self.at.on, "set_": 0}
        change(self.debugger, self.uart.base + self.at.control, **bits)

    def _read(self, offset: int) -> int:
        return self.debugger.read_word(self.uart.base + offset)

    def _write(self, offset: int, value: int) -> None:
        write(self.debugger, self.uart.base + offset, value)


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
    _prepare(board, debugger)
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
    bench, pins = bench_of(board), listeners(board)
    uarts = {rx: _Port(debugger, bench.uarts[at.uart], bench.serial) for rx, at in pins.items()}
    for rx, uart in uarts.items():
        _route(board, debugger, rx, uart.uart.alternate)
        uart.listen(baud)
    port.reset_input_buffer()
    port.write(_SENT[:1])
    port.flush()
    arrived: dict[str, SerialPort] = {}
    here: SerialPort | None = None
    for _ in range(_LOOKS):
        arrived |= {rx: at for rx, at in pins.items() if uarts[rx].has_byte()}
        here = next((at for at in board.ports if at.rx in arrived), None)
        if here is not None:
            break
        Event().wait(_LOOK_EVERY_S)
    if here is None:
        return Finding(name, False, _elsewhere(board, arrived))
    uart = uarts[here.rx]
    uart.byte()
    wrong = sum(_received(uart, port, one) != one for one in _SENT)
    _route(board, debugger, here.tx, uart.uart.alternate)
    uart.set_sending(on=True)
    came = b"".join(_sent(uart, port, one) for one in _SENT)
    lost = sum(one != other for one, other in zip(_SENT, came.ljust(len(_SENT)), strict=False))
    uart.set_sending(on=False)
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


def _prepare(board: Board, debugger: "Debugger") -> None:
    """Have pins work, and the ports run from the internal 16 MHz."""
    bench = bench_of(board)
    for register, bits in bench.pins_need:
        change(debugger, register, clear=0, set_=bits)
    if bench.hsi is not None:
        on, takes_hsi = bench.hsi
        change(debugger, bench.control, clear=0, set_=on)
        debugger.count_cycles(_LOOP, board.sram.address, _STARTS_S)
        change(debugger, bench.configuration, clear=_SW, set_=takes_hsi)


def _route(board: Board, debugger: "Debugger", pin: str, alternate: int) -> None:
    gpio, number = gpio_of(board, debugger, pin)
    half, shift = gpio + _AFR + 4 * (number // 8), 4 * (number % 8)
    change(debugger, half, clear=15 << shift, set_=alternate << shift)
    for register, value in ((_PUPDR, _PULL_UP), (_MODER, _ALTERNATE)):
        change(debugger, gpio + register, clear=3 << 2 * number, set_=value << 2 * number)


def _received(uart: _Port, port: Any, byte: int) -> int | None:
    port.write(bytes((byte,)))
    port.flush()
    for _ in range(_LOOKS):
        if uart.has_byte():
            return uart.byte()
        Event().wait(_LOOK_EVERY_S)
    return None


def _sent(uart: _Port, port: Any, byte: int) -> bytes:
    uart.send(byte)
    came: bytes = port.read(1)
    return came or b"?"
