"""Every message of the link, once; `python -m hil.link.header` writes the firmware's header.

A message is a dataclass whose annotations say how its fields lie on the wire, little-endian and
without gaps, in the order they stand here.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, ClassVar, Self, get_args, get_type_hints

PROTOCOL_VERSION = 3


class MalformedError(ValueError):
    """A frame that passed its CRC and yet is no message: the other side speaks another version."""


@dataclass(frozen=True)
class Wire:
    """How a field lies in a frame.

    Attributes:
        c_type: of the member in the firmware's structure.
        bytes: its size; None for the rest of the frame, which only the last field may take.
    """

    c_type: str
    bytes: int | None


@dataclass(frozen=True)
class Field:
    """One field of a message: its name, its type in Python, and how it lies in the frame."""

    name: str
    python: type
    wire: Wire


UINT32 = Wire("uint32_t", 4)
FLAG = Wire("bool", 1)
IDENTITY = Wire("const uint8_t *", 20)
NAME = Wire("const char *", 32)  # padded with NUL
TEXT = Wire("const char *", None)
NOTE = Wire("", None)  # a text that the firmware appends by itself, or leaves out
DATA = Wire("const uint8_t *", None)

U8 = Annotated[int, Wire("uint8_t", 1)]
U16 = Annotated[int, Wire("uint16_t", 2)]
U32 = Annotated[int, UINT32]
U64 = Annotated[int, Wire("uint64_t", 8)]
Flag = Annotated[bool, FLAG]
Identity = Annotated[bytes, IDENTITY]
Name = Annotated[str, NAME]
Text = Annotated[str, TEXT]
Note = Annotated[str, NOTE]
Data = Annotated[bytes, DATA]


@dataclass(frozen=True)
class Message:
    """A request of the host, or what the device says.

    Attributes:
        kind: the frame's first byte; requests from 0x01, answers from 0x81, what comes unasked
            from 0xC1.
    """

    kind: ClassVar[int]

    def pack(self) -> bytes:
        """Return the frame's body."""
        body = bytearray()
        for field in layout(type(self)):
            body += _to_wire(getattr(self, field.name), field)
        return bytes(body)

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Return the message that a frame's body holds.

        Raises:
            MalformedError: the body has another length, or a field an impossible value.
        """
        values: dict[str, object] = {}
        at = 0
        for field in layout(cls):
            size = len(body) - at if field.wire.bytes is None else field.wire.bytes
            if at + size > len(body):
                raise MalformedError(f"{cls.__name__} of {len(body)} B ends before {field.name}")
            values[field.name] = _from_wire(body[at : at + size], field)
            at += size
        if at != len(body):
            raise MalformedError(f"{cls.__name__} has {len(body)} B where {at} B were expected")
        return cls(**values)


@dataclass(frozen=True)
class AskHello(Message):
    """Who is there? Begins a conversation: forgets what was sent before and any recorded fault."""

    kind: ClassVar[int] = 0x01


@dataclass(frozen=True)
class Load(Message):
    """Put a piece of the input into memory. Pieces come in order, the first at offset 0."""

    kind: ClassVar[int] = 0x02
    offset: U32
    data: Data


@dataclass(frozen=True)
class AskRun(Message):
    """Run inference. Answered twice: by Started at once, by Done when it is over.

    A streaming model's run pauses in between: it answers Wants or Outputs instead of Done, and goes
    on when Feed or Proceed has come, which are answered likewise.
    """

    kind: ClassVar[int] = 0x03
    iterations: U32
    per_layer: Flag


@dataclass(frozen=True)
class AskLayer(Message):
    """What did a layer take in the last run that counted layers?"""

    kind: ClassVar[int] = 0x04
    index: U32


@dataclass(frozen=True)
class AskOutputs(Message):
    """Send a piece of the outputs."""

    kind: ClassVar[int] = 0x05
    offset: U32
    count: U32


@dataclass(frozen=True)
class AskMemory(Message):
    """How much memory is set aside and used?"""

    kind: ClassVar[int] = 0x06


@dataclass(frozen=True)
class AskStatistics(Message):
    """What has gone wrong on the line?"""

    kind: ClassVar[int] = 0x07


@dataclass(frozen=True)
class Feed(Message):
    """The piece of the input that the run wants."""

    kind: ClassVar[int] = 0x08
    offset: U32
    data: Data


@dataclass(frozen=True)
class Proceed(Message):
    """The piece of the outputs has arrived; the run goes on."""

    kind: ClassVar[int] = 0x09


@dataclass(frozen=True)
class AskEcho(Message):
    """Send these bytes back: how the line is."""

    kind: ClassVar[int] = 0x0A
    data: Data


@dataclass(frozen=True)
class SetBaud(Message):
    """Go on at another speed, which is none above the board's; the answer still has the old one.

    The first whole frame at the new speed confirms it. Where none comes, the one before is in force
    again.
    """

    kind: ClassVar[int] = 0x0B
    baud: U32


@dataclass(frozen=True)
class Hello(Message):
    """Which firmware this is, and what its model takes and gives."""

    kind: ClassVar[int] = 0x81
    protocol: U16
    build_id: Identity
    clock_hz: U32
    input_bytes: U32
    output_bytes: U32
    input_survives: Flag
    streams: Flag
    layer_count: U32
    board: Name
    model: Name


@dataclass(frozen=True)
class Loaded(Message):
    """The input's first `count` bytes are in memory."""

    kind: ClassVar[int] = 0x82
    count: U32


