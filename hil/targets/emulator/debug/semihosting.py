"""Arm semihosting: what a program asks of its host through BKPT 0xAB.

Only the console exists here: other files cannot be opened. Source: Arm IHI 0097, "Semihosting for
AArch32 and AArch64", chapter 5.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hil.targets.emulator.core.clock import Clock
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.debug.port import Memory
from hil.targets.emulator.errors import BusError

_INSTRUCTION = b"\xab\xbe"
_CONSOLE = b":tt"
_FIRST_WRITE_MODE = 4
_LONGEST_TEXT = 1 << 20
_FAILURE = 0xFFFF_FFFF
_STOPPED_BY_APPLICATION = 0x2_0026  # ADP_Stopped_ApplicationExit
_CENTISECONDS = 100


@dataclass
class Semihosting:
    """Answers a program's requests; give it to the core's endings as `on_breakpoint`.

    Attributes:
        core_hz: returns the clock that the program has set up.
        write: takes the program's output.
        ended: called when the program exits.
        exit_status: what it exited with, None while it runs.
    """

    core: CoreControl
    engine: Engine
    memory: Memory
    clock: Clock
    core_hz: Callable[[], int]
    write: Callable[[bytes], None]
    ended: Callable[[], None]
    exit_status: int | None = None
    _open: set[int] = field(default_factory=set)

    def __call__(self, address: int) -> bool:
        """Deal with a BKPT instruction; returns whether it was a request."""
        if self.memory.read(address, 2) != _INSTRUCTION:
            return False
        operation, argument = (self.engine.read(name) for name in ("r0", "r1"))
        try:
            result = self._perform(operation, argument)
        except BusError:
            result = _FAILURE
        self.engine.write("r0", result & 0xFFFF_FFFF)
        return True

    def _perform(self, operation: int, argument: int) -> int:  # noqa: C901, PLR0912
        match operation:
            case 0x01:  # SYS_OPEN
                return self._open_file(*self._words(argument, 3))
            case 0x02:  # SYS_CLOSE
                return self._close_file(*self._words(argument, 1))
            case 0x03:  # SYS_WRITEC
                self.write(self.memory.read(argument, 1))
                return argument
            case 0x04:  # SYS_WRITE0
                self.write(self._text(argument))
                return argument
            case 0x05:  # SYS_WRITE: returns how much is left
                return self._write_file(*self._words(argument, 3))
            case 0x06:  # SYS_READ: the console is at its end
                return self._words(argument, 3)[2]
            case 0x09:  # SYS_ISTTY
                return 1 if self._words(argument, 1)[0] in self._open else 0
            case 0x0C:  # SYS_FLEN
                return 0
            case 0x10:  # SYS_CLOCK
                return self.clock.run.cycles * _CENTISECONDS // self.core_hz()
            case 0x13:  # SYS_ERRNO
                return 0
            case 0x15:  # SYS_GET_CMDLINE: an empty one
                return self._empty_command_line(argument)
            case 0x16:  # SYS_HEAPINFO: zeros let the library use its own symbols
                self._store(self._words(argument, 1)[0], bytes(16))
                return argument
            case 0x18:  # SYS_EXIT
                return self._exit(0 if argument == _STOPPED_BY_APPLICATION else 1)
            case 0x20:  # SYS_EXIT_EXTENDED
                reason, status = self._words(argument, 2)
                return self._exit(status if reason == _STOPPED_BY_APPLICATION else 1)
            case 0x30:  # SYS_ELAPSED
                self._store(argument, self.clock.run.cycles.to_bytes(8, "little"))
                return 0
            case 0x31:  # SYS_TICKFREQ
                return self.core_hz()
            case _:
                return _FAILURE

    def _open_file(self, name: int, mode: int, length: int) -> int:
        if self.memory.read(name, length) != _CONSOLE:
            return _FAILURE
        handle = 1 if mode >= _FIRST_WRITE_MODE else 0
        while handle in self._open:
            handle += 1
        self._open.add(handle)
        return handle

    def _close_file(self, handle: int) -> int:
        if handle not in self._open:
            return _FAILURE
        self._open.discard(handle)
        return 0

    def _write_file(self, handle: int, start: int, length: int) -> int:
        if handle not in self._open:
            return length
        self.write(self.memory.read(start, length))
        return 0

    def _empty_command_line(self, argument: int) -> int:
        buffer, size = self._words(argument, 2)
        if size == 0:
            return _FAILURE
        self._store(buffer, b"\0")
        self._store(argument + 4, bytes(4))
        return 0

    def _exit(self, status: int) -> int:
        self.exit_status = status & 0xFF
        self.core.halt(0)
        self.ended()
        return 0

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return self.engine.load_words(address, count)

    def _text(self, address: int) -> bytes:
        """Return the bytes up to a zero."""
        text = bytearray()
        while len(text) < _LONGEST_TEXT:
            byte = self.memory.read(address + len(text), 1)
            if byte == b"\0":
                break
            text += byte
        return bytes(text)

    def _store(self, address: int, data: bytes) -> None:
        self.memory.write(address, data)
