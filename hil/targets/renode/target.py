"""Renode as a target: the same image on another implementation of the chip."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from serial import (  # type: ignore[attr-defined]  # it binds Serial by platform
    Serial,
    SerialBase,
    SerialException,
)
from serial.urlhandler.protocol_socket import Serial as SocketSerial

from hil import files
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


def _script(board: Board) -> Path:
    return BOARDS / f"{board.name}.resc"


class RenodeTarget(Target):
    """A board in Renode, which counts instructions; each target object has a Renode of its own."""

    name: ClassVar[str] = "renode"
    timing: ClassVar[str] = "instructions"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._monitor: Monitor | None = None
        self._folder = ExitStack()  # of the pseudo-terminal's name
        self._serial: Any = None
        self.version = ""

    @classmethod
    def require(cls, board: Board) -> None:
        """Look for Renode, and for the board's description.

        Raises:
            UsageError: the board has no Renode script, or Renode's path is wrong.
            ProbeError: there is no Renode.
        """
        if not _script(board).is_file():
            raise UsageError(
                f"{board.name} has no description for Renode",
                hint=f"write {_script(board)}, after boards/stm32f439.resc",
            )
        installation.find(board.renode)

    def open(self) -> None:
        """Start Renode and build the board in it.

        Raises:
            UsageError: the board has no Renode script, or Renode's path is wrong.
            ProbeError: there is no Renode, it is too old, or does not start.
        """
        self.require(self.board)
        script = _script(self.board)
        self._monitor = Monitor(installation.find(self.board.renode).command)
        try:
            self._monitor.start()
            self.version = installation.require_recent(self._monitor.banner)
            self._monitor.tell(f"include {quoted(script)}", stage="start-up")
            self._serial = self._open_uart(self._monitor)
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
        """Return the open serial port of the firmware's link. Raises ProbeError."""
        if self._serial is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
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
            self._folder.close()
            if monitor is not None:
                monitor.close()

    @property
    def _opened(self) -> Monitor:
        if self._monitor is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._monitor

    def _open_uart(self, monitor: Monitor) -> SerialBase:
        """Put the link's UART on a pseudo-terminal of this user's, and open that.

        Where Renode has none, it is a port of this machine, which Renode opens on every interface.

        Raises:
            LinkError: it cannot be opened. ProbeError: Renode has ended, or takes no port either.
        """
        name = self._folder.enter_context(files.scratch()) / "uart"
        command = f'emulation CreateUartPtyTerminal "uart" "{name}" true'
        refused = monitor.ask(command, stage="start-up")
        try:
            if not refused and name.exists():
                monitor.tell(f"connector Connect {self._uart} uart", stage="start-up")
                return _UartTerminal(name, self.board.baud, monitor)
            self.progress("Renode has no pseudo-terminal: its UART listens on every interface")
            return _UartSocket(f"socket://127.0.0.1:{self._open_socket(monitor)}", monitor)
        except SerialException as error:
            raise LinkError(
                f"Renode's UART cannot be reached: {error}",
                hint="does a firewall refuse connections to this machine itself?",
                stage="start-up",
            ) from error

    @property
    def _uart(self) -> str:
        return f"sysbus.{self.board.uart}"

    def _open_socket(self, monitor: Monitor) -> int:
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
                monitor.tell(f"connector Connect {self._uart} {terminal}", stage="start-up")
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


@contextmanager
def _explained(monitor: Monitor) -> Iterator[None]:
    """Say of a line that breaks off what became of Renode."""
    try:
        yield
    except (SerialException, OSError) as error:
        raise SerialException(monitor.describe_end() or str(error)) from error


class _UartTerminal(Serial):
    """A UART of Renode's on a pseudo-terminal, which nobody else may open meanwhile."""

    def __init__(self, name: Path, baud: int, monitor: Monitor) -> None:
        self._monitor = monitor
        super().__init__(str(name), baudrate=baud, exclusive=True)  # type: ignore[no-untyped-call]

    def read(self, size: int = 1) -> bytes:
        """Read bytes, as pyserial does."""
        with _explained(self._monitor):
            received: bytes = super().read(size)  # type: ignore[no-untyped-call]
        return received

    def write(self, b: "ReadableBuffer", /) -> int | None:
        """Write bytes, as pyserial does."""
        with _explained(self._monitor):
            sent: int | None = super().write(b)  # type: ignore[no-untyped-call]
        return sent

    def _reconfigure_port(self, force_update: bool = False) -> None:
        """Take a new time limit, as pyserial does: it asks the terminal each time."""
        with _explained(self._monitor):
            super()._reconfigure_port(force_update)  # type: ignore[no-untyped-call,call-arg]


class _UartSocket(SocketSerial):
    """A UART of Renode's on a port of this machine."""

    def __init__(self, url: str, monitor: Monitor) -> None:
        self._monitor = monitor
        super().__init__(url)  # type: ignore[no-untyped-call]

    def read(self, size: int = 1) -> bytes:
        """Read bytes, as pyserial does."""
        with _explained(self._monitor):
            received: bytes = super().read(size)  # type: ignore[no-untyped-call]
        return received

    def write(self, data: "ReadableBuffer") -> int:
        """Write bytes, as pyserial does."""
        with _explained(self._monitor):
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