@dataclass(frozen=True)
class Started(Message):
    """The run begins or goes on; the device hears nothing until it pauses or is done."""

    kind: ClassVar[int] = 0x83


@dataclass(frozen=True)
class Done(Message):
    """The run is over. Cycles of the last, the fastest and the slowest iteration.

    Cycles that the last iteration spent waiting for the host are counted apart.
    """

    kind: ClassVar[int] = 0x84
    cycles: U64
    least_cycles: U64
    most_cycles: U64
    waiting_cycles: U64


@dataclass(frozen=True)
class Layer(Message):
    """A layer's name, the MACs that the model states for it, its cycles in the last iteration."""

    kind: ClassVar[int] = 0x85
    macs: U32
    cycles: U32
    name: Text


@dataclass(frozen=True)
class Outputs(Message):
    """A piece of the outputs; from a streaming model's run as soon as it is computed."""

    kind: ClassVar[int] = 0x86
    offset: U32
    data: Data


@dataclass(frozen=True)
class Memory(Message):
    """Memory set aside, and the most of the stack that was used since the reset."""

    kind: ClassVar[int] = 0x87
    arena_bytes: U32
    static_bytes: U32
    stack_bytes: U32
    stack_high_water_bytes: U32


@dataclass(frozen=True)
class Statistics(Message):
    """What has gone wrong on the line since the reset, as the device saw it."""

    kind: ClassVar[int] = 0x88
    damaged_frames: U32
    repeated_requests: U32
    overruns: U32
    framing_errors: U32


@dataclass(frozen=True)
class Refused(Message):
    """The request was understood and cannot be done; `reason` is a Refusal."""

    kind: ClassVar[int] = 0x89
    reason: U8


@dataclass(frozen=True)
class Wants(Message):
    """The run goes on when it gets this piece of the input."""

    kind: ClassVar[int] = 0x8A
    offset: U32
    count: U32


@dataclass(frozen=True)
class Echo(Message):
    """The bytes that were sent."""

    kind: ClassVar[int] = 0x8B
    data: Data


@dataclass(frozen=True)
class BaudSet(Message):
    """The speed of everything behind this answer."""

    kind: ClassVar[int] = 0x8C
    baud: U32


@dataclass(frozen=True)
class Booted(Message):
    """Unasked: the device has just started, or is talked to for the first time."""

    kind: ClassVar[int] = 0xC1


@dataclass(frozen=True)
class Misheard(Message):
    """Unasked: a damaged frame came in. Whoever waits for an answer asks again."""

    kind: ClassVar[int] = 0xC2


