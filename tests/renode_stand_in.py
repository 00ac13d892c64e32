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
    "ports taken",
    "refuses elf",
    "dies on load",
    "hangs on load",
    "dies while running",
    "garbage first",
    "garbage only",
)
VERSION = "1.16.1.6550"


class Uart:
    """The socket of the UART and the firmware that answers there."""

    def __init__(self, port: int, fault: str) -> None:
        self.elf: Path | None = None
        self._fault = fault
        self._input = bytearray()
        self._server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line, _ = self._server.accept()
        decoder = Decoder()
        if self._fault == "garbage first":
            line.sendall(bytes(range(256)) * 4)
        while received := line.recv(4096):
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
            return self._open_uart(int(command.split()[2]))
        if command.startswith("$bin=@"):
            self._elf = Path(command.removeprefix("$bin=@").replace("\\ ", " "))
        if command == "machine Reset":
            return self._load()
        return {"start": "Starting emulation...", "pause": "Pausing emulation..."}.get(command, "")

    def _open_uart(self, port: int) -> str:
        try:
            if self._fault == "ports taken":
                raise OSError("Address already in use")  # noqa: TRY301
            self._uart = Uart(port, self._fault)
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
            Path(os.environ["HIL_STAND_IN_PID"]).write_text(facts, encoding="utf-8")
        StandIn(sys.argv[1]).run()
