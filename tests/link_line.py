"""A serial line in memory, between the client and a device that answers bytes with bytes.

Time is the line's own: it stands still while bytes come, and jumps to the end of a wait that none
ends. So tests of lost frames take no time.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from hil.link.client import Device
from hil.link.frames import Decoder, Frame, encode
from hil.link.messages import PROTOCOL_VERSION, REQUESTS, Hello, Message

if TYPE_CHECKING:
    from serial import SerialBase

Answer = Callable[[bytes], bytes]
Mangle = Callable[[bytes], bytes]

HELLO = Hello(
    protocol=PROTOCOL_VERSION,
    build_id=bytes(range(20)),
    clock_hz=168_000_000,
    input_bytes=3000,
    output_bytes=2500,
    input_survives=False,
    streams=False,
    layer_count=2,
    board="stm32f439",
    model="tiny",
)


def untouched(data: bytes) -> bytes:
    """A line without faults."""
    return data


class LinePort:
    """What the client uses of a pyserial port."""

    def __init__(
        self, answer: Answer, to_device: Mangle = untouched, to_host: Mangle = untouched
    ) -> None:
        self.timeout = 0.0
        self.write_timeout = 0.0
        self._answer = answer
        self._to_device = to_device
        self._to_host = to_host
        self._now = 0.0
        self._waiting = bytearray()

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, count: int) -> bytes:
        if not self._waiting:
            self._now += self.timeout
        taken = bytes(self._waiting[:count])
        del self._waiting[:count]
        return taken

    def write(self, data: bytes) -> int:
        self._waiting += self._to_host(self._answer(self._to_device(data)))
        return len(data)

    def reset_input_buffer(self) -> None:
        self._waiting.clear()

    def clock(self) -> float:
        return self._now

    def device(self, timeout_s: float = 60.0) -> Device:
        """Return a client on this line."""
        return Device(cast("SerialBase", self), timeout_s, self.clock)


class ScriptedDevice:
    """A device in Python that answers each request with what `answer` says."""

    def __init__(self, answer: Callable[[Message], list[Message]]) -> None:
        self.heard: list[Message] = []
        self._answer = answer
        self._decoder = Decoder()

    def __call__(self, data: bytes) -> bytes:
        said = b""
        for frame in self._decoder.feed(data):
            assert isinstance(frame, Frame), "a line without faults damages no frame"
            (kind,) = (request for request in REQUESTS if request.kind == frame.kind)
            self.heard.append(kind.unpack(frame.body))
            for message in self._answer(self.heard[-1]):
                said += encode(Frame(message.kind, frame.sequence, message.pack()))
        return said
