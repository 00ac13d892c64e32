"""What the harness asks of the firmware at the other end of a serial port."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from serial import SerialBase

from hil.errors import BootError, DamagedError, FlashError, LinkError, SilenceError, UsageError
from hil.link.conversation import Conversation, Deadline
from hil.link.frames import DATA_BYTES
from hil.link.messages import (
    PROTOCOL_VERSION,
    AskHello,
    AskLayer,
    AskMemory,
    AskOutputs,
    AskRun,
    AskStatistics,
    Done,
    Feed,
    Hello,
    Layer,
    Load,
    Loaded,
    Memory,
    Outputs,
    Proceed,
    Refused,
    Statistics,
    Wants,
)
from hil.link.pieces import Pieces
from hil.link.speed import Line, Quality
from hil.link.transcript import Transcript

_Piece = TypeVar("_Piece", Loaded, Outputs)
_PAUSES: tuple[type[Done] | type[Wants] | type[Outputs], ...] = (Done, Wants, Outputs)
"""What a run may answer: it is done, wants input, or has outputs."""


class BuiltImage(Protocol):
    """What the client must know of a firmware image."""

    @property
    def build_id(self) -> bytes:
        """The linker's build id."""


@dataclass(frozen=True)
class Run:
    """What a run of inference took.

    Attributes:
        cycles: of the last iteration; least_cycles, most_cycles: over all of them.
        waiting_cycles: of the last iteration, beside the others: the host's part of a streaming
            model's run.
        layers: of the last iteration, in order; empty where they were not counted.
        seconds: from the request to the end, by the host's clock; None where something had to be
            sent again.
    """

    cycles: int
    least_cycles: int
    most_cycles: int
    waiting_cycles: int
    layers: tuple[Layer, ...]
    seconds: float | None = None


