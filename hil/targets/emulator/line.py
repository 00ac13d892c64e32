"""A serial line between the firmware's USART and a host; each end is another thread's."""

import threading
from collections import deque
from collections.abc import Callable

from hil.targets.emulator.core.sending import Sent


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
        on_change: called when `tap` or `leaves` is set.
        sent: bytes to the host that C has taken from the firmware; nothing else comes before them.
    """

    def __init__(self, name: str, on_sent: Callable[[], None]) -> None:
        self.name = name
        self.on_change: Callable[[], None] = lambda: None
        self._tap: Callable[[bytes], None] | None = None
        self.arrives: Callable[[int, int], int] = lambda byte, _baud: byte
        self._leaves: Callable[[int], int] = lambda byte: byte
        self.on_drop: Callable[[], None] = lambda: None
        self._as_sent, self._as_heard = self.arrives, self._leaves
        self._on_sent = on_sent
        self._to_firmware: deque[tuple[bytes, int]] = deque()  # as they were sent, with their bauds
        self._taken = 0  # how many of the first ones
        self._waiting = 0  # how many bytes there are behind them
        self._sending = threading.Lock()  # guards these three
        self._to_host = bytearray()
        # Guards what goes to the host; notified of bytes, and of the end.
        self._host_has_data = threading.Condition()
        self._wanted = 0  # how many bytes the host waits for
        self._connected = True
        self.sent = Sent(self._tell_host)

    @property
    def tap(self) -> Callable[[bytes], None] | None:
        """What takes the bytes that the firmware sends; None where they are kept for `receive`."""
        return self._tap

    @tap.setter
    def tap(self, tap: Callable[[bytes], None] | None) -> None:
        self._tap = tap
        self.on_change()

    @property
    def leaves(self) -> Callable[[int], int]:
        """What the host hears of a byte that the firmware sent."""
        return self._leaves

    @leaves.setter
    def leaves(self, leaves: Callable[[int], int]) -> None:
        self._leaves = leaves
        self.on_change()

    # the firmware's end

    def __bool__(self) -> bool:
        """Whether bytes wait for the firmware."""
        return self._waiting > 0

    def take(self) -> int | None:
        """Take the next byte for the firmware, None if there is none."""
        with self._sending:
            if not self._waiting:
                return None
            data, baud = self._to_firmware[0]
            sent = data[self._taken]
            self._pass(1)
        return self.arrives(sent, baud)

    def take_most(self, count: int) -> bytes:
        """Take bytes for the firmware, as they were sent, and leave one at least.

        Args:
            count: the most that are taken.

        Returns:
            the bytes; none where they arrive otherwise than they were sent.
        """
        if self.arrives is not self._as_sent:
            return b""
        pieces = []
        with self._sending:
            left = min(count, self._waiting - 1)
            while left > 0:
                piece = self._to_firmware[0][0][self._taken : self._taken + left]
                pieces.append(piece)
                left -= len(piece)
                self._pass(len(piece))
        return b"".join(pieces)

    def _pass(self, count: int) -> None:
        """Go on behind some of the first bytes."""
        self._waiting -= count
        self._taken += count
        if self._taken == len(self._to_firmware[0][0]):
            self._to_firmware.popleft()
            self._taken = 0

    def put_back(self, data: bytes) -> None:
        """Have bytes that were taken wait before all others."""
        if not data:
            return
        with self._sending:
            if self._taken:
                first, baud = self._to_firmware.popleft()
                self._to_firmware.appendleft((first[self._taken :], baud))
            self._to_firmware.appendleft((data, 0))
            self._taken = 0
            self._waiting += len(data)

    @property
    def is_plain(self) -> bool:
        """Whether bytes go to the host as they are, and wait for it."""
        return self._leaves is self._as_heard and self._tap is None

    def put(self, data: bytes) -> None:
        """Send bytes to the host."""
        if self._leaves is not self._as_heard:
            data = bytes(map(self._leaves, data))
        if self._tap is not None:
            self._tap(data)
            return
        with self._host_has_data:
            self._to_host += self.sent.take() + data
            missing = self._wanted - len(self._to_host)
            if missing <= 0:  # a host that is woken for each byte is slow
                self._host_has_data.notify_all()
            else:
                self.sent.wake_later(missing)

    # the host's end

    def send(self, data: bytes, baud: int = 0) -> None:
        """Put bytes on the line to the firmware, at a speed; 0 for the firmware's own.

        Args:
            data: the bytes.
            baud: bits a second.
        """
        if data:
            with self._sending:
                self._to_firmware.append((bytes(data), baud))
                self._waiting += len(data)
        self._on_sent()

    def connect(self) -> None:
        """Have the host's end again, after `wake_host`."""
        with self._host_has_data:
            self._connected = True

    def in_waiting(self) -> int:
        """Return how many bytes the firmware has sent that nobody has read."""
        with self._host_has_data:
            return len(self._to_host) + len(self.sent)

    def receive(self, count: int, timeout_s: float | None) -> bytes:
        """Take bytes that the firmware sent: `count`, or what came before the time-out.

        Args:
            count: most bytes.
            timeout_s: seconds of the host.
        """
        with self._host_has_data:
            self._wanted = count
            self._host_has_data.wait_for(lambda: self._has(count), timeout_s)
            self._wanted = 0
            self.sent.let_sleep()
            self._to_host += self.sent.take()
            data = bytes(self._to_host[:count])
            del self._to_host[:count]
        return data

    def _has(self, count: int) -> bool:
        """Whether the host has what it waits for; else it will be woken."""
        missing = count - len(self._to_host)
        return missing <= 0 or not self._connected or self.sent.wake_after(missing)

    def _tell_host(self) -> None:
        with self._host_has_data:
            self.sent.let_sleep()
            self._host_has_data.notify_all()

    def discard_received(self) -> None:
        """Drop what the firmware sent and nobody has read."""
        with self._host_has_data:
            self.sent.take()
            self._to_host.clear()

    def discard_sent(self) -> None:
        """Drop what the host sent and the firmware has not read."""
        with self._sending:
            self._to_firmware.clear()
            self._taken = self._waiting = 0
        self.on_drop()

    def wake_host(self) -> None:
        """Let blocked reads return with what there is: the board is going away."""
        with self._host_has_data:
            self._connected = False
            self._host_has_data.notify_all()
