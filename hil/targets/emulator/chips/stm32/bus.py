"""Memory and registers as the debugger's bus master reaches them."""

from collections.abc import Iterator
from contextlib import contextmanager

from hil.targets.emulator.chips.stm32.flash import FlashController
from hil.targets.emulator.chips.stm32.memory_map import MemoryMap
from hil.targets.emulator.core.code import SeenCode
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.errors import BusError


class DebugBus:
    """Reads and writes that may come from any thread while the core runs.

    Each is made between two blocks of code: registers are state that the core's thread works on,
    so the run is ended first and goes on behind the access. That costs the firmware no cycle.
    """

    def __init__(
        self, memory: MemoryMap, flash: FlashController, code: SeenCode, core: CoreControl
    ) -> None:
        self._memory = memory
        self._flash = flash
        self._code = code
        self._core = core

    def read(self, address: int, length: int) -> bytes:
        """Read memory or, within one word, a register.

        Args:
            address: of the first byte.
            length: bytes.

        Raises:
            BusError: nothing answers there. EmulatorError: the emulator has failed.
        """
        with self._between_blocks():
            place = self._memory.find(address, length)
            if place is None:
                return self._memory.read_device(address, length).to_bytes(length, "little")
            memory, offset = place
            self._check_protection(address, memory)
            return bytes(memory[offset : offset + length])

    def write(self, address: int, data: bytes) -> None:
        """Write memory, program flash if it is unlocked for it, or write a register.

        Args:
            address: of the first byte.
            data: the bytes.

        Raises:
            BusError: nothing answers there. EmulatorError: the emulator has failed.
        """
        with self._between_blocks():
            place = self._memory.find(address, len(data))
            if place is None:
                value = int.from_bytes(data, "little")
                self._memory.write_device(address, len(data), value)
                return
            memory, offset = place
            self._check_protection(address, memory)
            if memory is self._memory.flash:
                self._program(offset, data)
            elif not self._memory.is_read_only(memory):
                memory[offset : offset + len(data)] = data
                self._code.forget(address, len(data))

    def _check_protection(self, address: int, memory: object) -> None:
        """Refuse a debugger the flash where read-out protection is on."""
        if memory is self._memory.flash and self._flash.options.level:
            raise BusError(address)

    @contextmanager
    def _between_blocks(self) -> Iterator[None]:
        """Hold the core for an access, after it had a moment to go on.

        A debugger polls without pause, where a real probe's wire takes its time.
        """
        self._core.linger()
        with self._core.paused():
            yield

    def _program(self, offset: int, data: bytes) -> None:
        flash, step = self._memory.flash, 4 if len(data) % 4 == 0 else len(data)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            value = int.from_bytes(piece, "little")
            if self._flash.program(offset + at, step, value):
                flash[offset + at : offset + at + step] = piece
        self._flash.settle()
