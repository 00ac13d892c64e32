"""What a serial line carried, frame by frame, for a person who looks for what went wrong."""

from collections import deque
from collections.abc import Callable

_MOST_LINES = 10_000  # of each end of a conversation
_SHOWN_BYTES = 24  # of a frame's body
_HEADING = "  seconds     message #sequence   body: bytes, the first of them in hexadecimal"


class Transcript:
    """Lines about frames: the first ones and the last ones of a long conversation.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun_s = clock()
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_MOST_LINES)
        self._count = 0

    def sent(self, message: str, sequence: int, body: bytes) -> None:
        """Note a frame that went to the board.

        Args:
            message: the message's name.
            sequence: its number, 0 to 255.
            body: its bytes.
        """
        self._note(">", message, sequence, body)

    def received(self, message: str, sequence: int, body: bytes) -> None:
        """Note a frame that came from the board.

        Args:
            message: the message's name.
            sequence: its number, 0 to 255.
            body: its bytes.
        """
        self._note("<", message, sequence, body)

    def remark(self, text: str) -> None:
        """Note what is no frame: a reset, a line of the firmware's log."""
        self._keep(f"{self._clock() - self._begun_s:10.4f}  -  {text}")

    def text(self) -> str:
        """Return all of it, and how many lines of its middle are left out."""
        left_out = self._count - len(self._first) - len(self._last)
        middle = [f"... {left_out:,} frames left out"] if left_out else []
        return "\n".join([_HEADING, *self._first, *middle, *self._last, ""])

    def _note(self, way: str, message: str, sequence: int, body: bytes) -> None:
        more = " ..." if len(body) > _SHOWN_BYTES else ""
        hexadecimal = body[:_SHOWN_BYTES].hex(" ")
        self._keep(
            f"{self._clock() - self._begun_s:10.4f}  {way}  {message} #{sequence}  "
            f"{len(body)} B: {hexadecimal}{more}"
        )

    def _keep(self, line: str) -> None:
        self._count += 1
        kept = self._first if len(self._first) < _MOST_LINES else self._last
        kept.append(line)
