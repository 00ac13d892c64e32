"""A powered emulated board: the chip, its debug port, and the lines that lead to it."""

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hil.config.board import Board
from hil.targets.emulator import chips
from hil.targets.emulator.chips.stm32.chip import MakeClock
from hil.targets.emulator.core.clock import Clock
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.debug.port import DebugPort
from hil.targets.emulator.line import Line
from hil.targets.emulator.terminal import Terminal
from hil.targets.spent import Spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hil.targets.emulator.timing.core import TimingCore
    from hil.targets.emulator.timing.known import KnownBlocks


class EmulatedBoard:
    """A chip with power, under a unique id by which probe and serial port find it.

    Args:
        flash_file: keeps the flash's contents; created erased. Without it they are lost.
        make_clock: how cycles are counted.

    Attributes:
        on_access: called before each access of a debugger; what it raises is the access's answer.
        uart: the USART that the serial port is wired to: the link's where nobody says otherwise.
        terminal: the pseudo-terminal that it is on, while there is one.
    """

    def __init__(
        self,
        board: Board,
        unique_id: str,
        *,
        make_clock: MakeClock,
        flash_file: Path | None = None,
    ) -> None:
        self.board = board
        self.unique_id = unique_id
        self._flash = _open_flash(flash_file, board.flash.bytes) if flash_file else None
        kind = chips.find(board.chip)
        self.chip = kind(board, unique_id=unique_id, flash=self._flash, make_clock=make_clock)
        self.debug_port = DebugPort(self.chip.bus)
        self.uart = board.uart
        self.on_access: Callable[[], None] = lambda: None
        self.terminal: Terminal | None = None
        self._known: KnownBlocks | None = None
        self.chip.power_on()

    def line(self, name: str) -> Line:
        """Return the serial line to a USART, by its name. Raises KeyError."""
        return self.chip.usarts[name.lower()].line

    @property
    def counts_causes(self) -> bool:
        """Whether it can say what cycles went to: not where it counts instructions."""
        from hil.targets.emulator.timing.core import TimingCore

        return isinstance(self.chip.clock, TimingCore)

    def know(self, program: "Iterable[bytes]") -> None:
        """Have blocks of a program cost what earlier runs have worked out, and keep what is new.

        Args:
            program: its bytes, by which it is known again.
        """
        from hil.targets.emulator.timing.core import TimingCore
        from hil.targets.emulator.timing.known import KnownBlocks

        clock = self.chip.clock
        if isinstance(clock, TimingCore):
            self._known = KnownBlocks.of(self.board, program)
            with self.chip.paused():
                clock.know(self._known)

    def spent(self) -> Spent:
        """Return what cycles went to so far; only where `counts_causes`."""
        stalls = cast("TimingCore", self.chip.clock).stalls()
        return Spent(
            issue=stalls.issue,
            load_store=stalls.load_store,
            branch=stalls.branch,
            flash_code=stalls.flash_instruction,
            flash_data=stalls.flash_data,
            other=stalls.division + stalls.float + stalls.other,
        )

    def open_terminal(self, link: str | None) -> None:
        """Put the serial port's USART on a pseudo-terminal.

        Args:
            link: a path for a symbolic link to it.
        """
        self.terminal = Terminal(self.line(self.uart), link)

    def close_terminal(self) -> None:
        """Take the pseudo-terminal away; harmless when there is none."""
        terminal, self.terminal = self.terminal, None
        if terminal is not None:
            terminal.close()

    def power_off(self) -> None:
        """End the core's thread; ports that are still open report the loss."""
        self.close_terminal()
        self.chip.power_off()
        if self._known is not None:
            self._known.keep()
        if self._flash is not None:
            self._flash.flush()


def _open_flash(path: Path, length: int) -> mmap.mmap:
    """Map a file as flash, so that what is programmed stands in it."""
    if not path.exists() or path.stat().st_size != length:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff" * length)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), length)


def default_clock(engine: Engine, board: Board) -> Clock:
    """Return the clock that cycle counts are published with.

    Args:
        engine: whose code is counted.
        board: its file; wait states and caches are the chip's.
    """
    from hil.targets.emulator.timing.core import TimingCore

    return TimingCore(engine.uc, board, mapped=engine.mapped)
