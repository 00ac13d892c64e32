"""The emulated board as a Jumpstarter exporter's driver: flash, serial port, memory and cycles.

An exporter's file names it; see docs/boards.md:

    export:
      board:
        type: hil.targets.emulator.jumpstarter.EmulatedBoard
        config: { board: stm32f439 }

Source: Jumpstarter 0.9, jumpstarter.driver and jumpstarter.client.flasher.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anyio import get_cancelled_exc_class, to_thread
from anyio.abc import ObjectStream
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.driver.flasher import FlasherInterface

from hil.build.image import read_segments
from hil.config import board as boards
from hil.targets.emulator.target import EmulatedTarget

_MOST_BYTES = 64 << 20  # of a file to flash, symbols and all
_MOST_READ_BYTES = 1 << 20
_LOOKS_EVERY_S = 0.02
_CHUNK_BYTES = 4096


@dataclass(kw_only=True)
class EmulatedBoard(FlasherInterface, Driver):
    """An emulated board, powered as long as the exporter serves it.

    Args:
        board: its kind: a name of `boards/`, or the path of a file.
    """

    board: str = "stm32f439"
    _target: EmulatedTarget = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Give the board power."""
        super().__post_init__()
        self._target = EmulatedTarget(boards.load(self.board))
        self._target.open()
        self.children["serial"] = SerialPort(port=self._target.serial())

    @classmethod
    def client(cls) -> str:
        """Name the class of its client."""
        return "hil.targets.emulator.jumpstarter_client.EmulatedBoardClient"

    @export
    async def flash(self, source: Any, target: str | None = None) -> None:
        """Program an ELF file through pyOCD, and let it run.

        Raises:
            ValueError: it is longer than a firmware can be, or a part of the flash is named.
            BuildError, FlashError, ProbeError: the file is none, or programming failed.
        """
        if target is not None:
            raise ValueError(f"an ELF file says where it goes: {target!r} cannot be chosen")
        with TemporaryDirectory(prefix="hil-") as folder:
            elf = Path(folder) / "image.elf"
            elf.write_bytes(await self._received(source))
            await to_thread.run_sync(self._program, elf)

    @export
    async def dump(self, target: Any, partition: str | None = None) -> None:
        """Send the flash's content to the client, whole."""
        del partition
        flash = self._target.board.flash
        content = await to_thread.run_sync(
            self._target.debugger.read, flash.address, flash.end - flash.address
        )
        async with self.resource(target) as stream:
            await stream.send(content)

    @export
    async def restart(self) -> None:
        """Reset the chip and let its firmware run. Raises ProbeError."""
        await to_thread.run_sync(self._target.reset)

    @export
    async def cycles(self) -> int:
        """Count of core cycles since the board has power."""
        return int(self._target.emulated.chip.clock.now())

    @export
    async def read_memory(self, address: int, count: int) -> str:
        """Read memory of the running chip, in hexadecimal. Raises ProbeError, ValueError."""
        if not 0 <= count <= _MOST_READ_BYTES:
            raise ValueError(f"{count:,} B asked for, at most {_MOST_READ_BYTES:,} B are read")
        found: bytes = await to_thread.run_sync(
            self._target.debugger.read, int(address), int(count)
        )
        return found.hex()

    def close(self) -> None:
        """Take the power away."""
        super().close()
        self._target.close()

    async def _received(self, source: Any) -> bytes:
        received = bytearray()
        async with self.resource(source) as stream:
            async for chunk in stream:
                received += chunk
                if len(received) > _MOST_BYTES:
                    raise ValueError(f"the file has more than {_MOST_BYTES:,} B")
        return bytes(received)

    def _program(self, elf: Path) -> None:
        self._target.debugger.program(read_segments(elf))
        self._target.reset()


@dataclass(kw_only=True)
class SerialPort(Driver):
    """The serial port of the board's link, for one client at a time.

    Args:
        port: open, as pyserial has them.
    """

    port: Any

    @classmethod
    def client(cls) -> str:
        """Name the class of its client, which is that of any serial port of Jumpstarter."""
        return "jumpstarter_driver_pyserial.client.PySerialClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator["_Bytes"]:
        """Lend the port's bytes, both ways."""
        async with _Bytes(self.port) as stream:
            yield stream


class _Bytes(ObjectStream[bytes]):
    """A serial port's bytes as a stream."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._port.timeout = _LOOKS_EVERY_S
        self._is_closed = False

    async def receive(self) -> bytes:
        """Wait for bytes."""
        while not self._is_closed:
            heard: bytes = await to_thread.run_sync(self._heard)
            if heard:
                return heard
        raise get_cancelled_exc_class()

    def _heard(self) -> bytes:
        first: bytes = self._port.read(1)
        return first + self._port.read(min(self._port.in_waiting, _CHUNK_BYTES)) if first else b""

    async def send(self, item: bytes) -> None:
        """Send bytes."""
        await to_thread.run_sync(self._port.write, item)

    async def send_eof(self) -> None:
        """Do nothing: a serial port has no end."""

    async def aclose(self) -> None:
        """Leave the port, which stays open for the next client."""
        self._is_closed = True
