"""The serial protocol of an MLPerf Tiny image, as far as a performance run needs it.

A command ends in %, an answer in the line m-ready. Source: EEMBC's `th_` interface as the public
submissions print it in their logs.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.errors import ProtocolError, SilenceError

READY = "m-ready"
_NAME = "m-name"
_LAP = "m-lap-us-"
_RESULTS = "m-results-["
_LOADED = "m-load-done"
_COMMAND_BYTES = 32
"""Input bytes a command carries: what EEMBC's runner sends, and every image's buffer holds."""

_LOOK_S = 0.5
_LATE_S = 2.0
"""Behind a late greeting, until the command is taken to be lost: an answer to it takes 1 ms."""
_MOST_LINE_BYTES = 4096


class Port(Protocol):
    """What of pyserial's port is used; its time-out is set."""

    timeout: float | None

    def read(self, size: int = 1, /) -> bytes:
        """Return up to so many bytes, fewer once the time-out has passed."""

    def write(self, b: bytes, /) -> int | None:
        """Send bytes."""


@dataclass(frozen=True)
class Window:
    """Inferences between two time stamps of the firmware.

    Attributes:
        inferences: so many. us: microseconds from the first lap to the second.
        results: what the network answered, as the image prints it.
    """

    inferences: int
    us: int
    results: str


class Image:
    """A running image at the other end of a port.

    Args:
        port: to it.
        rest: returns once the firmware has gone back to waiting: between the last byte of its
            answer and then it takes no command.
        deadline_s: of each line of an answer.
    """

    def __init__(self, port: Port, rest: Callable[[], object], deadline_s: float) -> None:
        self._port = port
        self._rest = rest
        self._deadline_s = deadline_s
        port.timeout = _LOOK_S

    def wait_until_ready(self) -> list[str]:
        """Return the lines that the image says of itself after a reset. Raises SilenceError."""
        return self._answer("reset")

    def greet(self) -> list[str]:
        """Ask an image for its name, which may not have said yet that it is ready.

        What it says of itself after a reset ends as an answer does. So what comes without a name is
        no answer; the command is sent once more where none follows: it came before anybody read it.

        Returns:
            the lines of its answer, without the last.

        Raises:
            SilenceError, ProtocolError: as `command` does.
        """
        lines = self.command("name")
        if _is_named(lines):
            return lines
        try:
            lines = self._answer("name", min(_LATE_S, self._deadline_s))
        except SilenceError:
            return self.command("name")
        return lines if _is_named(lines) else self.command("name")

    def command(self, text: str) -> list[str]:
        """Send a command; return the lines of its answer, without the last.

        Raises:
            SilenceError: no line came within the deadline. ProtocolError: it refuses.
        """
        self._port.write(f"{text}%".encode("ascii"))
        lines = self._answer(text)
        refused = next((line for line in lines if line.startswith(("e-", "err-"))), None)
        if refused is not None:
            raise ProtocolError(f"the image answers {text[:40]!r} with {refused!r}")
        return lines

    def load(self, data: bytes) -> None:
        """Give it an input. Raises ProtocolError where it wants another size."""
        self.command(f"db load {len(data)}")
        answer: Sequence[str] = ()
        for at in range(0, len(data), _COMMAND_BYTES):
            answer = self.command(f"db {data[at : at + _COMMAND_BYTES].hex()}")
        if _LOADED not in answer:
            raise ProtocolError(
                f"the image does not say {_LOADED} after {len(data):,} B of input",
                hint="the bytes of one input must be those of its network: --input",
            )

    def infer(self, inferences: int, warm_ups: int = 1) -> Window:
        """Have it infer; the time is from lap to lap, as the runner takes it.

        Args:
            inferences: in the window that is timed.
            warm_ups: before it.

        Raises:
            ProtocolError: there are not two laps.
        """
        lines = self.command(f"infer {inferences} {warm_ups}")
        laps = [int(line.removeprefix(_LAP)) for line in lines if line.startswith(_LAP)]
        if len(laps) != 2:
            raise ProtocolError(
                f"the image gives {len(laps)} time stamps for a run, not 2",
                hint="is it an image of the performance mode?",
            )
        results = next((line for line in lines if line.startswith(_RESULTS)), "")
        return Window(inferences, laps[1] - laps[0], results.removeprefix(_RESULTS).rstrip("]"))

    def _answer(self, to: str, deadline_s: float | None = None) -> list[str]:
        lines: list[str] = []
        while (line := self._line(to, deadline_s or self._deadline_s)) != READY:
            lines.append(line)
        self._rest()
        return lines

    def _line(self, of: str, deadline_s: float) -> str:
        line, until = bytearray(), time.monotonic() + deadline_s
        while not line.endswith(b"\n"):
            byte = self._port.read(1)
            line += byte
            if (not byte and time.monotonic() > until) or len(line) > _MOST_LINE_BYTES:
                raise SilenceError(
                    f"the image has not answered {of[:40]!r} within {deadline_s:.0f} s; its "
                    f"last bytes are {bytes(line[-40:])!r}",
                    hint="is it an MLPerf Tiny image, built for this chip and this speed of the "
                    "port?",
                )
        return line.decode("ascii", "replace").strip()


def _is_named(lines: Sequence[str]) -> bool:
    return any(line.startswith(_NAME) for line in lines)
