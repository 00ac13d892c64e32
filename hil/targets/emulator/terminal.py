"""A USART of the emulated board on a pseudo-terminal, for programs that want a serial device."""

import logging
import os
import selectors
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from hil.targets.emulator.line import Line

Passes = Callable[[bytes, int], bytes]

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 4096
_OSPEED = 5  # of termios' attributes
_BAUDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}


class Terminal:
    """Passes bytes both ways until it is closed; what nobody reads waits on the line.

    Args:
        link: where a symbolic link to the device is put, so that its name is known beforehand.

    Attributes:
        device: the path of the serial device.
        passes: what becomes of bytes on their way, given them and the speed of the host's end in
            baud; a wire without faults where nobody says otherwise.
    """

    def __init__(self, line: Line, link: str | None = None) -> None:
        self._line = line
        self.passes: Passes = lambda data, _baud: data
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._link = Path(link) if link else None
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.device)
        line.connect()
        # Closing makes this pipe readable, which wakes both threads.
        self._closing, self._close = os.pipe()
        self._threads = [
            threading.Thread(target=work, name=f"{self.device} {work.__name__}", daemon=True)
            for work in (self._to_firmware, self._to_host)
        ]
        for thread in self._threads:
            thread.start()
        _LOG.info("%s of the emulated board is at %s", line.name, self._link or self.device)

    def close(self) -> None:
        """Take the device away; what nobody has read is lost."""
        os.close(self._close)
        self._line.wake_host()
        if self._link:
            self._link.unlink(missing_ok=True)
        for thread in self._threads:
            thread.join()
        for end in (self._closing, self._slave, self._master):
            os.close(end)

    def _to_firmware(self) -> None:
        with self._ready_for(selectors.EVENT_READ) as ready:
            while self._wait(ready):
                data = os.read(self._master, _CHUNK_BYTES)
                baud = self.baud
                self._line.send(self.passes(data, baud), baud)

    def _to_host(self) -> None:
        data = b""
        with self._ready_for(selectors.EVENT_WRITE) as ready:
            while self._wait(ready):
                if not data:
                    data = self._line.receive(1, None)
                    if not data:
                        return  # the board is gone
                    data += self._line.receive(_CHUNK_BYTES - len(data), 0)
                    data = self.passes(data, self.baud)
                data = data[self._write(data) :]

    @property
    def baud(self) -> int:
        """The speed of the host's end; 0 for one that has no name, and without a device."""
        try:
            return _BAUDS.get(termios.tcgetattr(self._master)[_OSPEED], 0)
        except termios.error:  # it was closed
            return 0

    def _write(self, data: bytes) -> int:
        """Write what fits and return how much did; ready for a byte is not ready for all."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def _ready_for(self, event: int) -> selectors.BaseSelector:
        selector = selectors.DefaultSelector()
        selector.register(self._master, event)
        selector.register(self._closing, selectors.EVENT_READ)
        return selector

    def _wait(self, ready: selectors.BaseSelector) -> bool:
        """Wait until the device is ready; returns False once the terminal closes."""
        return all(key.fd != self._closing for key, _ in ready.select())
