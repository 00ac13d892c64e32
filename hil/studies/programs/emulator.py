"""Any bare-metal program on an emulated board, in the hands of Python code."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hil.config import board as boards
from hil.config.board import Board
from hil.errors import FirmwareFault, UsageError
from hil.studies.profile.flame import Chain
from hil.studies.program_places import ProgramPlaces
from hil.studies.programs import files, loading
from hil.studies.programs.outcome import EXCEPTIONS, Reason, Stopped, fault_of
from hil.studies.programs.symbols import Symbol, Symbols
from hil.studies.programs.uart import Uart

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

_FIRST_IRQ = 16
HOST_SECONDS = 60.0
"""How long the host waits for a program, where nobody says otherwise."""


class Emulator:
    """An emulated board with a program in its memory. `run` lets it go.

    Close it, or use it in a `with` block.

    Args:
        names: ELF, Intel HEX and binary files; `app.bin@0x08004000` says where a binary belongs.
        board: a name of `boards/`, the path of a board's file, or a board.
        base: where a binary belongs that does not say; the board's flash without it.
        wait_states, art: of flash, whatever the program sets; None for what it sets.
        strict: whether clocks of APB1, APB2 and core stop the chip that go past their limits while
            silicon often goes on; else they are a warning.

    Attributes:
        board: its facts.
        console: what the program has said by semihosting and ITM, in bytes.
        on_console: called with what it says so, as it does.
        before_giving_up: called when the host's time is over, while the program still runs.

    Raises:
        BuildError: a file cannot be read.
        UsageError: unknown board, or a program that does not fit its memory.
    """

    def __init__(
        self,
        *names: str | Path,
        board: str | Board = "stm32f439",
        base: int | None = None,
        wait_states: int | None = None,
        art: bool | None = None,
        strict: bool = False,
    ) -> None:
        from hil.targets.emulator import chips
        from hil.targets.emulator.board import default_clock
        from hil.targets.emulator.debug.semihosting import Semihosting

        self.board = board if isinstance(board, Board) else boards.load(board)
        self.elf = files.elf_of(names)
        self._symbols = Symbols(self.elf)
        self._segments = files.read(names, self.board.flash.address if base is None else base)
        kind = chips.find(self.board.chip)
        override = loading.acr_override(wait_states, art)
        self._chip = kind(self.board, make_clock=default_clock, override_acr=override)
        if not strict:
            self._chip.forgive()
        self.console = bytearray()
        self.on_console: Callable[[bytes], None] = lambda _data: None
        self._uarts = {
            name: Uart(usart, self._deliver) for name, usart in self._chip.usarts.items()
        }
        self._chip.itm.tap = self._say
        self._chip.waiting.paced = False
        self._semihosting = Semihosting(
            core=self._chip.core,
            engine=self._chip.engine,
            memory=self._chip.bus,
            clock=self._chip.clock,
            core_hz=lambda: self._chip.rcc.core_hz,
            write=self._say,
            ended=lambda: None,
        )
        self._chip.endings.on_breakpoint = self._on_breakpoint
        self.before_giving_up: Callable[[], None] = lambda: None
        self._met_breakpoint = self._said = self._time_is_over = self._at_start = False
        self._called_off = False
        for segment in self._segments:
            loading.load(self._chip, segment)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the emulation."""
        self._chip.power_off()

    # running

    def run(
        self,
        *,
        to: str | int | None = None,
        text: str | bytes | None = None,
        seconds: float | None = None,
        host_seconds: float = HOST_SECONDS,
    ) -> Stopped:
        """Let the program go on until the first of what is asked for happens, or it ends.

        Args:
            to: a function's name or an address, before whose first instruction it stops.
            text: stops behind these words on any UART, on ITM or by semihosting.
            seconds: of the chip's own time from now on; a sleeping core skips to the next event.
            host_seconds: after which the host gives up.

        Raises:
            UsageError: no such function.
            EmulatorError: the emulator itself failed.
        """
        chip = self._chip
        wanted = None if to is None else self._symbols.address(to) & ~1
        self._said = self._time_is_over = False
        awaited = text.encode() if isinstance(text, str) else text
        with self._listening(awaited), self._breaking_at(wanted), self._for(seconds):
            self._go(wanted)
            until = time.monotonic() + host_seconds
            while chip.core.may_run() and not self._called_off and time.monotonic() < until:
                chip.core.linger()
            chip.core.raise_failure()
            in_time = not chip.core.may_run()
            if not in_time and not self._called_off:
                self.before_giving_up()
            locked = chip.core.locked_up
            chip.core.halt(0)
        return self._stopped(wanted, in_time=in_time, locked=locked)

    def cycles_between(self, first: str | int, second: str | int) -> int:
        """Run to one place, then to another; return the core's cycles from the one to the other.

        Args:
            first: a function's name or an address.
            second: likewise.

        Raises:
            UsageError: no such function.
            FirmwareFault: the program stopped before it came there.
        """
        self._must_reach(first)
        began = self.cycles
        self._must_reach(second)
        return self.cycles - began

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something done at a time of the chip's own, in seconds since power came on.

        Args:
            seconds: a time that is past means at once.
            act: called between two instructions; it must not run the program.
        """
        self._chip.agenda.add(seconds, act)

    def call_off(self) -> None:
        """Have `run` stop the program and return, now and from now on; from any thread."""
        self._called_off = True

    def paces(self) -> None:
        """Have a sleeping core take the time on the wall: somebody may talk to it meanwhile."""
        self._chip.waiting.paced = True

    def reset(self) -> None:
        """Reset the chip by its pin; memory stays."""
        self._chip.reset()
        self._stand_at_start()

    @property
    def on_event(self) -> Callable[[str], None]:
        """What is told each reset, fault and sleep, in words."""
        return self._chip.on_event

    @on_event.setter
    def on_event(self, tell: Callable[[str], None]) -> None:
        self._chip.on_event = tell

    # looking

    @property
    def cycles(self) -> int:
        """Cycles of the core since power came on."""
        return self._chip.clock.run.cycles

    @property
    def instructions(self) -> int:
        """Instructions since power came on."""
        return self._chip.clock.run.instructions

    @property
    def seconds(self) -> float:
        """The chip's own time since power came on."""
        return self._chip.agenda.seconds()

    @property
    def stacks(self) -> Mapping[Chain, int]:
        """Cycles of each chain of calls."""
        from hil.targets.emulator.timing import TimingCore

        clock = self._chip.clock
        return clock.call_stacks() if isinstance(clock, TimingCore) else {}

    def symbol(self, name: str) -> Symbol:
        """Return a function or a variable. Raises UsageError where there is none."""
        return self._symbols.find(name)

    def read(self, where: str | int, count: int | None = None) -> bytes:
        """Read memory or registers of peripherals.

        Args:
            where: a variable's name or an address.
            count: bytes; None for all of a variable.

        Raises:
            UsageError: no such variable, or nothing is at the address.
        """
        if count is None:
            count = self.symbol(where).bytes if isinstance(where, str) else 4
        with _addresses(where):
            return self._chip.bus.read(self._symbols.address(where), count)

    def word(self, where: str | int) -> int:
        """Read an unsigned word of 32 bits. Raises UsageError, as `read` does."""
        return int.from_bytes(self.read(where, 4), "little")

    def write(self, where: str | int, data: bytes | int) -> None:
        """Change memory, or registers of peripherals as a debugger does.

        Args:
            where: a variable's name or an address.
            data: bytes, or a word of 32 bits.

        Raises:
            UsageError: no such variable, or nothing is at the address.
        """
        content = data if isinstance(data, bytes) else (data & 0xFFFF_FFFF).to_bytes(4, "little")
        with _addresses(where):
            self._chip.bus.write(self._symbols.address(where), content)

    def register(self, name: str) -> int:
        """Return a core register, such as "r0", "pc" or "xpsr"."""
        return self._chip.core.read_register(name)

    def set_register(self, name: str, value: int) -> None:
        """Change a core register.

        Args:
            name: such as "r0", "pc" or "xpsr".
            value: 32 bits.
        """
        self._chip.core.write_register(name, value)

    def where(self) -> str:
        """Return the next instruction's function, file and line, as far as they are known."""
        return ProgramPlaces(self.elf).describe(self.register("pc"))

    # what is around the chip

    def uart(self, name: str) -> Uart:
        """Return a serial port, such as "usart3". Raises UsageError where there is none."""
        if name.lower() not in self._uarts:
            raise UsageError.unknown("UART", name, list(self._uarts))
        return self._uarts[name.lower()]

    @property
    def uarts(self) -> Sequence[Uart]:
        """All serial ports."""
        return tuple(self._uarts.values())

    def drive(self, pin: str, *, level: bool | None) -> None:
        """Hold a pin, such as "PA0", at a level; None lets it go. Raises UsageError.

        Args:
            pin: its port and number.
            level: True for high.
        """
        self._chip.pins.drive(pin, level=level)

    def apply(self, pin: str, *, volts: float | None) -> None:
        """Hold a pin, such as "PA0", at a voltage for the ADCs; None lets it go. Raises UsageError.

        Args:
            pin: its port and number.
            volts: 0 to 3.3.
        """
        self._chip.analog.apply(pin, volts)

    def volts(self, pin: str) -> float:
        """Return a pin's voltage: what the DAC puts out, or what is applied. Raises UsageError.

        Args:
            pin: its port and number, such as "PA4".
        """
        with self._chip.paused():
            return self._chip.analog.volts(pin)

    def watch_volts(self, pin: str, function: Callable[[float], None]) -> None:
        """Call a function whenever the DAC puts another voltage on a pin. Raises UsageError.

        Args:
            pin: "PA4" or "PA5".
            function: gets volts.
        """
        self._chip.analog.watch(pin, function)

    def level(self, pin: str) -> bool:
        """Return a pin's level. Raises UsageError where there is no such pin."""
        return self._chip.pins.level(pin)

    def watch(self, pin: str, function: Callable[[bool], None]) -> None:
        """Call a function with a pin's level whenever it changes. Raises UsageError.

        Args:
            pin: its port and number, such as "PA0".
            function: gets True for high.
        """
        self._chip.pins.watch(pin, function)

    # faults

    def raise_exception(self, which: str | int) -> None:
        """Make a system exception ("NMI", "BusFault") or an interrupt, by number, pending."""
        if isinstance(which, str) and which not in EXCEPTIONS:
            raise UsageError.unknown("exception", which, list(EXCEPTIONS))
        number = EXCEPTIONS[which] if isinstance(which, str) else _FIRST_IRQ + which
        with self._chip.paused():
            self._chip.exceptions.state.pending.add(number)

    def flip(self, where: str | int, bit: int) -> None:
        """Flip a bit of memory, as radiation does. Raises UsageError, as `read` does.

        Args:
            where: an address, or a symbol's name.
            bit: from the lowest of the byte there; 8 and more are bits of the bytes behind.
        """
        address = self._symbols.address(where) + bit // 8
        self.write(address, bytes([self.read(address, 1)[0] ^ 1 << bit % 8]))

    def brown_out(self) -> None:
        """Reset the chip as where its supply has dipped."""
        self._chip.brown_out()
        self._stand_at_start()

    # inside

    @property
    def chip(self) -> "Chip":
        """The emulated chip itself, whose parts may change from version to version."""
        return self._chip

    def _say(self, data: bytes) -> None:
        self.console += data
        self.on_console(data)

    def _on_breakpoint(self, address: int) -> bool:
        if not self._semihosting(address):
            self._met_breakpoint = True
            self._chip.core.halt(0)
        return True

    def _deliver(self, act: Callable[[], None]) -> None:
        """Do something to the board; what comes before it has power waits for that."""
        if self._chip.powered:
            act()
        else:
            self._chip.agenda.add(0.0, act)

    def _end_of_time(self) -> None:
        self._time_is_over = True
        self._chip.core.halt(0)

    def _must_reach(self, where: str | int) -> None:
        stopped = self.run(to=where)
        if stopped.reason is not Reason.REACHED:
            raise FirmwareFault(
                f"the program did not come to {where}: {stopped.reason.value}, at {stopped.where}"
            )

    def _stand_at_start(self) -> None:
        self._chip.core.halt(0)
        self._at_start = True

    def _go(self, wanted: int | None) -> None:
        chip = self._chip
        if not chip.powered:
            chip.power_on(entry=loading.entry(self._segments, self.board))
            return
        at_start, self._at_start = self._at_start, False
        if not at_start and chip.core.read_register("pc") == wanted:
            chip.core.resume(step=True)
            while chip.core.may_run():
                chip.core.linger()
        chip.core.resume(step=False)

    @contextmanager
    def _breaking_at(self, address: int | None) -> Iterator[None]:
        if address is not None:
            self._chip.stops.beside = frozenset({address})
        try:
            yield
        finally:
            self._chip.stops.beside = frozenset()

    @contextmanager
    def _for(self, seconds: float | None) -> Iterator[None]:
        """Halt the core after a time of its own."""
        if seconds is None:
            yield
            return
        end = self._chip.agenda.add(self.seconds + seconds, self._end_of_time)
        try:
            yield
        finally:
            self._chip.agenda.remove(end)

    @contextmanager
    def _listening(self, awaited: bytes | None) -> Iterator[None]:
        """Halt the core once any output ends in, or holds, what is waited for."""
        if not awaited:
            yield
            return
        before = [one.on_data for one in self.uarts], self.on_console
        seen: dict[str, bytes] = {}

        def heard(name: str, then: Callable[[bytes], None]) -> Callable[[bytes], None]:
            def hear(data: bytes) -> None:
                then(data)
                last = seen.get(name, b"") + data
                if awaited in last:
                    self._said = True
                    self._chip.core.halt(0)
                seen[name] = last[-len(awaited) :]

            return hear

        for one in self.uarts:
            one.on_data = heard(one.name, one.on_data)
        self.on_console = heard("", self.on_console)
        try:
            yield
        finally:
            for one, then in zip(self.uarts, before[0], strict=True):
                one.on_data = then
            self.on_console = before[1]

    def _stopped(self, wanted: int | None, *, in_time: bool, locked: bool) -> Stopped:
        pc = self._chip.core.read_register("pc")
        status, fault = self._semihosting.exit_status, ""
        if status is not None:
            reason = Reason.ENDED
        elif locked or self._met_breakpoint or self._chip.broken:
            reason, fault = Reason.FAULT, fault_of(self._chip, self.elf)
        elif self._said:
            reason = Reason.SAID
        elif self._time_is_over:
            reason = Reason.TIME
        elif wanted is not None and pc == wanted:
            reason = Reason.REACHED
        else:
            late = Reason.CALLED_OFF if self._called_off else Reason.HOST_TIME
            reason = Reason.FAULT if in_time else late
        self._met_breakpoint = False
        return Stopped(reason, self.where(), pc, status, fault)


@contextmanager
def _addresses(where: str | int) -> Iterator[None]:
    from hil.targets.emulator.errors import BusError

    try:
        yield
    except BusError as error:
        name = where if isinstance(where, str) else f"{where:#010x}"
        raise UsageError(f"nothing can be read or written at {name}: {error}") from error
