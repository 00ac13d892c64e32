"""A program on the emulated core, from one of its functions to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.config.board import Board
from hil.errors import FirmwareFault, UsageError

if TYPE_CHECKING:
    from hil.targets.emulator.timing import Rules

_PERIPHERALS, _PERIPHERAL_BYTES = 0x4000_0000, 0x3_0000
_PRIVATE, _PRIVATE_BYTES = 0xE000_0000, 0x10_0000
_RNG, _RNG_BYTES = 0x5006_0000, 0x1000
_RNG_SR, _RNG_DR = 0x804, 0x808
_READY = 1


@dataclass(frozen=True)
class Mark:
    """The counts on reaching a function."""

    function: str
    cycles: int
    instructions: int


class CoreRun:
    """A program in flash and the core at reset. Peripherals are memory, but for random numbers.

    Args:
        elf: linked for the board, with a symbol table.
        board: whose memory.
        acr: FLASH_ACR: wait states, caches, prefetch.
        rules: other than those that figures are published with.
    """

    def __init__(self, elf: Path, board: Board, acr: int, rules: "Rules | None" = None) -> None:
        from hil.targets.emulator.core.engine import Engine
        from hil.targets.emulator.timing import TimingCore

        self._engine: Engine = Engine()
        self._random = 12_345
        self._map(board)
        self._symbols = self._load(elf)
        self.timing = TimingCore(self._engine.uc, board, mapped=self._engine.mapped, rules=rules)
        self.timing.set_acr(acr)
        stack, start = self._engine.load_words(board.flash.address, 2)
        self._engine.write("sp", stack)
        self._engine.branch(start)

    def _map(self, board: Board) -> None:
        engine = self._engine
        self._memory = [
            (region, bytearray((b"\0" if region.flash is None else b"\xff") * region.bytes))
            for region in board.regions
        ]
        for region, memory in self._memory:
            engine.map_memory(
                region.address,
                memory,
                writable="data" in region.uses,
                executable="code" in region.uses,
            )
        for address, length in (
            (_PERIPHERALS, _PERIPHERAL_BYTES),
            (_PRIVATE, _PRIVATE_BYTES),
        ):
            engine.map_memory(address, bytearray(length), writable=True, executable=False)
        engine.map_device(_RNG, _RNG_BYTES, self._read_rng, lambda _address, _size, _value: None)

    def _read_rng(self, address: int, _size: int) -> int:
        """Read the generator of random numbers: a congruence of Numerical Recipes, never late."""
        if address == _RNG + _RNG_SR:
            return _READY
        if address == _RNG + _RNG_DR:
            self._random = (self._random * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
            return self._random ^ self._random >> 16
        return 0

    def _load(self, elf: Path) -> dict[str, int]:
        from elftools.elf.elffile import ELFFile

        with elf.open("rb") as file:
            contents = ELFFile(file)
            for segment in contents.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self.write(segment["p_paddr"], segment.data())
            table: Any = contents.get_section_by_name(".symtab")
            return {s.name: s["st_value"] & ~1 for s in table.iter_symbols() if s.name}

    def write(self, address: int, data: bytes) -> None:
        """Write to the memory, as nobody on the chip could: into flash too, in no time.

        Args:
            address: of the first byte.
            data: the bytes.

        Raises:
            UsageError: the board has no memory there.
        """
        memory, offset = self._place(address, len(data))
        memory[offset : offset + len(data)] = data

    def read(self, address: int, count: int) -> bytes:
        """Read from the memory.

        Args:
            address: of the first byte.
            count: bytes.

        Raises:
            UsageError: the board has no memory there.
        """
        memory, offset = self._place(address, count)
        return bytes(memory[offset : offset + count])

    def _place(self, address: int, count: int) -> tuple[bytearray, int]:
        for region, memory in self._memory:
            offset = address - region.address
            if 0 <= offset <= region.bytes - count:
                return memory, offset
        raise UsageError(f"the program has {count} B at {address:#010x}, outside the memory")

    def symbol(self, name: str) -> int:
        """Return where a function or a variable of the program is.

        Raises:
            UsageError: it has none of this name.
        """
        if name not in self._symbols:
            raise UsageError(
                f"the program has no function {name}",
                hint="is this the release that the command's help names?",
            )
        return self._symbols[name]

    def reach(self, functions: Sequence[str]) -> list[Mark]:
        """Run until each of these functions has been entered, in this order.

        Raises:
            UsageError: the program has no such function.
            FirmwareFault: it faulted on the way.
        """
        return [self._reach(function) for function in functions]

    def _reach(self, function: str) -> Mark:
        from hil.targets.emulator.core.engine import Stop

        engine, timing = self._engine, self.timing
        goal = self.symbol(function)
        engine.set_exits({goal})
        while True:
            stop = engine.run()
            pc = engine.read("pc")
            timing.resync(pc)
            if pc == goal:
                return Mark(function, timing.cycles, timing.instructions)
            if stop is not Stop.CLEAN:
                raise FirmwareFault(f"{stop.name.lower()} fault at {pc:#010x}", stage=function)
