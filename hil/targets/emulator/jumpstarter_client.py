"""The client of the Jumpstarter driver: what a test calls on a board that it has leased."""

from typing import Any, cast

from jumpstarter.client.flasher import FlasherClient


class EmulatedBoardClient(FlasherClient):
    """An emulated board. `flash` takes an ELF file, `serial` is the link's port."""

    @property
    def serial(self) -> Any:
        """The client of the link's serial port: `serial.pexpect()` talks to it."""
        return self.children["serial"]

    def restart(self) -> None:
        """Reset the chip and let its firmware run."""
        self.call("restart")

    def cycles(self) -> int:
        """Return the core cycles since the board has power."""
        return int(self.call("cycles"))

    def read_memory(self, address: int, count: int) -> bytes:
        """Read memory of the running chip.

        Args:
            address: of the first byte.
            count: bytes to read, at most 1 MiB.
        """
        return bytes.fromhex(cast("str", self.call("read_memory", address, count)))
