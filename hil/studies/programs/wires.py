"""What is around the board of `hil emulate`: serial ports of the host, and pins that change."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from hil.errors import UsageError
from hil.studies.programs.emulator import Emulator
from hil.studies.programs.uart import Uart

_CHUNK_BYTES = 4096
_LEVELS = {"0": False, "1": True, "z": None}
_MOST_VOLTS = 3.3
_MOST_SCRIPT_BYTES = 1 << 20
_PORTS = range(1, 1 << 16)
_EXAMPLE = "--uart=usart3=stdio, =pty, =tcp:5000 or =FILE"


@contextlib.contextmanager
def connected(
    emulator: Emulator, wanted: Sequence[str], tell: Callable[[str], None], stdin: int | None
) -> Iterator[None]:
    """Connect serial ports while the block runs.

    Args:
        emulator: before it runs.
        wanted: such as "usart3=pty".
        tell: told where a port can be reached.
        stdin: the descriptor that `stdio` reads; None for none.

    Raises:
        UsageError: no such port, or it cannot be reached so.
    """
    with contextlib.ExitStack() as stack:
        for one in wanted:
            name, equals, where = one.partition("=")
            if not equals or not where:
                raise UsageError(f"--uart={one} names no place", hint=_EXAMPLE)
            uart = emulator.uart(name)
            if where == "stdio":
                emulator.paces()
                stack.enter_context(_keyboard(uart, stdin))
            else:
                stack.enter_context(_place(emulator, uart, where, tell))
        yield


@contextlib.contextmanager
def _place(
    emulator: Emulator, uart: Uart, where: str, tell: Callable[[str], None]
) -> Iterator[None]:
    if where == "pty":
        emulator.paces()
        with uart.terminal() as device:
            tell(f"{uart.name} is at {device}")
            yield
    elif where.startswith("tcp:"):
        emulator.paces()
        with _server(uart, where.removeprefix("tcp:"), tell):
            yield
    else:
        try:
            file: BinaryIO = Path(where).open("wb", buffering=0)  # noqa: SIM115 - closed below
        except OSError as error:
            raise UsageError(f"cannot write {where}: {error.strerror}", hint=_EXAMPLE) from error
        with file:
            uart.on_data = lambda data: _wrote(file, data)
            yield


def _wrote(file: BinaryIO, data: bytes) -> None:
    file.write(data)


@contextlib.contextmanager
def _keyboard(uart: Uart, stdin: int | None) -> Iterator[None]:
    """Pass on what is typed until the block ends."""
    if stdin is None:
        yield
        return
    import select

    ended, end = os.pipe()

    def pass_on() -> None:
        while True:
            ready, _, _ = select.select([stdin, ended], [], [])
            if ended in ready:
                return
            data = os.read(stdin, _CHUNK_BYTES)
            if not data:
                return
            uart.send(data)

    thread = threading.Thread(target=pass_on, name="keyboard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(end)
        thread.join()
        os.close(ended)


@contextlib.contextmanager
def _server(uart: Uart, port: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Serve a port on loopback, to one client after another, until the block ends."""
    if not port.isdecimal() or (port != "0" and int(port) not in _PORTS):
        raise UsageError(f"tcp:{port} is no port", hint="1 to 65535, or 0 for any that is free")
    try:
        server = socket.create_server(("127.0.0.1", int(port)))
    except OSError as error:
        raise UsageError(f"cannot listen on port {port}: {error.strerror}") from error
    clients: list[socket.socket] = []

    def send(data: bytes) -> None:
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the server was closed
            while True:
                client, _ = server.accept()
                clients.append(client)
                client.sendall(bytes(uart.received))  # what it has missed
                with contextlib.suppress(OSError):
                    while data := client.recv(_CHUNK_BYTES):
                        uart.send(data)
                clients.remove(client)
                client.close()

    uart.on_data = send
    thread = threading.Thread(target=serve, name=f"{uart.name} tcp", daemon=True)
    thread.start()
    tell(f"{uart.name} is at socket://127.0.0.1:{server.getsockname()[1]}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        thread.join()


def drive(emulator: Emulator, wanted: Sequence[str]) -> None:
    """Hold pins at levels or voltages. Raises UsageError.

    Args:
        emulator: whose pins.
        wanted: such as "PA0=1" and "PA1=1.65V".
    """
    for one in wanted:
        _held(emulator, one, f"--gpio={one}")()


def drive_by_script(emulator: Emulator, path: Path) -> None:
    """Have pins change at times: lines such as "0.5 PA0=1 PA1=1.2V", in seconds since power on.

    Args:
        emulator: whose pins.
        path: of the script.

    Raises:
        UsageError: the file cannot be read, or a line is not understood; the error names it.
    """
    from hil import files

    try:
        text = files.read_text(path, _MOST_SCRIPT_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{path}, line {number}"
        try:
            seconds = float(words[0])
        except ValueError as error:
            raise UsageError(f"{where}: {words[0]!r} is no time") from error
        if not 0.0 <= seconds < float("inf") or len(words) < 2:
            raise UsageError(f"{where}: {line.strip()!r}", hint="such as: 0.5 PA0=1 PA1=0")
        for word in words[1:]:
            emulator.at(seconds, _held(emulator, word, where))


def watch(emulator: Emulator, pins: Sequence[str], tell: Callable[[str], None]) -> None:
    """Tell each change of pins, with its time; of one that the DAC drives, in volts.

    Args:
        emulator: whose pins.
        pins: such as "PA0".
        tell: takes a line for a person.

    Raises:
        UsageError: there is no such pin.
    """
    for pin in pins:
        emulator.watch(pin, _teller(emulator, pin, tell))
        with contextlib.suppress(UsageError):  # no converter drives it
            emulator.watch_volts(pin, _volt_teller(emulator, pin, tell))


def trace(emulator: Emulator, tell: Callable[[str], None]) -> None:
    """Tell each byte of every serial port, with its time.

    Args:
        emulator: whose ports.
        tell: takes a line for a person.
    """

    def told(name: str) -> Callable[[bytes, str], None]:
        def tell_one(data: bytes, way: str) -> None:
            shown = data.decode("ascii", "replace").encode("unicode_escape").decode()
            tell(f"{emulator.seconds:.6f} s {name} {way} {data.hex(' ')}  {shown}")

        return tell_one

    for uart in emulator.uarts:
        uart.on_traffic = told(uart.name)


def _held(emulator: Emulator, text: str, where: str) -> Callable[[], None]:
    """Return what holds a pin as a text says. Raises UsageError.

    Args:
        emulator: whose pin.
        text: such as "PA0=1", "PA0=z" or "PA0=1.65V".
        where: the text stands, for errors.
    """
    pin, _, level = text.partition("=")
    emulator.level(pin)  # or it says that there is no such pin
    if level.lower() in _LEVELS:
        return lambda: _let_go_or_drive(emulator, pin, _LEVELS[level.lower()])
    volts = _volts(level)
    if volts is None:
        hint = "PIN=0, PIN=1, PIN=1.65V for the ADC, or PIN=z to let it go"
        raise UsageError(f"{where}: {text!r}", hint=hint)
    return lambda: emulator.apply(pin, volts=volts)


def _let_go_or_drive(emulator: Emulator, pin: str, level: bool | None) -> None:
    emulator.apply(pin, volts=None)
    emulator.drive(pin, level=level)


def _volts(text: str) -> float | None:
    if text[-1:] not in {"V", "v"}:
        return None
    try:
        volts = float(text[:-1])
    except ValueError:
        return None
    return volts if 0.0 <= volts <= _MOST_VOLTS else None


def _volt_teller(
    emulator: Emulator, pin: str, tell: Callable[[str], None]
) -> Callable[[float], None]:
    return lambda volts: tell(f"{emulator.seconds:.6f} s {pin.upper()}={volts:.4f} V")


def _teller(emulator: Emulator, pin: str, tell: Callable[[str], None]) -> Callable[[bool], None]:
    return lambda level: tell(f"{emulator.seconds:.6f} s {pin.upper()}={int(level)}")
