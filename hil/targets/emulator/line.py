"""A serial line between the firmware's USART and a host; each end is another thread's."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable


class Line:
    """Bytes under way both ways; they wait until the other end takes them.

    Args:
        name: of the USART at the firmware's end.
        on_sent: called when the host has put bytes on the line.

    Attributes:
        tap: takes what the firmware sends, where that is not kept for `receive`.
        arrives: what the firmware hears of a byte, given it and the host's baud; 0 for not known.
        on_drop: called when what the host has sent is dropped.
        leaves: what the host hears of a byte. Both are asked while the USART has the speed that
            the byte meets.
    """

    def __init__(self, name: str, on_sent: Callable[[], None]) -> None:
        self.name = name
        self.tap: Callable[[bytes], None] | None = None
        self.arrives: Callable[[int, int], int] = lambda byte, _baud: byte
        self.leaves: Callable[[int], int] = lambda byte: byte
        self.on_drop: Callable[[], None] = lambda: None
        self._as_sent, self._as_heard = self.arrives, self.leaves
        self._on_sent = on_sent
        self._to_firmware: deque[int] = deque()
        self._to_host = bytearray()
        # Guards what goes to the host; notified of bytes, and of the end.
        self._host_has_data = threading.Condition()
        self._wanted = 0  # how many bytes the host waits for
        self._connected = True

    # the firmware's end

    def __bool__(self) -> bool:
        """Whether bytes wait for the firmware."""
        return bool(self._to_firmware)

    def take(self) -> int | None:
        """Take the next byte for the firmware, None if there is none."""
        try:
            sent = self._to_firmware.popleft()
        except IndexError:  # also where the host has just dropped it
            return None
        return self.arrives(sent & 0xFF, sent >> 8)

    def take_most(self, count: int) -> bytes:
        """Take bytes for the firmware, as they were sent, and leave one at least.

        Args:
            count: the most that are taken.

        Returns:
            the bytes; none where they arrive otherwise than they were sent.
        """
        waiting = self._to_firmware
        taken = bytearray()
        if self.arrives is self._as_sent:
            with contextlib.suppress(IndexError):  # where the host drops them meanwhile
                while len(waiting) > 1 and len(taken) < count:
                    taken.append(waiting.popleft() & 0xFF)
        return bytes(taken)

    def put_back(self, data: bytes) -> None:
        """Have bytes that were taken wait before all others."""
        self._to_firmware.extendleft(reversed(data))

    def put(self, data: bytes) -> None:
        """Send bytes to the host."""
        if self.leaves is not self._as_heard:
            data = bytes(map(self.leaves, data))
        if self.tap is not None:
            self.tap(data)
            return
        with self._host_has_data:
            self._to_host += data
            if len(self._to_host) >= self._wanted:  # a host that is woken for each byte is slow
                self._host_has_data.notify_all()

    # the host's end

    def send(self, data: bytes, baud: int = 0) -> None:
        """Put bytes on the line to the firmware, at a speed; 0 for the firmware's own.

        Args:
            data: the bytes.
            baud: bits a second.
        """
        self._to_firmware.extend(byte | baud << 8 for byte in data)
        self._on_sent()

    def connect(self) -> None:
        """Have the host's end again, after `wake_host`."""
        with self._host_has_data:
            self._connected = True

    def in_waiting(self) -> int:
        """Return how many bytes the firmware has sent that nobody has read."""
        return len(self._to_host)

    def receive(self, count: int, timeout_s: float | None) -> bytes:
        """Take bytes that the firmware sent: `count`, or what came before the time-out.

        Args:
            count: most bytes.
            timeout_s: seconds of the host.
        """
        with self._host_has_data:
            self._wanted = count
            self._host_has_data.wait_for(
                lambda: len(self._to_host) >= count or not self._connected, timeout_s
            )
            data = bytes(self._to_host[:count])
            del self._to_host[:count]
        return data

    def discard_received(self) -> None:
        """Drop what the firmware sent and nobody has read."""
        with self._host_has_data:
            self._to_host.clear()

    def discard_sent(self) -> None:
        """Drop what the host sent and the firmware has not read."""
        self._to_firmware.clear()
        self.on_drop()

    def wake_host(self) -> None:
        """Let blocked reads return with what there is: the board is going away."""
        with self._host_has_data:
            self._connected = False
            self._host_has_data.notify_all()
