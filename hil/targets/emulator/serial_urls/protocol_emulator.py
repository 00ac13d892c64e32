"""`emulator://UNIQUE-ID/usart1`: a USART of a powered emulated board as a pyserial port."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from serial.serialutil import PortNotOpenError, SerialBase, SerialException

from hil.targets.emulator import powered

if TYPE_CHECKING:
    from hil.targets.emulator.board import EmulatedBoard
    from hil.targets.emulator.line import Line


class Serial(SerialBase):
    """One end of a serial line; the other is the firmware's USART."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._board: EmulatedBoard | None = None
        self._open_line: Line | None = None
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def open(self) -> None:
        """Find the board of the URL. Raises SerialException."""
        if self.is_open:
            raise SerialException("the port is open already")
        parts = urlsplit(self.portstr or "")
        board = powered.find(parts.netloc)
        if board is None:
            known = ", ".join(powered.unique_ids()) or "none"
            raise SerialException(
                f"no emulated board {parts.netloc!r} has power; with power: {known}"
            )
        name = parts.path.strip("/") or board.board.uart
        if name not in board.chip.usarts:
            known = ", ".join(board.chip.usarts)
            raise SerialException(f"an emulated board has no port {name!r}; it has {known}")
        self._board, self._open_line = board, board.line(name)
        self.is_open = True

    def close(self) -> None:
        """Let the line go; what arrives later waits for the next port."""
        self.is_open = False
        self._board = self._open_line = None

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read at once."""
        return self._line.in_waiting()

    @property
    def out_waiting(self) -> int:
        """How many bytes wait to be sent: none, the line takes all."""
        return 0

    def read(self, size: int = 1) -> bytes:
        """Read bytes until there are `size` or the time-out is over.

        Raises:
            SerialException: the board has lost its power.
            EmulatorError: the emulator itself has failed.
        """
        data: bytes = self._line.receive(size, self._timeout)
        if not data:
            self._check_power()
        return data

    def write(self, b: Any, /) -> int:
        """Send bytes. Raises SerialException, EmulatorError."""
        data = bytes(b)
        self._check_power()
        self._line.send(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is written is sent."""

    def reset_input_buffer(self) -> None:
        """Drop what has arrived and nobody has read."""
        self._line.discard_received()

    def reset_output_buffer(self) -> None:
        """Drop what the firmware has not taken yet."""
        self._line.discard_sent()

    @property
    def _line(self) -> "Line":
        if self._open_line is None:
            raise PortNotOpenError
        return self._open_line

    def _check_power(self) -> None:
        if self._board is None or not self._board.chip.powered:
            raise SerialException("the emulated board has lost its power")
        self._board.chip.core.raise_failure()

    # pyserial calls these when line settings change; the line has none.

    def _reconfigure_port(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass

    def _update_dtr_state(self) -> None:
        pass

    def _update_break_state(self) -> None:
        pass
