"""An emulated board in a process of its own, met through a probe server and a serial port.

The server speaks pyOCD's protocol for remote probes; the serial port is a pseudo-terminal. So
another process meets the board as one on a desk, with two cables that can fail.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyocd.core.session import Session
from pyocd.probe.tcp_probe_server import DebugProbeRequestHandler, DebugProbeServer

from hil.config.board import Board
from hil.config.inventory import REMOTE, Unit
from hil.targets import identity
from hil.targets.emulator import powered
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.probe import EmulatedProbe


@dataclass(frozen=True)
class Served:
    """A served board.

    Attributes:
        unit: how another process finds it.
    """

    unit: Unit
    emulated: EmulatedBoard


@contextmanager
def served(board: Board, name: str, *, port: int, link: Path) -> Iterator[Served]:
    """Serve a board while the block runs.

    Args:
        board: its kind.
        name: the physical board's; its chip has a unique id made from it.
        port: TCP port of the probe server on this machine's loopback; 0 for any that is free.
        link: a symbolic link to the serial port.
    """
    emulated = EmulatedBoard(board, name, make_clock=default_clock)
    powered.add(emulated)
    server = None
    try:
        emulated.open_terminal(str(link))
        server = _Server(name, port)
        server.start()
        uid = identity.read(board.chip, emulated.chip.bus.read)
        yield Served(
            Unit(
                name=name,
                kind=board.name,
                probe=f"{REMOTE}{server.address}",
                port=str(link),
                uid=uid.uid if uid else "",
            ),
            emulated,
        )
    finally:
        if server is not None:
            server.close()
        powered.remove(emulated)
        emulated.power_off()


class _Connection(DebugProbeRequestHandler):
    """A client's connection; what the client holds of the probe goes when the client goes.

    pyOCD's own leaves the probe locked and open when a client is killed, and nobody gets in again.
    """

    _PAIRS = (("lock", "unlock"), ("connect", "disconnect"), ("open", "close"))

    def setup(self) -> None:
        """Count what the client takes and gives back."""
        super().setup()  # type: ignore[no-untyped-call]
        self._held = {take: 0 for take, _ in self._PAIRS}
        for take, give in self._PAIRS:
            self._count(take, take, 1)
            self._count(give, take, -1)

    def _count(self, request: str, held: str, step: int) -> None:
        handle, arguments = self._REQUEST_HANDLERS[request]

        def counted(*given: Any) -> Any:
            answer = handle(*given)
            self._held[held] += step
            return answer

        self._REQUEST_HANDLERS[request] = (counted, arguments)

    def finish(self) -> None:
        """Give back what the client still holds."""
        for take, give in self._PAIRS:
            for _ in range(self._held[take]):
                self._REQUEST_HANDLERS[give][0]()
        super().finish()  # type: ignore[no-untyped-call]


class _Server(DebugProbeServer):
    """pyOCD's probe server on this machine's loopback, with connections of ours.

    Args:
        name: of a powered board.
        port: 0 for any that is free.
    """

    def __init__(self, name: str, port: int) -> None:
        options = {"no_config": True, "serve_local_only": True}
        session = Session(None, auto_open=False, options=options)
        super().__init__(session, EmulatedProbe(name), port, serve_local_only=True)
        self._server.RequestHandlerClass = _Connection
        self._server.daemon_threads = True
        self._server.block_on_close = False

    @property
    def address(self) -> str:
        """Where clients find it."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """End it, and free the port."""
        self.stop()
        self._server.server_close()
