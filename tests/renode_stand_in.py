"""A stand-in for Renode: its prompt, its UART on a socket, and behind it the tiny model's firmware.

`python renode_stand_in.py FAULT ...` where FAULT is a word of FAULTS, or "none"; what follows is
ignored but `--version`.
"""

import os
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

import tiny_model

from hil.build.image import Image
from hil.link import messages
from hil.link.frames import Decoder, Frame, encode

FAULTS = (
    "silent",  # starts, and says nothing
    "no prompt",  # says its version and nothing more
    "dies at start",
    "old",
    "no terminal",  # and so a port
    "ports taken",  # nor a terminal
    "refuses elf",
    "dies on load",
    "hangs on load",
    "dies while running",
    "dies of an exception",
    "garbage first",
    "garbage only",
)
VERSION = "1.16.1.6550"


class Terminal:
    """A pseudo-terminal under a name."""

    def __init__(self, name: Path) -> None:
        self._near, self._far = os.openpty()
        name.symlink_to(os.ttyname(self._far))

    def recv(self, count: int) -> bytes:
        return os.read(self._near, count)

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._near, data) :]


class Port:
    """A port of this machine, on which the first who comes has the line."""

    def __init__(self, number: int) -> None:
        self._server = socket.create_server(("127.0.0.1", number))
        self._line: socket.socket | None = None

    def recv(self, count: int) -> bytes:
        if self._line is None:
            self._line, _ = self._server.accept()
        return self._line.recv(count)

    def sendall(self, data: bytes) -> None:
        assert self._line is not None
        self._line.sendall(data)


class Uart:
    """The line of the UART and the firmware that answers there."""

    def __init__(self, line: Terminal | Port, fault: str) -> None:
        self.elf: Path | None = None
        self._fault = fault
        self._input = bytearray()
        self._line = line
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line = self._line
        decoder = Decoder()
        noise = bytes(range(256)) * 4 if self._fault == "garbage first" else b""
        while received := line.recv(4096):
            if noise:
                line.sendall(noise)
                noise = b""
            for frame in decoder.feed(received):
                if self._fault == "garbage only":
                    line.sendall(b"\x55\xaa" * 100 + b"\0")
                elif isinstance(frame, Frame):
                    for message in self._answers(frame):
                        line.sendall(encode(Frame(message.kind, frame.sequence, message.pack())))

    def _answers(self, frame: Frame) -> list[messages.Message]:
        match frame.kind:
            case messages.AskHello.kind:
                return [self._hello()]
            case messages.Load.kind:
                self._input += messages.Load.unpack(frame.body).data
                return [messages.Loaded(len(self._input))]
            case messages.AskRun.kind:
                if self._fault == "dies while running":
                    die("stand-in: the core was lost", 3)
                if self._fault == "dies of an exception":
                    trace = "\n".join(f"  at Stand.In.Frame{i}()" for i in range(40))
                    die(f"Fatal error:\nSystem.Exception: the core was lost\n{trace}", 134)
                return [messages.Started(), messages.Done(3000, 3000, 3000, 0)]
            case messages.AskLayer.kind:
                index = messages.AskLayer.unpack(frame.body).index
                name, macs = tiny_model.LAYERS[index], tiny_model.MACS[index]
                return [messages.Layer(macs, 1000 * (index + 1), name)]
            case messages.AskOutputs.kind:
                asked = messages.AskOutputs.unpack(frame.body)
                outputs = tiny_model.expected(bytes(self._input))
                piece = outputs[asked.offset : asked.offset + asked.count]
                return [messages.Outputs(asked.offset, piece)]
            case _:
                return [messages.Memory(600, 100, 8192, 400)]

    def _hello(self) -> messages.Hello:
        if self.elf is None:
            die("stand-in: started without a program", 4)
        return messages.Hello(
            protocol=messages.PROTOCOL_VERSION,
            build_id=Image.read(self.elf).build_id,
            clock_hz=168_000_000,
            input_bytes=tiny_model.INPUT_BYTES,
            output_bytes=tiny_model.OUTPUT_BYTES,
            input_survives=False,
            streams=False,
            layer_count=len(tiny_model.LAYERS),
            board="stm32f439",
            model="tiny",
        )


class StandIn:
    """The monitor."""

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._uart: Uart | None = None
        self._elf: Path | None = None

    def run(self) -> None:
        """Answer commands until there are no more."""
        version = "1.14.0.1" if self._fault == "old" else VERSION
        if self._fault == "dies at start":
            die("stand-in: no runtime", 2)
        if self._fault != "silent":
            print(f"Renode, version {version} (stand-in)\n\n(monitor) ", end="", flush=True)
        for line in sys.stdin:
            if self._fault in {"silent", "no prompt"}:
                continue
            command = line.rstrip("\n")
            print(command, end="\n\r", flush=True)
            answer = self._obey(command)
            print(f"{answer}\r\n(stm32f439) " if answer else "(stm32f439) ", end="", flush=True)

    def _obey(self, command: str) -> str:
        if command.startswith("echo "):
            return command.split('"')[1]
        if command.startswith("emulation CreateServerSocketTerminal"):
            return self._open_port(int(command.split()[2]))
        if command.startswith("emulation CreateUartPtyTerminal"):
            return self._open_terminal(Path(command.split('"')[3]))
        if command.startswith("$bin=@"):
            self._elf = Path(command.removeprefix("$bin=@").replace("\\ ", " "))
        if command == "machine Reset":
            return self._load()
        return {"start": "Starting emulation...", "pause": "Pausing emulation..."}.get(command, "")

    def _open_terminal(self, name: Path) -> str:
        if self._fault in {"no terminal", "ports taken"}:
            return "There was an error executing command\r\nNo such command or device"
        self._uart = Uart(Terminal(name), self._fault)
        return ""

    def _open_port(self, number: int) -> str:
        try:
            if self._fault == "ports taken":
                raise OSError("Address already in use")  # noqa: TRY301
            self._uart = Uart(Port(number), self._fault)
        except OSError as error:
            return f"There was an error executing command\r\nUnable to create socket: {error}"
        return ""

    def _load(self) -> str:
        if self._fault == "dies on load":
            die("stand-in: out of memory", 3)
        if self._fault == "hangs on load":
            threading.Event().wait()
        if self._fault == "refuses elf" or self._elf is None or self._uart is None:
            return "There was an error executing command\r\nCould not load ELF"
        self._uart.elf = self._elf
        return ""


def die(words: str, status: int) -> NoReturn:
    """End at once, as a crash does."""
    print(words, flush=True)
    os._exit(status)


if __name__ == "__main__":
    if "--version" in sys.argv:
        print(f"Renode v{VERSION}\n  build: stand-in")
    else:
        if "HIL_STAND_IN_PID" in os.environ:
            facts = f"{os.getpid()} {os.getppid()} {os.environ['TMPDIR']}"
            Path(os.environ["TMPDIR"], "seen").write_text(os.environ["XDG_CONFIG_HOME"])
            Path(os.environ["HIL_STAND_IN_PID"]).write_text(facts, encoding="utf-8")
        StandIn(sys.argv[1]).run()
