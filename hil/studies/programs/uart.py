"""A serial port of an emulated board, in the hands of Python code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hil.targets.emulator.line import Line
from hil.targets.emulator.terminal import Terminal

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.usart import Usart


class Uart:
    """One serial port of the board, seen from outside.

    Attributes:
        name: of the USART.
        received: everything that the program has sent, in bytes.
        on_data: called with what the program sends, as it does.
        on_traffic: called with what passes either way, and ">" from the program, "<" to it.

    Args:
        deliver: calls a function, once the board has power.
    """

    def __init__(self, usart: "Usart", deliver: Callable[[Callable[[], None]], None]) -> None:
        self.name = usart.name.lower()
        self._deliver = deliver
        self.received = bytearray()
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_traffic: Callable[[bytes, str], None] = lambda _data, _way: None
        self._line = usart.line
        usart.line.tap = self._take
        usart.times_bytes = True

    @property
    def text(self) -> str:
        """Everything that the program has sent, as text."""
        return bytes(self.received).decode("utf-8", "replace")

    def send(self, data: bytes | str, baud: int = 0) -> None:
        """Send bytes, or a text in UTF-8; they take the time that the baud rate says.

        Args:
            data: what is sent.
            baud: the sender's; 0 for whatever the program has set.
        """
        content = data.encode() if isinstance(data, str) else data
        self.on_traffic(content, "<")
        self._deliver(lambda: self._line.send(content, baud))

    @contextmanager
    def terminal(self) -> Iterator[str]:
        """Put the port on a pseudo-terminal while the block runs; yields the path of its device."""
        host = _HostEnd(self)
        terminal = Terminal(host)
        before, self.on_data = self.on_data, host.put
        try:
            yield terminal.device
        finally:
            self.on_data = before
            terminal.close()

    def _take(self, data: bytes) -> None:
        self.received += data
        self.on_traffic(data, ">")
        self.on_data(data)


class _HostEnd(Line):
    """What a pseudo-terminal takes for its line: its other end is a port of an `Emulator`."""

    def __init__(self, uart: Uart) -> None:
        super().__init__(uart.name, lambda: None)
        self._uart = uart

    def send(self, data: bytes, baud: int = 0) -> None:
        """Pass bytes on to the program."""
        self._uart.send(data, baud)
