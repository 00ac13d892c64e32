"""Renode as a target: the same image on another implementation of the chip."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from serial import SerialBase, SerialException
from serial.urlhandler.protocol_socket import Serial as SocketSerial

from hil.build.image import Image
from hil.config.board import Board
from hil.errors import FlashError, LinkError, ProbeError, UsageError
from hil.paths import BOARDS
from hil.targets.base import Target
from hil.targets.renode import installation
from hil.targets.renode.monitor import Monitor, quoted

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOAD_DEADLINE_S = 60.0
_PORT_ATTEMPTS = 4


class RenodeTarget(Target):
    """A board in Renode, which counts instructions; each target object has a Renode of its own."""

    name: ClassVar[str] = "renode"
    timing: ClassVar[str] = "instructions"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._monitor: Monitor | None = None
        self._uart_port = 0
        self._serial: Any = None
        self.version = ""

    def open(self) -> None:
        """Start Renode and build the board in it.

        Raises:
            UsageError: the board has no Renode script, or Renode's path is wrong.
            ProbeError: there is no Renode, it is too old, or does not start.
        """
        script = BOARDS / f"{self.board.name}.resc"
        if not script.is_file():
            raise UsageError(
                f"{self.board.name} has no description for Renode",
                hint=f"write {script}, after boards/stm32f439.resc",
            )
        self._monitor = Monitor(installation.find(self.board.renode).command)
        try:
            self._monitor.start()
            self.version = installation.require_recent(self._monitor.banner)
            self._monitor.tell(f"include {quoted(script)}", stage="start-up")
            self._uart_port = self._open_uart(self._monitor)
        except BaseException:
            self.close()
            raise

    def flash(self, image: Image) -> None:
        """Load the image, and leave the core halted at its reset vector.

        Raises:
            FlashError: the image lies outside the flash, or Renode does not load it.
            ProbeError: Renode ended.
        """
        self._check_fits(image)
        monitor = self._opened
        monitor.ask("pause", stage="load")
        monitor.tell(f"$bin={quoted(image.elf)}", stage="load", error=FlashError)
        # A reset runs the script's macro of that name, which loads $bin.
        monitor.tell("machine Reset", stage="load", deadline_s=_LOAD_DEADLINE_S, error=FlashError)

    def reset(self) -> None:
        """Reset the chip and let the firmware run. Raises ProbeError."""
        monitor = self._opened
        monitor.ask("pause", stage="run")
        if self._serial is not None:
            self._serial.reset_input_buffer()
        monitor.tell("machine Reset", stage="run", deadline_s=_LOAD_DEADLINE_S)
        monitor.ask("start", stage="run")

    def serial(self) -> SerialBase:
        """Return the open serial port of the firmware's link. Raises LinkError, ProbeError."""
        if self._serial is None:
            monitor = self._opened
            try:
                self._serial = _UartSocket(f"socket://127.0.0.1:{self._uart_port}", monitor)
            except SerialException as error:
                raise LinkError(
                    f"Renode's UART cannot be reached: {error}",
                    hint="does a firewall refuse connections to this machine itself?",
                    stage="run",
                ) from error
        port: SerialBase = self._serial
        return port

    def close(self) -> None:
        """End Renode; harmless when it does not run."""
        serial, self._serial = self._serial, None
        monitor, self._monitor = self._monitor, None
        try:
            if serial is not None:
                serial.close()
        finally:
            if monitor is not None:
                monitor.close()

    @property
    def _opened(self) -> Monitor:
        if self._monitor is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._monitor

    def _open_uart(self, monitor: Monitor) -> int:
        """Put the link's UART on a port of this machine; return its number.

        A port that is free now may be somebody else's when Renode takes it: then there is another.
        """
        complaint: list[str] = []
        for attempt in range(_PORT_ATTEMPTS):
            number = _free_port()
            terminal = f"uart{attempt}"
            complaint = monitor.ask(
                f'emulation CreateServerSocketTerminal {number} "{terminal}" false',
                stage="start-up",
            )
            if not complaint:
                uart = f"sysbus.{self.board.uart}"
                monitor.tell(f"connector Connect {uart} {terminal}", stage="start-up")
                return number
        raise ProbeError(
            f"Renode takes no port for the UART: {' '.join(complaint)}",
            hint="does a firewall refuse that programs listen?",
            stage="start-up",
        )

    def _check_fits(self, image: Image) -> None:
        flash = self.board.flash
        for piece in image.segments:
            if piece.address < flash.address or piece.end > flash.end:
                raise FlashError(
                    f"the image has {len(piece.data):,} B at {piece.address:#010x}, outside the "
                    f"flash at {flash.address:#010x}..{flash.end - 1:#010x}",
                    hint="build it for this board",
                    stage="load",
                )


class _UartSocket(SocketSerial):
    """A UART of Renode's; when it breaks off, the error says what became of Renode."""

    def __init__(self, url: str, monitor: Monitor) -> None:
        self._monitor = monitor
        super().__init__(url)  # type: ignore[no-untyped-call]

    def read(self, size: int = 1) -> bytes:
        """Read bytes, as pyserial does."""
        with self._explained():
            received: bytes = super().read(size)  # type: ignore[no-untyped-call]
        return received

    def write(self, data: "ReadableBuffer") -> int:
        """Write bytes, as pyserial does."""
        with self._explained():
            sent: int = super().write(data)  # type: ignore[no-untyped-call]
        return sent

    def close(self) -> None:
        """Close the socket, also one that Renode broke off, which pyserial forgets."""
        line = self._socket
        try:
            super().close()  # type: ignore[no-untyped-call]
        finally:
            if line is not None:
                line.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SerialException as error:
            raise SerialException(self._monitor.describe_end() or str(error)) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
