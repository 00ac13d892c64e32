"""The chip's memories and devices by address, as the core and the debugger's bus see them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hil.config.board import Board
from hil.targets.emulator.core import bit_band, private_bus
from hil.targets.emulator.core.bit_band import BitBand
from hil.targets.emulator.core.engine import Engine, Read, Write
from hil.targets.emulator.core.private_bus import PrivateBus
from hil.targets.emulator.core.registers import Bus
from hil.targets.emulator.errors import BusError

BOOT_ALIAS = 0x0000_0000
"""Where the flash appears once more: the core boots from there."""

Windows = Sequence[tuple[int, int]]
"""Address and bytes of each range in which registers answer."""


class MemoryMap:
    """Flash, RAM, read-only memories, device registers and bit-band aliases.

    Args:
        flash: its bytes; None: erased.
        windows: where registers answer.
        fixed: read-only memories by address.

    Attributes:
        flash: its bytes; the core sees changes at once.
        bus: the registers of all peripherals.
        outside: address and bytes of the memory outside the chip; None while it does not answer.
    """

    def __init__(
        self,
        board: Board,
        engine: Engine,
        flash: Any,
        *,
        windows: Windows,
        fixed: Mapping[int, bytearray],
    ) -> None:
        self.flash = flash if flash is not None else bytearray(b"\xff" * board.flash.bytes)
        self._windows = windows
        self.outside: Callable[[], tuple[int, Any] | None] = lambda: None
        self.bus = Bus(windows)
        self._flash_address = board.flash.address
        self._memories: tuple[tuple[int, Any, bool, bool], ...] = (
            # address, bytes, writable, executable
            *(
                (ram.address, bytearray(ram.bytes), True, "code" in ram.uses)
                for ram in board.regions
                if ram.flash is None and ram.sdram is None
            ),
            (board.flash.address, self.flash, False, True),
            (BOOT_ALIAS, self.flash, False, True),
            *((address, memory, False, True) for address, memory in fixed.items()),
        )
        outside = board.external
        self._later = [range(outside.address, outside.end)] if outside is not None else []
        self._bands = (
            BitBand(
                bit_band.SRAM_ALIAS,
                board.sram.address,
                board.sram.bytes,
                engine.load_word,
                lambda address, word: engine.store_words(address, (word,)),
            ),
            BitBand(
                bit_band.PERIPHERAL_ALIAS,
                bit_band.PERIPHERALS,
                bit_band.PERIPHERAL_BYTES,
                lambda address: self.bus.read(address, 4),
                lambda address, word: self.bus.write(address, 4, word),
            ),
        )

    def add(self, memories: Iterable[tuple[int, bytearray]], *, writable: bool = False) -> None:
        """Put further memories at their addresses; before `show_to`. No code is fetched there.

        Args:
            memories: bytes by address.
            writable: whether the core may store there.
        """
        self._memories += tuple((at, memory, writable, False) for at, memory in memories)

    def also_at(self, address: int, memory_at: int, length: int) -> None:
        """Let a part of a memory appear at a second address too; before `show_to`.

        Args:
            address: of the second place.
            memory_at: of the first place.
            length: bytes.
        """
        place = self.find(memory_at, length)
        if place is None:
            raise ValueError(f"no memory of {length:,} B at {memory_at:#010x}")
        memory, offset = place
        part = memoryview(memory)[offset : offset + length]
        self._memories += ((address, part, True, True),)

    def show_to(
        self,
        engine: Engine,
        program: Callable[[int, int, int], bool],
        user_may_set_pending: Callable[[], bool],
        check_device: Callable[[int, bool], None],
    ) -> None:
        """Let the core see it all.

        Args:
            engine: the core.
            program: takes a store to flash (offset, bytes, value); returns whether it may happen.
            user_may_set_pending: CCR.USERSETMPEND.
            check_device: raises BusError for an access to a register that may not be: address,
                whether it is a write.
        """
        for address, memory, writable, executable in self._memories:
            engine.map_memory(address, memory, writable=writable, executable=executable)
        sooner = (self.bus.lent, self.bus.programming, self.bus.sending)
        private = PrivateBus(engine, self.bus, user_may_set_pending)
        for start, length in self._windows:
            if start == private_bus.ADDRESS:
                engine.map_device(start, length, private.read, private.write)
            else:
                engine.map_device(start, length, *self._checked(check_device), sooner)
        for band in self._bands:
            engine.map_device(band.alias, band.bytes, band.read_bit, band.write_bit)
        first, last = self._flash_address, self._flash_address + len(self.flash) - 1

        def store(address: int, size: int, value: int) -> bool:
            self.bus.writes += 1
            return program(address - first, size, value)

        engine.on_read_only_write(first, last, store, self.bus.programming.store)
        engine.note_bad_accesses(self._later)

    def _checked(self, check: Callable[[int, bool], None]) -> tuple[Read, Write]:
        read_bus, write_bus = self.bus.read, self.bus.write

        def read(address: int, size: int) -> int:
            check(address, False)
            return read_bus(address, size)

        def write(address: int, size: int, value: int) -> None:
            check(address, True)
            write_bus(address, size, value)

        return read, write

    def accesses(self) -> tuple[int, int]:
        """Return how often any register was written, and a trace of reads since the last call."""
        trace, self.bus.trace = self.bus.trace, 0
        lent = self.bus.lent
        writes = self.bus.writes + self.bus.programming.accesses + self.bus.sending.writes
        return writes, trace + lent.reads + lent.taken

    def content(self) -> list[bytes] | None:
        """Return a copy of all RAM; None where it is too much, with a memory outside the chip."""
        if self.outside() is not None:
            return None
        return [bytes(memory) for _, memory, writable, _ in self._memories if writable]

    def lose(self) -> None:
        """Have all RAM empty, as it is when power comes on."""
        for _, memory, writable, _ in self._memories:
            if writable:
                memory[:] = bytes(len(memory))

    @property
    def ranges(self) -> list[range]:
        """Where memories are."""
        return [range(start, start + len(memory)) for start, memory, _, _ in self._memories]

    def find(self, address: int, length: int) -> tuple[Any, int] | None:
        """Return the memory that holds a range and the range's offset in it, if one does.

        Args:
            address: of the first byte.
            length: bytes.
        """
        outside = self.outside()
        if outside is not None and outside[0] <= address:
            start, memory = outside
            if address + length <= start + len(memory):
                return memory, address - start
        for start, memory, _, _ in self._memories:
            if start <= address and address + length <= start + len(memory):
                return memory, address - start
        return None

    def is_read_only(self, memory: object) -> bool:
        """Whether stores to a memory have no effect."""
        outside = self.outside()
        if outside is not None and outside[1] is memory:
            return False
        return all(not writable for _, one, writable, _ in self._memories if one is memory)

    def read_device(self, address: int, size: int) -> int:
        """Read a register, or a bit through its alias. Raises BusError.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
        """
        band = self._band_at(address)
        if band is not None:
            return band.read_bit(address, size)
        self._check(address)
        return self.bus.read(address, size)

    def write_device(self, address: int, size: int, value: int) -> None:
        """Write a register, or a bit through its alias. Raises BusError.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
            value: what is stored.
        """
        band = self._band_at(address)
        if band is not None:
            band.write_bit(address, size, value)
            return
        self._check(address)
        self.bus.write(address, size, value)

    def _band_at(self, address: int) -> BitBand | None:
        return next((band for band in self._bands if band.holds(address)), None)

    def _check(self, address: int) -> None:
        if not self.bus.holds(address):
            raise BusError(address)
