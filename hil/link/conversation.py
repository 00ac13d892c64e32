"""One request, one answer, over a line that loses and damages bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from serial import SerialBase, SerialException

from hil.errors import (
    BootError,
    DamagedError,
    FirmwareFault,
    LinkError,
    MeasurementError,
    PortError,
    ProtocolError,
    SilenceError,
)
from hil.link import faults
from hil.link.frames import Damaged, Decoder, Frame, encode
from hil.link.messages import (
    AskHello,
    AskRun,
    Booted,
    Fault,
    Feed,
    Log,
    MalformedError,
    Message,
    Misheard,
    Proceed,
    Refusal,
    Refused,
    Started,
    parse,
)
from hil.link.transcript import Transcript

_RESEND_AFTER_S = 1.0  # doubled at every resend
_FRAME_GAP_S = 0.5  # within a frame; after it, the frame's end is lost
_FEWEST_DAMAGES = 8  # that end an exchange
_MOST_BYTES_IN_VAIN = 32 * 1024  # of one exchange, both ways; at 115,200 baud 3 s
_MOST_LINES = 200  # of the firmware's log; of a storm the last
_LAST_SEQUENCE = 255
_RESUMING = (AskRun, Feed, Proceed)  # after these the device works, and is deaf until it answers
_Answer = TypeVar("_Answer", bound=Message)

_REMEDIES = {
    Refusal.UNKNOWN_REQUEST: "firmware and harness are of different versions: flash it again",
    Refusal.NOT_GREETED: "it has restarted since the hello: is its supply stable?",
    Refusal.OUT_OF_RANGE: "firmware and harness disagree about the model: flash it again",
    Refusal.NO_INPUT: "load an input first; a run may have overwritten the last one",
    Refusal.NO_RUN: "run with per_layer first",
    Refusal.STREAMS: "its input goes in, and its outputs come out, while it runs",
    Refusal.NOT_WAITING: "no run waits for this: has another program talked to the board?",
    Refusal.BUSY: "greet it again: a run that another program began still waits for its input",
    Refusal.TOO_MANY_LAYERS: "raise MODEL_MOST_LAYERS in firmware/runtime/runtime_limits.h",
}


class Conversation:
    """Requests to the firmware and its answers.

    A request whose answer is lost or damaged is sent again; the firmware knows it by its sequence
    number and does not do it twice.

    Args:
        port: open; it stays the caller's to close.
        timeout_s: longest silence before the board is given up.
        clock: seconds that only grow.
        transcript: notes every frame; None for one that nobody reads.

    Attributes:
        reached: the last stage that the board is known to have come to.
        resends: requests sent again so far.
        log: lines that the firmware said to a person.
        deadline: of whatever is asked until it is lifted; None where there is none.
    """

    def __init__(
        self,
        port: SerialBase,
        timeout_s: float,
        clock: Callable[[], float],
        transcript: Transcript | None = None,
    ) -> None:
        self.transcript = transcript or Transcript(clock)
        self.timeout_s = timeout_s
        self.reached = "reset"
        self.resends = 0
        self.log: list[str] = []
        self.deadline: Deadline | None = None
        self._port: Any = port  # pyserial has no type for what all its ports share
        self._clock = clock
        self._decoder = Decoder()
        self._sequence = 0

    def forget(self) -> None:
        """Drop what the line still holds from before a reset."""
        self.reached = "reset"
        self.transcript.remark("greeting anew")
        self._decoder = Decoder()
        with self._port_errors():
            self._port.reset_input_buffer()

    def ask(
        self,
        request: Message,
        *wanted: type[_Answer],
        bytes_in_vain: int = _MOST_BYTES_IN_VAIN,
        work_s: float | None = None,
        within_s: float | None = None,
    ) -> _Answer:
        """Send a request until one of the wanted answers comes.

        Args:
            request: what to send.
            wanted: the answers to it.
            bytes_in_vain: both ways, after which a line that has damaged more than 8 frames of
                this exchange is given up.
            work_s: longest silence once the device works; None for that of every exchange, which
                is never exceeded.
            within_s: longest silence before the answer; None for that of every exchange.

        Raises:
            DamagedError: the line damages too much.
            LinkError: the port fails, or the board refuses the request or restarts.
            SilenceError: time is up. FirmwareFault: the firmware crashed.
        """
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        silence_s = min(self.timeout_s, within_s or self.timeout_s)
        question = _Question(
            request,
            wanted,
            self._sequence,
            self._clock(),
            silence_s,
            bytes_in_vain=bytes_in_vain,
        )
        question.work_s = min(self.timeout_s, work_s or self.timeout_s)
        question.deadline = self.deadline
        with self._port_errors():
            self._limit_writing()
            self._send(question)
            while True:
                for received in self._receive(question):
                    answer = self._consider(received, question)
                    if isinstance(answer, wanted):
                        return answer
                    if answer is not None:
                        raise self.wrong(f"answered {question} with {type(answer).__name__}")
                self._watch_clock(question)

    def _limit_writing(self) -> None:
        try:
            self._port.write_timeout = self.timeout_s
        except NotImplementedError:  # RFC 2217's ports have none, and then refuse every setting
            self._port.write_timeout = None

    def wrong(self, what: str, hint: str = "flash the image again") -> LinkError:
        """Return the error of firmware that says something it should not; whose, a hello tells.

        Args:
            what: it did, as words behind "the board".
            hint: what the user can do.
        """
        kind = LinkError if self.reached == "reset" else ProtocolError
        return kind(f"the board {what}", hint=hint, stage=self.reached)

    def _broken(self, what: str, hint: str) -> LinkError:
        """Return the error of a board that may have restarted, or whose line damages frames."""
        return LinkError(f"the board {what}", hint=hint, stage=self.reached)

    def _receive(self, question: "_Question") -> Iterator[Frame | Damaged]:
        """Wait for bytes until something else is due; yield the frames they complete."""
        wait_s = max(0.0, question.next_event_at - self._clock())
        begun = self._decoder.is_within_frame
        self._port.timeout = min(wait_s, _FRAME_GAP_S) if begun else wait_s
        received: bytes = self._port.read(1)
        if received:
            received += self._port.read(self._port.in_waiting)
        elif begun and wait_s > _FRAME_GAP_S:
            received = b"\0"  # its end is lost, and the next frame may be long in coming
        question.bytes_passed += len(received)
        yield from self._decoder.feed(received)

    def _watch_clock(self, question: "_Question") -> None:
        now = self._clock()
        if question.deadline is not None and now >= question.deadline.at:
            raise self._too_late(question, question.deadline)
        if now >= question.give_up_at and question.damages > _FEWEST_DAMAGES:
            raise self._not_understood(question)
        if now >= question.give_up_at:
            raise SilenceError(
                f"no answer to {question} within {question.silence_s:g} s; "
                f"the last stage reached was: {self.reached}",
                hint="a slow board needs a longer --hil-timeout",
                stage=self.reached,
            )
        if now >= question.resend_at:
            question.resend_later(now)
            self._send_again(question)

    def _too_late(self, question: "_Question", deadline: "Deadline") -> MeasurementError:
        if question.damages > _FEWEST_DAMAGES:
            return self._not_understood(question)
        return SilenceError(
            f"{deadline.what} did not end within {deadline.seconds:,.0f} s; "
            f"the last stage reached was: {self.reached}",
            hint="does the core's clock run as the board's file says? a bad line costs time too",
            stage=self.reached,
        )

    def _consider(self, received: Frame | Damaged, question: "_Question") -> Message | None:
        """Return the answer to the request if this is it; otherwise act on what it is."""
        if isinstance(received, Damaged):
            self.transcript.received("damaged", 0, received.encoded)
            self._after_damage(question)
            return None
        try:
            message = parse(received.kind, received.body)
        except MalformedError as error:
            self.transcript.received(f"kind {received.kind}", received.sequence, received.body)
            raise self.wrong(f"speaks another protocol: {error}") from error
        self.transcript.received(type(message).__name__, received.sequence, received.body)
        if self._is_unasked(message, question):
            return None
        if received.sequence != self._sequence:
            return None  # the second answer to a request that was sent twice
        stale = isinstance(question.request, AskHello) and not isinstance(message, question.wanted)
        if stale and question.damages == 0:
            self._after_damage(question)  # to a request that lacked its end until the greeting came
            return None
        if isinstance(message, Refused) and Refused not in question.wanted:
            raise self._refusal(message, question)
        if isinstance(message, Started) and isinstance(question.request, _RESUMING):
            self.reached = "run started"
            question.understood(self._clock())
            return None  # the answer proper follows
        return message

    def _is_unasked(self, message: Message, question: "_Question") -> bool:
        """Act on what the device says of itself."""
        match message:
            case Log():
                self.log = [*self.log, message.text][-_MOST_LINES:]
                self.transcript.remark(f"the firmware says: {message.text}")
            case Misheard():
                self._after_damage(question)
            case Booted() if isinstance(question.request, AskHello):
                self._send(question)  # it was not listening before
            case Booted():
                raise self._broken("restarted by itself", hint="is its supply stable?")
            case Fault():
                self._check_start(message)
                raise FirmwareFault(
                    f"{faults.describe(message)}\n{faults.registers(message)}",
                    stage=self.reached,
                    registers=faults.core_registers(message),
                )
            case _:
                return False
        return True

    def _check_start(self, fault: Fault) -> None:
        """Tell a chip that does not start from a firmware that crashes."""
        start = faults.at_start(fault)
        if start is not None:
            what, hint = start
            raise BootError(what, hint=hint, stage="start")

    def _after_damage(self, question: "_Question") -> None:
        question.damages += 1
        if question.damages == 1 and isinstance(question.request, AskHello):
            self._send(question)  # half a frame from before; it was busy saying it
            return
        if question.is_in_vain:
            raise self._not_understood(question)
        self._send_again(question)

    def _not_understood(self, question: "_Question") -> DamagedError:
        return DamagedError(
            f"the board cannot be understood: {question.damages:,} damaged frames among "
            f"{question.bytes_passed:,} B of one exchange",
            hint="check ground, cable and baud rate",
            stage=self.reached,
        )

    def _send_again(self, question: "_Question") -> None:
        self.resends += 1
        self._send(question)

    def _send(self, question: "_Question") -> None:
        question.bytes_passed += len(question.wire)
        self.transcript.sent(str(question), self._sequence, question.body)
        self._port.write(question.wire)

    def _refusal(self, message: Refused, question: "_Question") -> LinkError:
        try:
            reason = Refusal(message.reason)
        except ValueError:
            return self.wrong(f"refused {question} for the unknown reason {message.reason}")
        tell = self._broken if reason is Refusal.NOT_GREETED else self.wrong
        return tell(f"refused {question}: {reason.name}", hint=_REMEDIES[reason])

    @contextmanager
    def _port_errors(self) -> Iterator[None]:
        """Report a port that fails as an error of the link."""
        try:
            yield
        except (SerialException, OSError) as error:
            raise PortError(
                f"the serial port failed: {error}",
                hint="is the board still connected?",
                stage=self.reached,
            ) from error


@dataclass(frozen=True)
class Deadline:
    """When several exchanges together must have ended.

    Attributes:
        at: by the conversation's clock.
        seconds: that they had.
        what: they are, for a person.
    """

    at: float
    seconds: float
    what: str


class _Question:
    """A request on its way: when it is sent again, and when it is given up."""

    def __init__(
        self,
        request: Message,
        wanted: tuple[type[Message], ...],
        sequence: int,
        now: float,
        timeout_s: float,
        *,
        bytes_in_vain: int,
    ) -> None:
        self.request = request
        self.wanted = wanted
        self.body = request.pack()
        self.wire = encode(Frame(request.kind, sequence, self.body))
        self.deadline: Deadline | None = None
        self.damages = 0
        self.bytes_passed = 0  # both ways
        self._bytes_in_vain = bytes_in_vain
        self.give_up_at = now + timeout_s
        self.resend_at = now + _RESEND_AFTER_S
        self.silence_s = self.work_s = timeout_s
        self._pause_s = _RESEND_AFTER_S
        self._is_understood = False

    def __str__(self) -> str:
        return type(self.request).__name__

    @property
    def next_event_at(self) -> float:
        soonest = min(self.resend_at, self.give_up_at)
        return soonest if self.deadline is None else min(soonest, self.deadline.at)

    @property
    def is_in_vain(self) -> bool:
        """Whether the line has damaged enough, in number and in bytes, to be given up."""
        return self.damages > _FEWEST_DAMAGES and self.bytes_passed > self._bytes_in_vain

    def resend_later(self, now: float) -> None:
        self._pause_s *= 2
        self.resend_at = now + self._pause_s

    def understood(self, now: float) -> None:
        """The device is at work and deaf: time starts anew once, and resends become rare."""
        if self._is_understood:
            return
        self._is_understood = True
        self.silence_s = self.work_s
        self.give_up_at = now + self.work_s
        self._pause_s = self.work_s / 4
        self.resend_at = now + self._pause_s
