"""An emulated board in a process of its own, met through a probe server and a serial port.

The server speaks pyOCD's protocol for remote probes; the serial port is a pseudo-terminal. So
another process meets the board as one on a desk, with two cables that can fail.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from pyocd.core.session import Session
from pyocd.probe.tcp_probe_server import DebugProbeRequestHandler, DebugProbeServer

from hil.config.board import Board
from hil.config.inventory import REMOTE, Unit
from hil.targets import identity
from hil.targets.emulator import powered
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.faults import Faults, plant
from hil.targets.emulator.probe import EmulatedProbe


class Served:
    """A served board.

    Args:
        emulated: powered.
        port: TCP port of the probe server; 0 for any that is free.

    Attributes:
        unit: how another process finds it.
    """

    def __init__(self, emulated: EmulatedBoard, name: str, port: int, link: Path) -> None:
        self.emulated = emulated
        self._server = _Server(name, port)
        self._server.start()
        uid = identity.read(emulated.board.chip, emulated.chip.bus.read)
        self.unit = Unit(
            name=name,
            kind=emulated.board.name,
            probe=f"{REMOTE}{self._server.address}",
            port=str(link),
            uid=uid.uid if uid else "",
        )

    def unplug(self) -> None:
        """Take the probe away from its server: connections end, and new ones at once."""
        self._server.connections.unplug()

    def plug(self) -> None:
        """Connect the probe again."""
        self._server.connections.plug()

    def close(self) -> None:
        """End the server."""
        self._server.close()


@contextmanager
def served(
    board: Board,
    name: str,
    *,
    port: int,
    link: Path,
    faults: Faults | None = None,
    flash_file: Path | None = None,
) -> Iterator[Served]:
    """Serve a board while the block runs.

    Args:
        board: its kind.
        name: the physical board's; its chip has a unique id made from it.
        port: TCP port of the probe server on this machine's loopback; 0 for any that is free.
        link: a symbolic link to the serial port.
        faults: what goes wrong with it; None for nothing.
        flash_file: keeps the flash's contents while the board has no power; None for nothing.
    """
    emulated = EmulatedBoard(board, name, make_clock=default_clock, flash_file=flash_file)
    powered.add(emulated)
    desk = None
    try:
        emulated.open_terminal(str(link))
        plant(faults or Faults(), emulated)
        desk = Served(emulated, name, port, link)
        yield desk
    finally:
        if desk is not None:
            desk.close()
        powered.remove(emulated)
        emulated.power_off()


class _Connection(DebugProbeRequestHandler):
    """A client's connection; what the client holds of the probe goes when the client goes.

    pyOCD's own leaves the probe locked and open when a client is killed, and nobody gets in again.
    """

    disable_nagle_algorithm = True  # or each small answer waits for the one before it
    _PAIRS = (("lock", "unlock"), ("connect", "disconnect"), ("open", "close"))

    def __init__(self, connections: "_Connections", *arguments: Any) -> None:
        self._connections = connections
        super().__init__(*arguments)

    def cut(self) -> None:
        """End the connection, as where a cable is pulled."""
        with suppress(OSError):  # it has ended
            self.request.shutdown(socket.SHUT_RDWR)

    def setup(self) -> None:
        """Count what the client takes and gives back."""
        super().setup()  # type: ignore[no-untyped-call]
        self._connections.add(self)
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
        self._connections.remove(self)
        for take, give in self._PAIRS:
            for _ in range(self._held[take]):
                self._REQUEST_HANDLERS[give][0]()
        super().finish()  # type: ignore[no-untyped-call]


class _Connections:
    """The connections of a probe server, which `unplug` ends as a pulled cable would."""

    def __init__(self) -> None:
        self._open: set[_Connection] = set()
        self._plugged = True
        self._changing = threading.Lock()

    def add(self, connection: _Connection) -> None:
        """Note one that begins; without a probe it ends at once."""
        with self._changing:
            self._open.add(connection)
            if not self._plugged:
                connection.cut()

    def remove(self, connection: _Connection) -> None:
        """Forget one that has ended."""
        with self._changing:
            self._open.discard(connection)

    def plug(self) -> None:
        """Let new ones be."""
        with self._changing:
            self._plugged = True

    def unplug(self) -> None:
        """End all."""
        with self._changing:
            self._plugged = False
            for connection in self._open:
                connection.cut()


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
        self.connections = _Connections()
        self._server.RequestHandlerClass = partial(_Connection, self.connections)
        self._server.daemon_threads = True
        self._server.block_on_close = False

    @property
    def address(self) -> str:
        """Where clients find it."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """End its connections and itself, and free the port."""
        self.connections.unplug()
        self.stop()
        self._server.server_close()
