"""pyOCD's client of a probe server, that notices when the server is gone.

It imports pyOCD: import it where a remote probe is opened.
"""

import socket
from time import monotonic
from typing import Any

from pyocd.core import exceptions
from pyocd.probe.tcp_client_probe import TCPClientProbe
from pyocd.utility.sockets import ClientSocket

SILENCE_S = 60.0
"""A server that has not answered for so long is lost: erasing a sector takes 4 s at most."""


class RemoteProbe(TCPClientProbe):
    """A probe behind a server.

    Args:
        host, port: of the server.
        silence_s: the longest wait for an answer.
    """

    def __init__(self, host: str, port: int, silence_s: float = SILENCE_S) -> None:
        super().__init__(f"{host}:{port}")  # type: ignore[no-untyped-call]
        self._socket = _Watched(host, port, silence_s)
        self._cut_off = False

    def open(self) -> None:
        """Connect to the server, and open the probe there."""
        self._cut_off = False
        super().open()  # type: ignore[no-untyped-call]

    def unlock(self) -> None:
        """Give the probe to others; one that was cut off has given back all that it held."""
        with self._lock_count_lock:
            if self._cut_off or self._lock_count == 0:
                self._lock_count = max(self._lock_count - 1, 0)
                return
            super().unlock()  # type: ignore[no-untyped-call]

    def _perform_request_without_raise(self, request: str, *args: Any) -> Any:
        """Ask the server; an interrupted request ends the connection.

        Its answer would be taken for the next request's.
        """
        if self._cut_off:
            raise exceptions.ProbeDisconnected("an earlier request was interrupted")
        try:
            return super()._perform_request_without_raise(request, *args)
        except BaseException:
            self._cut_off = True
            self._socket.close()
            raise

    def close(self) -> None:
        """Let the probe go, whether its server still answers or not."""
        try:
            super().close()  # type: ignore[no-untyped-call]
        finally:
            self._is_open = False
            self._socket.close()


class _Watched(ClientSocket):
    """A connection whose end is an error; pyOCD's own reads an ended one for ever."""

    def __init__(self, host: str, port: int, silence_s: float) -> None:
        super().__init__(host, port)  # type: ignore[no-untyped-call]
        self._silence_s = silence_s
        self._asked_at = monotonic()

    def connect(self) -> None:
        """Connect; small requests do not wait for each other's acknowledgement."""
        super().connect()  # type: ignore[no-untyped-call]
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close the connection; harmless when it is closed."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def write(self, data: bytes) -> Any:
        """Send a request, from which the wait for the answer counts."""
        self._asked_at = monotonic()
        return super().write(data)  # type: ignore[no-untyped-call]

    def read(self, packet_size: int | None = None) -> bytes:
        """Read what has come. Raises ProbeDisconnected."""
        try:
            data: bytes = super().read(packet_size)  # type: ignore[no-untyped-call]
        except TimeoutError:
            if monotonic() - self._asked_at > self._silence_s:
                raise exceptions.ProbeDisconnected(
                    f"the probe server has not answered for {self._silence_s:g} s"
                ) from None
            raise
        if not data:
            raise exceptions.ProbeDisconnected("the probe server has closed the connection")
        return data
