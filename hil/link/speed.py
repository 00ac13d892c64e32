"""How good a serial line is, measured where a board is greeted, and the speed that suits it.

Frames of 64 bytes go there and come back. Where they fail, the line is measured at lower speeds
too, and the board is talked to at the one that brings most bytes across.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hil.errors import DamagedError, SilenceError
from hil.link.conversation import Conversation
from hil.link.messages import AskEcho, AskStatistics, BaudSet, Echo, SetBaud, Statistics

SPEEDS = (460_800, 230_400, 115_200)
"""Baud rates that a line may step down to: serial adapters and the chips' dividers make them."""

_ECHOES, _BYTES = 8, 64
_FAILS_FROM = 2  # of the echoes: one may be an accident
_PIECE_ECHOES = 4  # a piece of 256 bytes passes where so many echoes in a row would
_CONFIRMED_WITHIN_S = 3.0


@dataclass(frozen=True)
class Quality:
    """How a line is at one speed.

    Attributes:
        baud: the speed.
        frames: that were to go there and back. damaged: of them, those that were sent again.
        bytes_per_s: of data, both ways, by the host's clock; 0 where none came back.
    """

    baud: int
    frames: int
    damaged: int
    bytes_per_s: float

    @property
    def fails(self) -> bool:
        """Whether a lower speed is worth a try."""
        return self.damaged >= _FAILS_FROM

    @property
    def usable_baud(self) -> float:
        """What the line carries, in proportion: its speed by the chance of a piece to pass."""
        return float(self.baud * (1 - self.damaged / self.frames) ** _PIECE_ECHOES)

    def __str__(self) -> str:
        return f"{self.damaged} of {self.frames} frames fail at {self.baud:,} baud"


class Line:
    """A serial line whose speed both ends can change.

    Args:
        talk: the conversation with a greeted board.
        port: its serial port.
        clock: seconds that only grow.
    """

    def __init__(self, talk: Conversation, port: Any, clock: Callable[[], float]) -> None:
        self._talk = talk
        self._port = port
        self._clock = clock

    def settle(self, tell: Callable[[str], None], own_baud: int) -> Quality:
        """Measure the line, step down where frames fail, and return how it is from now on.

        Args:
            tell: told of a line that fails, and of the speed that is used.
            own_baud: the board's. A board that was greeted at a lower speed steps up as far as
                frames pass, as at its own none did.

        Raises:
            LinkError, SilenceError: the board is lost. FirmwareFault: the firmware crashed.
        """
        if self._port.baudrate < own_baud:
            found = self._step_up()
            measured = [f"no greeting passes at {own_baud:,} baud", *map(str, found)]
        else:
            found = self._step_down()
            measured = [str(one) for one in found]
            if len(found) == 1 and not found[0].fails:
                return found[0]
        best = max(found, key=lambda one: one.usable_baud)
        if best.baud != self._port.baudrate:
            self.use(best.baud)
        told = "; ".join(measured)
        tell(f"the serial line damages frames: {told}; it is used at {best.baud:,} baud")
        return best

    def _step_down(self) -> list[Quality]:
        """Measure at lower and lower speeds, until frames pass."""
        found = [self.measure()]
        for baud in (one for one in SPEEDS if found[0].fails and one < found[0].baud):
            if not (self.use(baud) or self.use(baud)):  # the first may have met an accident
                continue
            found.append(self.measure())
            if not found[-1].fails:
                break
        return found

    def _step_up(self) -> list[Quality]:
        """Measure at higher and higher speeds, until frames fail."""
        self.use(self._port.baudrate)  # the debugger has set it: now the firmware knows it too
        found = [self.measure()]
        for baud in (one for one in reversed(SPEEDS) if one > found[0].baud):
            if found[-1].fails or not self.use(baud):
                break
            found.append(self.measure())
        return found

    def measure(self) -> Quality:
        """Send frames there and back at the present speed. Raises LinkError, SilenceError."""
        began, damaged, passed = self._clock(), 0, 0
        for sent in _patterns():
            before = self._talk.resends
            try:
                echo = self._talk.ask(AskEcho(sent), Echo, bytes_in_vain=0)
            except DamagedError:
                damaged = _ECHOES
                break
            if echo.data != sent:
                raise self._talk.wrong("echoes other bytes than were sent")
            damaged += self._talk.resends > before
            passed += 2 * len(sent)
        seconds = max(self._clock() - began, 1e-9)
        return Quality(self._port.baudrate, _ECHOES, damaged, passed / seconds)

    def use(self, baud: int) -> bool:
        """Have both ends go on at another speed; they keep theirs where frames do not pass at it.

        Raises:
            LinkError, SilenceError: the board is lost.
        """
        before = self._port.baudrate
        self._talk.ask(SetBaud(baud), BaudSet)
        self._port.baudrate = baud
        if self._confirmed():
            return True
        self._port.baudrate = before
        self._talk.ask(AskStatistics(), Statistics)
        return False

    def _confirmed(self) -> bool:
        try:
            self._talk.ask(AskStatistics(), Statistics, within_s=_CONFIRMED_WITHIN_S)
        except (DamagedError, SilenceError):
            return False
        return True


def _patterns() -> Iterator[bytes]:
    """Yield every byte several times, beside others each time."""
    for start in range(_ECHOES):
        yield bytes((start + step * _ECHOES * 4 + step // 8) % 256 for step in range(_BYTES))
