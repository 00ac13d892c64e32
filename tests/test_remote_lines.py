"""Probes and serial ports behind a network: whoever does not answer there is given up."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from link_line import HELLO, ScriptedDevice
from pyocd.core import exceptions
from serial import rfc2217
from test_link_client import healthy

from hil.link.client import Device
from hil.targets import ports
from hil.targets.remote_probe import RemoteProbe

SILENCE_S, PATIENCE_S = 0.3, 60.0


@contextmanager
def served(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Listen on loopback for one client, until that goes; the port's number."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            line, _ = server.accept()
            with line:
                serve(line)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def says_nothing(line: socket.socket) -> None:
    while line.recv(4096):
        pass


def breaks_off(line: socket.socket) -> None:
    line.recv(1)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (says_nothing, f"the probe server has not answered for {SILENCE_S:g} s"),
        (breaks_off, "the probe server has closed the connection|Connection reset"),
    ],
)
def test_a_probe_server_that_does_not_answer_is_given_up(
    server: Callable[[socket.socket], object], told: str
) -> None:
    with served(server) as port:
        probe = RemoteProbe("127.0.0.1", port, silence_s=SILENCE_S)
        with pytest.raises((exceptions.ProbeDisconnected, OSError), match=told):
            probe.open()
        with pytest.raises(exceptions.ProbeDisconnected, match="an earlier request"):
            probe.close()  # it cannot be asked any more, and asks nobody


class Telnet:
    """The other end of an `rfc2217://` port: pyserial's own server before a device."""

    def __init__(self) -> None:
        self.device = ScriptedDevice(healthy)
        self.line = SimpleNamespace(
            cts=True,
            dsr=True,
            ri=False,
            cd=True,
            dtr=True,
            rts=True,
            baudrate=9600,
            bytesize=8,
            parity="N",
            stopbits=1,
            xonxoff=False,
            rtscts=False,
            break_condition=False,
            reset_input_buffer=lambda: None,
            reset_output_buffer=lambda: None,
        )

    def __call__(self, line: socket.socket) -> None:
        manager = rfc2217.PortManager(self.line, SimpleNamespace(write=line.sendall))
        while received := line.recv(4096):
            data = b"".join(manager.filter(received))
            if said := self.device(data):
                line.sendall(b"".join(manager.escape(said)))


def test_a_port_of_rfc_2217_carries_a_measurement() -> None:
    telnet = Telnet()
    with served(telnet) as number:
        port = ports.open_exclusively(
            f"rfc2217://127.0.0.1:{number}?timeout={PATIENCE_S:g}", 115_200
        )
        try:
            device = Device(port, timeout_s=PATIENCE_S)
            assert device.hello() == HELLO
            device.load_input(bytes(range(250)) * 12)
            assert device.run().cycles == 30
            assert device.outputs() == bytes(HELLO.output_bytes)
        finally:
            port.close()
    assert telnet.line.baudrate == 115_200
