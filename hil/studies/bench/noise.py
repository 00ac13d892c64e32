"""A serial port whose line damages bytes, to try the link on."""

from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serial import SerialBase


class Noise:
    """A line that damages bytes at random, one way.

    A damaged byte is one of five, each as likely: lost, doubled, one bit of it flipped, another
    byte before it, or swapped with the byte before it.

    Args:
        rate: damaged bytes among all.
        seed: of the randomness.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._random = Random(seed)  # noqa: S311 - no secret

    def __call__(self, data: bytes) -> bytes:
        """Return what arrives of the bytes that were sent."""
        random = self._random
        out = bytearray()
        for byte in data:
            if random.random() >= self._rate:
                out.append(byte)
                continue
            match random.randrange(5):
                case 0:
                    pass
                case 1:
                    out += bytes((byte, byte))
                case 2:
                    out.append(byte ^ 1 << random.randrange(8))
                case 3:
                    out += bytes((random.randrange(256), byte))
                case 4:
                    out[-1:] = bytes((byte, *out[-1:]))
        return bytes(out)


class NoisyPort:
    """A serial port behind a line that damages bytes both ways.

    Args:
        port: open; it stays the caller's to close.
        rate: damaged bytes among all.
        seed: of the randomness.
    """

    def __init__(self, port: "SerialBase", rate: float, seed: int) -> None:
        self._port: Any = port  # pyserial has no type for what all its ports share
        self._to_device = Noise(rate, 2 * seed)
        self._to_host = Noise(rate, 2 * seed + 1)
        self.timeout = 0.0
        self.write_timeout: float | None = None

    @property
    def in_waiting(self) -> int:
        """Bytes that have come and were not read."""
        return int(self._port.in_waiting)

    def read(self, count: int) -> bytes:
        """Read up to `count` bytes within `timeout` seconds, and damage them."""
        self._port.timeout = self.timeout
        return self._to_host(self._port.read(count))

    def write(self, data: bytes) -> int:
        """Damage bytes, and send them."""
        self._port.write(self._to_device(data))
        return len(data)

    def reset_input_buffer(self) -> None:
        """Drop what has come and was not read."""
        self._port.reset_input_buffer()