@dataclass(frozen=True)
class Log(Message):
    """Unasked: a line for a person."""

    kind: ClassVar[int] = 0xC3
    text: Text


@dataclass(frozen=True)
class Fault(Message):
    """Unasked, and in answer to whatever is asked before the next greeting: the firmware crashed.

    The registers at the exception, the stacked ones 0 where the stack was lost; then the fault
    status and address registers (PM0214 section 4.4). An image that checks contracts notes which
    one was broken.
    """

    kind: ClassVar[int] = 0xC4
    exception: U32
    exc_return: U32
    r0: U32
    r1: U32
    r2: U32
    r3: U32
    r4: U32
    r5: U32
    r6: U32
    r7: U32
    r8: U32
    r9: U32
    r10: U32
    r11: U32
    r12: U32
    sp: U32
    lr: U32
    pc: U32
    xpsr: U32
    cfsr: U32
    hfsr: U32
    mmfar: U32
    bfar: U32
    note: Note = ""


REQUESTS: tuple[type[Message], ...] = (
    AskHello, Load, AskRun, AskLayer, AskOutputs, AskMemory, AskStatistics, Feed, Proceed,
    AskEcho, SetBaud,
)  # fmt: skip
REPORTS: tuple[type[Message], ...] = (
    Hello, Loaded, Started, Done, Layer, Outputs, Memory, Statistics, Refused, Wants, Echo,
    BaudSet, Booted, Misheard, Log, Fault,
)  # fmt: skip


class Start(IntEnum):
    """What of the chip never came after reset: a `Fault.exception` above all that exceptions have.

    Those end at 511, the most that IPSR can hold.
    """

    CRYSTAL = 0x1001
    PLL = 0x1002
    WAIT_STATES = 0x1003
    SWITCH = 0x1004
    SDRAM = 0x1005


class Refusal(IntEnum):
    """Why the device refuses a request."""

    UNKNOWN_REQUEST = 1
    NOT_GREETED = 2
    OUT_OF_RANGE = 3
    NO_INPUT = 4
    NO_RUN = 5
    TOO_MANY_LAYERS = 6
    STREAMS = 7
    NOT_WAITING = 8
    BUSY = 9


def parse(kind: int, body: bytes) -> Message:
    """Return the device's message in a frame.

    Args:
        kind: of the frame.
        body: its bytes, checked by their CRC.

    Raises:
        MalformedError: no such message, or a body that does not fit it.
    """
    for message in REPORTS:
        if message.kind == kind:
            return message.unpack(body)
    raise MalformedError(f"there is no message of kind 0x{kind:02X}")


_LAYOUTS: dict[type[Message], tuple[Field, ...]] = {}


def layout(message: type[Message]) -> tuple[Field, ...]:
    """Return the fields of a message in the order in which they lie in the frame."""
    if message not in _LAYOUTS:
        _LAYOUTS[message] = _worked_out(message)
    return _LAYOUTS[message]


def _worked_out(message: type[Message]) -> tuple[Field, ...]:
    hints = get_type_hints(message, include_extras=True)
    annotations = [(field.name, get_args(hints[field.name])) for field in fields(message)]
    return tuple(Field(name, python, wire) for name, (python, wire) in annotations)


def _to_wire(value: object, field: Field) -> bytes:
    size = field.wire.bytes
    match value:
        case int() if size is not None:
            return value.to_bytes(size, "little")
        case bytes() if size in {None, len(value)}:
            return value
        case str() if size is None:
            return value.encode()
        case str() if size is not None and len(value.encode()) < size:
            return value.encode().ljust(size, b"\0")
    raise ValueError(f"{value!r} does not fit {field}")


def _from_wire(raw: bytes, field: Field) -> object:
    if field.python is int:
        return int.from_bytes(raw, "little")
    if field.python is bool:
        if raw not in {b"\0", b"\1"}:
            raise MalformedError(f"{field.name} is {raw[0]}, neither true nor false")
        return raw == b"\1"
    if field.python is str:
        return raw.partition(b"\0")[0].decode("utf-8", "replace")
    return raw