class Device:
    """The firmware at the other end of a serial port.

    Args:
        port: open; it stays the caller's to close.
        timeout_s: longest silence before the board is given up.
        clock: seconds that only grow; tests bring their own.
        transcript: notes every frame; None for one that nobody reads.

    Attributes:
        line: how the serial line is, once it was measured.
    """

    def __init__(
        self,
        port: SerialBase,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        transcript: Transcript | None = None,
    ) -> None:
        self._clock = clock
        self._port = port
        self._line = Conversation(port, timeout_s, clock, transcript)
        self._pieces = Pieces()
        self.line: Quality | None = None
        self._hello: Hello | None = None
        self._input = b""  # of a streaming model, until its run asks for it
        self._left: dict[str, int] = {}  # bytes that a run may still ask for and send
        self._given: dict[int, bytes] = {}  # outputs that its run has sent, by offset

    @property
    def resends(self) -> int:
        """Requests sent again so far, because they or their answers were lost or damaged."""
        return self._line.resends

    @property
    def log(self) -> list[str]:
        """Lines that the firmware said to a person."""
        return self._line.log

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Give up whatever is asked in the block when it takes longer in all.

        Args:
            seconds: that all exchanges of the block have together.
            what: they are, for a person.

        Raises:
            SilenceError: time is up.
        """
        self._line.deadline = Deadline(self._clock() + seconds, seconds, what)
        try:
            yield
        finally:
            self._line.deadline = None

    def expect(self, image: BuiltImage) -> Hello:
        """Greet the board, and refuse to talk to any image but this one.

        Raises:
            FlashError: it runs another image.
            BootError, LinkError, FirmwareFault: as `hello` does.
        """
        return self.hello(image.build_id)

    def hello(self, expected_build_id: bytes | None = None) -> Hello:
        """Greet the board; every conversation begins with it.

        Raises:
            BootError: nothing answers. FlashError: another image answers than was expected.
            LinkError: what answers speaks another version of the protocol.
            FirmwareFault: the firmware crashed while it started.
        """
        self._hello = None
        self._line.forget()
        try:
            hello = self._line.ask(AskHello(), Hello)
        except SilenceError as error:
            raise BootError(
                f"the board did not say hello within {self._line.timeout_s:g} s of reset",
                hint="check the serial port, its baud rate and the wiring of TX and RX",
                stage="hello",
            ) from error
        if hello.protocol != PROTOCOL_VERSION:
            raise LinkError(
                f"the firmware speaks protocol {hello.protocol}, this harness {PROTOCOL_VERSION}",
                hint="flash the image that was just built",
                stage="hello",
            )
        if expected_build_id is not None and hello.build_id != expected_build_id:
            raise FlashError(
                f"the board runs image {hello.build_id.hex()[:12]} ({hello.model}), "
                f"not {expected_build_id.hex()[:12]}",
                hint="flash it again; is this serial port the flashed board's?",
                stage="hello",
            )
        self._hello = hello
        self._line.reached = "hello"
        return hello

    def settle(self, tell: Callable[[str], None], own_baud: int) -> Quality:
        """Measure the line of a greeted board, and step its speed down where frames fail.

        Args:
            tell: told of a line that fails.
            own_baud: the board's; it was greeted at a lower one where no frame passes at that.

        Raises:
            LinkError, SilenceError, FirmwareFault.
        """
        self.line = Line(self._line, self._port, self._clock).settle(tell, own_baud)
        return self.line

    def load_input(self, data: bytes) -> None:
        """Put a whole input into the firmware's memory, or keep it until a streaming run asks.

        Args:
            data: int8 in the program's order, as many bytes as the model takes.

        Raises:
            UsageError: another number of bytes. LinkError, SilenceError, FirmwareFault.
        """
        wanted = self._greeting().input_bytes
        if len(data) != wanted:
            raise UsageError(f"the model takes {wanted:,} B of input, not {len(data):,} B")
        if self._greeting().streams:
            self._input = data
            return
        offset = 0
        while offset < wanted:
            piece = data[offset : offset + self._pieces.bytes]
            loaded = self._ask_piece(Load(offset, piece), Loaded)
            if loaded is None:  # it may have arrived or not: the first begins anew
                offset = 0
                continue
            offset += len(piece)
            if loaded.count != offset:
                raise self._line.wrong(f"holds {loaded.count} B of input, not {offset}")
        self._line.reached = "input loaded"

    def _ask_piece(self, request: Load | AskOutputs, wanted: type[_Piece]) -> _Piece | None:
        """Ask with a piece of data in the request or the answer, and fit the next one's size.

        Returns:
            the answer; None where the line damages every frame of this size, which is then smaller.

        Raises:
            LinkError: it damages the smallest too. SilenceError, FirmwareFault.
        """
        before = self.resends
        enough = {} if self._pieces.are_smallest else {"bytes_in_vain": 0}
        try:
            answer = self._line.ask(request, wanted, **enough)
        except DamagedError:
            if self._pieces.are_smallest:
                raise
            self._pieces.failed()
            return None
        self._pieces.passed(damaged=self.resends > before)
        return answer

    def leave(self, data: bytes) -> None:
        """Have the firmware hold bytes that mean nothing, where its last request stands in memory.

        An input that was loaded before is lost.

        Raises:
            LinkError, SilenceError, FirmwareFault.
        """
        self._line.ask(Load(0, data), Loaded, Refused)

    def run(
        self, iterations: int = 1, *, per_layer: bool = True, work_s: float | None = None
    ) -> Run:
        """Run inference on the loaded input.

        Args:
            iterations: how often; more than one needs a model whose input survives.
            per_layer: whether to count the cycles of every layer too.
            work_s: longest silence while the device works; None for that of every exchange.

        Raises:
            LinkError: no input is loaded, or the firmware counts no cycles.
            SilenceError, FirmwareFault.
        """
        self._given = {}
        self._left = {"input": self._greeting().input_bytes * iterations}
        self._left["outputs"] = self._greeting().output_bytes * iterations
        began, resends = self._clock(), self.resends
        answer = self._line.ask(AskRun(iterations, per_layer), *_PAUSES, work_s=work_s)
        while not isinstance(answer, Done):
            resume = self._feed(answer) if isinstance(answer, Wants) else self._keep(answer)
            answer = self._line.ask(resume, *_PAUSES, work_s=work_s)
        done = answer
        seconds = self._clock() - began if self.resends == resends else None
        self._line.reached = "run done"
        count = self._greeting().layer_count if per_layer else 0
        layers = tuple(self._line.ask(AskLayer(index), Layer) for index in range(count))
        if done.cycles == 0:
            raise self._line.wrong(
                f"counted no cycles; it says: {'; '.join(self.log) or 'nothing'}"
            )
        return Run(
            done.cycles, done.least_cycles, done.most_cycles, done.waiting_cycles, layers, seconds
        )

    def _feed(self, wants: Wants) -> Feed:
        """Return the piece of the input that a run wants."""
        end = wants.offset + wants.count
        if not 0 < wants.count <= DATA_BYTES or end > len(self._input):
            raise self._line.wrong(
                f"asks for input bytes {wants.offset} to {end} of {len(self._input)}"
            )
        self._spend("input", wants.count)
        return Feed(wants.offset, self._input[wants.offset : end])

    def _keep(self, piece: Outputs) -> Proceed:
        """Keep a piece of a run's outputs; a later iteration's takes the place of an earlier's."""
        self._spend("outputs", len(piece.data))
        self._given[piece.offset] = piece.data
        return Proceed()

    def _spend(self, what: str, count: int) -> None:
        """Count what a run has asked for or sent: one that never has enough must end too."""
        self._left[what] -= count
        if self._left[what] < 0 or count == 0:
            raise self._line.wrong(f"goes on with {what} when there is no more of it")

    def outputs(self) -> bytes:
        """Return all outputs of the last run.

        Raises:
            LinkError, SilenceError, FirmwareFault.
        """
        if self._greeting().streams:
            return self._assembled()
        total = self._greeting().output_bytes
        outputs = bytearray()
        while len(outputs) < total:
            count = min(self._pieces.bytes, total - len(outputs))
            piece = self._ask_piece(AskOutputs(len(outputs), count), Outputs)
            if piece is None:
                continue
            if (piece.offset, len(piece.data)) != (len(outputs), count):
                raise self._line.wrong(f"sent outputs from {piece.offset}, not from {len(outputs)}")
            outputs += piece.data
        self._line.reached = "outputs read"
        return bytes(outputs)

    def _assembled(self) -> bytes:
        """Put the pieces that a run sent together; each output has to be there once."""
        outputs = b""
        for offset, data in sorted(self._given.items()):
            if offset != len(outputs):
                break
            outputs += data
        total = self._greeting().output_bytes
        if len(outputs) != total or sum(map(len, self._given.values())) != total:
            raise self._line.wrong(f"sent {len(outputs):,} B of outputs in a row, not {total:,} B")
        self._line.reached = "outputs read"
        return outputs

    def memory(self) -> Memory:
        """Return the memory set aside, and the stack's high-water mark since the reset."""
        return self._line.ask(AskMemory(), Memory)

    def statistics(self) -> Statistics:
        """Return what the device has seen go wrong on the line since the reset."""
        return self._line.ask(AskStatistics(), Statistics)

    def _greeting(self) -> Hello:
        return self._hello or self.hello()
