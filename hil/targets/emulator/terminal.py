"""A USART of the emulated board on a pseudo-terminal, for programs that want a serial device."""

import logging
import os
import threading
import tty
from pathlib import Path

from hil.targets.emulator.chips.stm32f4.usart import Usart

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 4096


class Terminal:
    """Passes bytes both ways until it is closed.

    Args:
        link: where a symbolic link to the device is put, so that its name is known beforehand.

    Attributes:
        device: the path of the serial device.
    """

    def __init__(self, usart: Usart, link: str | None = None) -> None:
        self._usart = usart
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.device = os.ttyname(self._slave)
        self._link = Path(link) if link else None
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.device)
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"{self.device} {work.__name__}", daemon=True)
            for work in (self._to_firmware, self._to_host)
        ]
        for thread in self._threads:
            thread.start()
        _LOG.info("%s of the emulated board is at %s", usart.name, self._link or self.device)

    def close(self) -> None:
        """Take the device away."""
        self._closing.set()
        self._usart.wake_host()
        if self._link:
            self._link.unlink(missing_ok=True)
        # Wakes the reader: it sees its own byte and then that the terminal is closing.
        os.write(self._slave, b"\0")
        for thread in self._threads:
            thread.join()
        os.close(self._slave)
        os.close(self._master)

    def _to_firmware(self) -> None:
        while True:
            data = os.read(self._master, _CHUNK_BYTES)
            if self._closing.is_set():
                return
            self._usart.send(data)

    def _to_host(self) -> None:
        while not self._closing.is_set():
            data = self._usart.receive(1, None)
            data += self._usart.receive(self._usart.in_waiting(), 0)
            os.write(self._master, data)
