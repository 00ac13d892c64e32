"""Frames: COBS between zero bytes, a kind, a sequence number, a body and its CRC-32.

    00  COBS( kind:1  sequence:1  body:0..LARGEST_BODY_BYTES  crc32:4, little-endian )  00

The CRC is zlib's, over kind, sequence and body. Nothing of a frame is believed before it passes.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

DATA_BYTES = 1024
"""Most bytes of an image or of outputs in one frame."""

LARGEST_BODY_BYTES = 4 + DATA_BYTES
_HEADER_BYTES = 2
_CRC_BYTES = 4
_LARGEST_FRAME_BYTES = _HEADER_BYTES + LARGEST_BODY_BYTES + _CRC_BYTES
_LARGEST_ENCODED_BYTES = _LARGEST_FRAME_BYTES + _LARGEST_FRAME_BYTES // 254 + 1
_BLOCK_BYTES = 254


@dataclass(frozen=True)
class Frame:
    """A message on the wire; sequence 0 is for what no request asked for."""

    kind: int
    sequence: int
    body: bytes = b""


@dataclass(frozen=True)
class Damaged:
    """Bytes between two delimiters that are no frame."""

    encoded: bytes


def encode(frame: Frame) -> bytes:
    """Return a frame's bytes on the wire, a delimiter at both ends.

    The first one ends whatever noise or half a frame came before.

    Raises:
        ValueError: the body is longer than LARGEST_BODY_BYTES.
    """
    if len(frame.body) > LARGEST_BODY_BYTES:
        raise ValueError(f"a body of {len(frame.body)} B exceeds {LARGEST_BODY_BYTES} B")
    content = bytes((frame.kind, frame.sequence)) + frame.body
    crc = zlib.crc32(content).to_bytes(_CRC_BYTES, "little")
    return b"\0" + stuff(content + crc) + b"\0"


def decode(encoded: bytes) -> Frame | Damaged:
    """Return the frame that the bytes between two delimiters stand for."""
    content = unstuff(encoded)
    if content is None or not _HEADER_BYTES + _CRC_BYTES <= len(content) <= _LARGEST_FRAME_BYTES:
        return Damaged(encoded)
    covered, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if zlib.crc32(covered) != int.from_bytes(crc, "little"):
        return Damaged(encoded)
    return Frame(covered[0], covered[1], covered[_HEADER_BYTES:])


class Decoder:
    """Finds frames in a stream of bytes that comes in pieces of any size."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def is_within_frame(self) -> bool:
        """Whether the stream has begun a frame and not ended it."""
        return bool(self._pending)

    def feed(self, received: bytes) -> Iterator[Frame | Damaged]:
        """Yield what the stream completes; bytes past the longest frame are dropped."""
        *complete, rest = received.split(b"\0")
        for piece in complete:
            self._keep(piece)
            if self._pending:
                encoded = bytes(self._pending)
                self._pending.clear()
                yield decode(encoded)
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        room = _LARGEST_ENCODED_BYTES + 1 - len(self._pending)
        self._pending += piece[:room]


def stuff(data: bytes) -> bytes:
    """Return data free of zero bytes: consistent-overhead byte stuffing (Cheshire, Baker 1999).

    Every block of up to 254 bytes is preceded by its length + 1; a zero follows a block unless it
    is full or the last.
    """
    stuffed = bytearray()
    for run in data.split(b"\0"):
        for at in range(0, len(run) + 1, _BLOCK_BYTES):
            block = run[at : at + _BLOCK_BYTES]
            stuffed.append(len(block) + 1)
            stuffed += block
    return bytes(stuffed)


def unstuff(stuffed: bytes) -> bytes | None:
    """Return what `stuff` was given; None for bytes that it never returns."""
    data = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        block = stuffed[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            return None
        data += block
        at += code
        if code <= _BLOCK_BYTES and at < len(stuffed):
            data.append(0)
    return bytes(data)
