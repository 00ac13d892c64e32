"""A chip around the emulated core: how its parts are wired, power and reset.

A family is a class derived from `Chip` that makes its peripherals.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from hil.config.board import Board
from hil.targets.emulator.chips.stm32.analog import Analog
from hil.targets.emulator.chips.stm32.bus import DebugBus
from hil.targets.emulator.chips.stm32.clock_gates import ClockGates
from hil.targets.emulator.chips.stm32.clocks import (
    BROWN_OUT_RESET,
    PIN_RESET,
    RESETS,
    SOFTWARE_RESET,
    ClockTree,
    ResetAndClockControl,
)
from hil.targets.emulator.chips.stm32.exti import ExternalInterrupts
from hil.targets.emulator.chips.stm32.flash import FlashCalls, FlashController, Options
from hil.targets.emulator.chips.stm32.gates import Gate, Unmodelled
from hil.targets.emulator.chips.stm32.gpio import PortLayout, all_ports
from hil.targets.emulator.chips.stm32.identity import DebugMcu, SystemMemory
from hil.targets.emulator.chips.stm32.memory_map import BOOT_ALIAS, MemoryMap, Windows
from hil.targets.emulator.chips.stm32.pins import Pins, SerialPins
from hil.targets.emulator.chips.stm32.rng import RandomNumbers
from hil.targets.emulator.chips.stm32.timer import Timer
from hil.targets.emulator.chips.stm32.usart import Polling, Usart, Wiring
from hil.targets.emulator.chips.stm32.watchdog import IndependentWatchdog, Watchdog
from hil.targets.emulator.core.agenda import Agenda
from hil.targets.emulator.core.clock import Clock, InstructionClock
from hil.targets.emulator.core.code import SeenCode
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.core.endings import Endings
from hil.targets.emulator.core.engine import Block, Engine
from hil.targets.emulator.core.exceptions import CCR_DIV_0_TRP, CCR_UNALIGN_TRP, Exceptions
from hil.targets.emulator.core.interrupts import Interrupts
from hil.targets.emulator.core.mpu import MemoryProtectionUnit
from hil.targets.emulator.core.polling import Polls
from hil.targets.emulator.core.protection import Protection
from hil.targets.emulator.core.runner import Runner
from hil.targets.emulator.core.system_control import VCATCH, SystemControl
from hil.targets.emulator.core.systick import SysTick
from hil.targets.emulator.core.thread import CoreThread
from hil.targets.emulator.core.traps import Traps
from hil.targets.emulator.core.waiting import Waiting
from hil.targets.emulator.debug.control import VC_CORERESET, DebugCore, FlashPatch
from hil.targets.emulator.debug.dwt import DataWatchpointTrace
from hil.targets.emulator.debug.itm import InstrumentationTrace
from hil.targets.emulator.debug.rom_table import rom_table
from hil.targets.emulator.debug.stops import Stops
from hil.targets.emulator.debug.watchpoints import Watchpoints
from hil.targets.emulator.errors import BusError

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral

_log = logging.getLogger(__name__)

MakeClock = Callable[[Engine, Board], Clock]


def _instruction_clock(engine: Engine, board: Board) -> Clock:
    del board
    return InstructionClock(engine)


class Chip(ABC):
    """A chip. `power_on` starts its thread, `power_off` ends it.

    Class attributes are a family's:
        windows: where its registers answer.
        system_memory: its page with the device signature.
        gpio: its ports. serial_pins: of its serial ports, by lower-case name.
        gates: of the modelled peripherals that have to be switched on, by name; the others always
            work. unmodelled: blocks with a clock of their own, by name.
        rng: address and interrupt of its random number generator.
        svd: the description of its registers that pyOCD's package has, empty where it has none.
        id_reserved: what DBGMCU_IDCODE has between part and revision.

    Attributes:
        core: who holds the core: halt, resume, registers.
        bus: memory and registers as a debugger reaches them.
        runner: what the core does next.
        endings: what the end of a run comes to; it has the hook for semihosting.
        waiting: how the core sleeps and is woken.
        agenda: what happens around the chip at given times.
        memory: memories and devices by address.
        usarts: by lower-case name.
        pins: with what is around the chip. analog: their voltages.
        peripherals: all of them.
        broken: which limit of the chip the firmware has gone past, in words; the core is locked up
            then, where silicon would do anything.
        forgives_margins: whether limits may be gone past beyond which silicon often goes on.
        on_failure: called, in the core's thread, when the emulator itself has failed.
        on_event: told each reset, fault and sleep of the core, in words.
    """

    windows: ClassVar[Windows]
    system_memory: ClassVar[SystemMemory]
    gpio: ClassVar[PortLayout]
    serial_pins: ClassVar[Mapping[str, SerialPins]]
    gates: ClassVar[Mapping[str, Gate]]
    unmodelled: ClassVar[Mapping[str, Unmodelled]]
    rng: ClassVar[tuple[int, int]]
    svd: ClassVar[str] = ""
    id_reserved: ClassVar[int] = 0

    def __init__(
        self,
        board: Board,
        *,
        unique_id: str = "",
        flash: Any = None,
        make_clock: MakeClock = _instruction_clock,
        override_acr: Callable[[int], int] = lambda value: value,
    ) -> None:
        self.board = board
        self.engine = Engine()
        system = self.system_memory
        fixed = {system.address: system.content(unique_id, board.flash.bytes)}
        self.memory = MemoryMap(board, self.engine, flash, windows=self.windows, fixed=fixed)
        self.clock = make_clock(self.engine, board)
        self.exceptions = Exceptions(self.engine, self.clock.add_cycles)
        self._override_acr = override_acr
        self._reset_requested = False
        self._powered = False
        self.broken = ""
        self.forgives_margins = False
        self._forgiven: set[str] = set()
        self.on_failure: Callable[[], None] = lambda: None
        self.on_event: Callable[[str], None] = lambda _words: None
        self._build_core()
        self._build_debug()
        self._build_peripherals()
        self._build_runner()
        self._connect()
        self.memory.show_to(
            self.engine,
            self.flash_controller.program,
            lambda: self.system_control.user_may_set_pending,
            self.protection.check_device,
        )

    # set-up

    def _build_core(self) -> None:
        run = self.clock.run
        self.rcc = self._make_rcc()
        self._thread = CoreThread(self._clear_stop, self._request_stop, self._fail)
        self.waiting = Waiting(self.clock, self._thread, lambda: self.rcc.core_hz)
        self.traps = Traps(self.engine, self._request_stop)
        self.code = SeenCode(self.engine, self.clock)
        self._mpu = MemoryProtectionUnit()
        self._polls = Polls(self.engine, self.clock, self.memory)
        self.system_control = SystemControl(
            self.exceptions, lambda: self.engine.read("ipsr"), self._request_reset
        )
        self.core = CoreControl(
            self.engine, self.exceptions, self.system_control, run, self._thread
        )

    def _build_debug(self) -> None:
        self.debug = DebugCore(self.core, self._update_tracing)
        self.dwt = DataWatchpointTrace(
            self.clock.now, lambda: self.debug.tracing, self._request_stop
        )
        self.itm = InstrumentationTrace(lambda: self.debug.tracing)
        self.flash_patch = FlashPatch(self._request_stop)
        watchpoints = Watchpoints(self.engine, self.dwt.comparators)
        self.stops = Stops(self.debug, self.flash_patch, self.dwt, watchpoints)

    def _build_peripherals(self) -> None:
        calls = FlashCalls(
            changed=self._note_flash_change,
            set_acr=self._set_acr,
            on_interrupt=self.waiting.attend,
            on_repair=self._request_stop,
            now=self.clock.now,
            programming=(programming := self.memory.bus.programming),
        )
        bases = (self.board.flash.address, BOOT_ALIAS)
        programming.place(bases, self.memory.flash, self.clock.invalidates, self.code.has_run_at)
        self.flash_controller = self._make_flash(memoryview(self.memory.flash), calls)
        self.memory.add(self.options.placed())
        self.bus = DebugBus(self.memory, self.flash_controller, self.code, self.core)
        self._polling = Polling()
        self.usarts = {usart.name.lower(): usart for usart in self._make_usarts()}
        self.ports = all_ports(self.gpio)
        self.pins = Pins(self.ports, self.usarts, self.serial_pins)
        self.analog = Analog(self.ports, self.pins.place)
        self.systick = SysTick(self.clock.now, self._set_deadline)
        self.debug_mcu = DebugMcu(self.board.dev_id, self.board.rev_id, self.id_reserved)
        self._watchdogs = self._make_watchdogs()
        self.agenda = Agenda(self.clock.now, lambda: self.rcc.core_hz, self.waiting.attend)
        generator = RandomNumbers(
            *self.rng,
            now=self.clock.now,
            core_hz=lambda: self.rcc.core_hz,
            on_change=self.waiting.attend,
        )
        self.peripherals: tuple[Peripheral, ...] = (
            self.rcc, self.flash_controller, *self.ports.values(), *self.usarts.values(),
            *self._make_timers(), generator, *self._make_more(), self.debug_mcu, *self._watchdogs,
            self.system_control,
            self.systick, self.debug, self.dwt, self.itm, self.flash_patch, self._mpu,
            *rom_table(self.board.dev_id),
        )  # fmt: skip
        self.interrupts = Interrupts(
            self.exceptions,
            self.systick,
            self.clock.run,
            [source for peripheral in self.peripherals for source in peripheral.sources],
            [
                self.agenda.deadline,
                self.pins.deadline,
                self.analog.deadline,
                *(watchdog.deadline for watchdog in self._watchdogs),
            ],
        )
        for peripheral in self.peripherals:
            self.memory.bus.add(peripheral)
        self._clock_gates = ClockGates(
            self.memory.bus,
            self.rcc,
            self.peripherals,
            gates=self.gates,
            unmodelled=self.unmodelled,
            absent=self.absent,
        )
        self.memory.bus.on_poll = self._clock_gates.tell_poll
        self.memory.bus.on_read = self._note_read

    def _note_read(self, address: int, value: int, changes: Callable[[], int | None]) -> None:
        if self._thread.is_current():  # a debugger's reads are none of the program's
            self._polls.note(address, value, changes)

    # what a family makes

    @abstractmethod
    def _make_rcc(self) -> ResetAndClockControl:
        """Return its clocks."""

    @abstractmethod
    def _make_flash(self, memory: memoryview, calls: FlashCalls) -> FlashController:
        """Return the controller of its flash."""

    @abstractmethod
    def _make_usarts(self) -> Sequence[Usart]:
        """Return its serial ports."""

    @abstractmethod
    def _make_more(self) -> "Sequence[Peripheral]":
        """Return what else it has: its regulator."""

    def _make_timers(self) -> Sequence[Timer]:
        """Return its timers."""
        return ()

    def _make_watchdogs(self) -> Sequence[Watchdog]:
        """Return what resets it unless it is fed."""
        independent = IndependentWatchdog(
            self.clock.now,
            self.rcc.core_hz,
            lambda: self.options.starts_watchdog,
            self._set_deadline,
        )
        return (independent,)

    def _make_exti(self, address: int, irqs: Mapping[int, int]) -> ExternalInterrupts:
        """Return EXTI, with the lines of each interrupt that pins have not."""
        return ExternalInterrupts(
            address,
            irqs,
            on_mask=self._choose_interrupts,
            on_line=self.waiting.attend,
            send_event=self._send_event,
        )

    def _choose_interrupts(self) -> None:
        self.interrupts.choose()

    def _send_event(self) -> None:
        self.exceptions.state.event = True

    @abstractmethod
    def _broken_by(self, clocks: ClockTree, *, margins: bool = True) -> str:
        """Return which limit of the chip clocks go past, in words; nothing where it bears them.

        Args:
            clocks: as they are, or are for a moment.
            margins: whether those limits count that silicon is often beyond and goes on.
        """

    def _boots_from(self) -> int:
        """Return where the program's vectors are."""
        return BOOT_ALIAS

    def _wiring(self, address: int) -> Wiring:
        """Return what is around the serial port at an address."""
        return Wiring(
            self.waiting, lambda: self.rcc.bus_divider(address), self._polling, self.memory.bus.lent
        )

    def _build_runner(self) -> None:
        self.protection = Protection(self.engine, self._mpu, self.memory.ranges)
        self.exceptions.lets_stack = self.protection.lets_stack
        self.memory.bus.lent.allowed = lambda: not self.protection.wanted
        self._mpu.on_change = self._note_protection
        self.endings = Endings(
            engine=self.engine,
            clock=self.clock,
            exceptions=self.exceptions,
            system_control=self.system_control,
            traps=self.traps,
            core=self.core,
            debugger=self.stops,
        )
        self.runner = Runner(
            engine=self.engine,
            clock=self.clock,
            exceptions=self.exceptions,
            traps=self.traps,
            endings=self.endings,
            interrupts=self.interrupts,
            code=self.code,
            core=self.core,
            waiting=self.waiting,
            protection=self.protection,
            debugger=self.stops,
            wakes_on_pending=lambda: self.system_control.wakes_on_pending,
            after_run=self._settle,
        )

    def _connect(self) -> None:
        self.rcc.on_gates = self._update_gates
        self.rcc.on_clocks = self._check_clocks
        self.rcc.on_core_clock = self._before_clock
        self.waiting.on_sleep = self._note_sleep
        self._update_gates()
        self.engine.on_new_block(self._on_new_block)
        self.exceptions.on_change = self._attend_exceptions
        self.exceptions.on_boundary = self.traps.exclusives.clear
        self.exceptions.on_fault = self._catch_vector
        self.exceptions.on_return = self.interrupts.pend
        self.exceptions.floats.on_change = self._request_stop
        self.system_control.on_cpacr = self._update_traps
        self.system_control.on_configuration = self._configure

    def _update_gates(self) -> None:
        self._clock_gates.update()
        self.interrupts.choose()

    @property
    def absent(self) -> frozenset[str]:
        """What this part of the family does not have."""
        return frozenset()

    def forgive(self) -> None:
        """Go on, with a warning, where silicon does so with many a public program."""
        self.forgives_margins = True

    @property
    def options(self) -> Options:
        """The option bytes."""
        return self.flash_controller.options

    def _set_acr(self, value: int) -> None:
        self.clock.set_acr(self._override_acr(value))
        if self._powered:
            self._check_clocks(self.rcc.clocks)

    def _before_clock(self, core_hz: int) -> None:
        self.agenda.before_clock(core_hz)
        for peripheral in self.peripherals:
            peripheral.before_clock(core_hz)

    def _check_clocks(self, clocks: ClockTree) -> None:
        """Lock the core up where its clocks go past what the chip bears."""
        reason = self._broken_by(clocks)
        if reason and self.forgives_margins and not self._broken_by(clocks, margins=False):
            if reason not in self._forgiven:
                self._forgiven.add(reason)
                _log.warning("%s: silicon may go on, or do anything", reason)
        elif reason and not self.broken:
            self.broken = reason
            _log.warning("the emulated chip stops, where silicon would do anything: %s", reason)
            self.exceptions.state.locked_up = True
            self._request_stop()

    def _settle(self) -> None:
        """Put memories right behind a run, as registers that were written in it say."""
        self.flash_controller.settle()

    def _note_sleep(self, cycles: int) -> None:
        if cycles:
            self.on_event(f"the core slept for {cycles:,} cycles")
        if not self.debug_mcu.clocks_sleep:
            self.dwt.skip(cycles)

    def _on_new_block(self, block: Block) -> None:
        self.memory.bus.programming.close()  # the code may be in the page that is programmed
        self.code.note(block.address)
        self.traps.on_new_block(block)
        if self.protection.on and self.protection.note_code(block.address, block.bytes):
            self._request_stop()

    def _attend_exceptions(self) -> None:
        if self.exceptions.next() is not None or self.exceptions.waits_for_masks():
            self._request_stop()

    def _catch_vector(self, number: int, status: int) -> None:
        """Tell a fault, and halt at its handler when the debugger wants that."""
        self.on_event(f"fault: exception {number}, CFSR bits {status:#x}")
        if self.stops.catches(number, status):
            self.core.halt(VCATCH)

    def _update_tracing(self) -> None:
        self.dwt.update()

    def _set_deadline(self) -> None:
        self.interrupts.set_deadline()

    def _configure(self) -> None:
        """Take over CCR: code that is translated already, this very block's, may trap from now."""
        configuration = self.exceptions.state.configuration
        self._update_traps()
        if self._thread.is_current() and configuration & (CCR_DIV_0_TRP | CCR_UNALIGN_TRP):
            self.engine.repeat_access()

    def _note_protection(self) -> None:
        """Have another setting of the MPU in force for the very next instruction."""
        self.protection.note_change()
        if self._thread.is_current():
            self.engine.repeat_access()

    def _update_traps(self) -> None:
        configuration = self.exceptions.state.configuration
        self.traps.configure(
            fpu_off=not self.system_control.fpu_enabled,
            divides_trap=bool(configuration & CCR_DIV_0_TRP),
            unaligned_trap=bool(configuration & CCR_UNALIGN_TRP),
        )
        self.clock.trap_unaligned(all_words=bool(configuration & CCR_UNALIGN_TRP))
        self._request_stop()

    def _note_flash_change(self, offset: int, length: int) -> None:
        self.code.forget(self.board.flash.address + offset, length)
        if self.code.has_run_at(BOOT_ALIAS + offset, length):
            self.code.forget(BOOT_ALIAS + offset, length)

    def _clear_stop(self) -> None:
        self.clock.run.stop = 0

    def _request_stop(self) -> None:
        self.clock.run.stop = 1

    # power

    def load(self, address: int, data: bytes) -> None:
        """Put a program into memory before the chip has power. Raises BusError.

        Args:
            address: of the first byte.
            data: the bytes.
        """
        place = self.memory.find(address, len(data))
        if place is None:
            raise BusError(address)
        buffer, offset = place
        buffer[offset : offset + len(data)] = data

    def power_on(self, *, entry: int | None = None) -> None:
        """Reset the chip and let it run; a chip is powered once.

        Args:
            entry: where the vector table is, for a program in RAM.
        """
        self._reset(PIN_RESET)
        if entry is not None:
            self._boot_from(entry)
            self.exceptions.state.vector_table = entry
        self._powered = True
        self._thread.start(self._turn, self.core.may_run)

    @property
    def native_thread(self) -> int | None:
        """The core's thread by its number in the system; None before power is on."""
        return self._thread.native_id

    def power_off(self) -> None:
        """End the thread and let go whoever waits for bytes of this board."""
        self._powered = False
        self._thread.end()
        self._wake_hosts()

    def _wake_hosts(self) -> None:
        for usart in self.usarts.values():
            usart.line.wake_host()

    def _fail(self) -> None:
        """Tell whoever waits for the core that it never comes."""
        self._wake_hosts()
        self.on_failure()

    @property
    def powered(self) -> bool:
        """Whether the chip has power."""
        return self._powered

    def _turn(self) -> None:
        self.agenda.act()
        self.pins.settle()
        self.analog.settle()
        if not self.core.may_run():
            return
        if self._reset_requested:
            self._reset(SOFTWARE_RESET)
            return
        for watchdog in self._watchdogs:
            if watchdog.is_due():
                self._reset(watchdog.cause)
                return
        self._take_turn()

    def _take_turn(self) -> None:
        self.runner.turn()

    def paused(self) -> AbstractContextManager[None]:
        """Keep the core from executing in a `with` block; registers are exact in it."""
        return self.core.paused()

    # reset

    def reset(self, *, by_software: bool = False) -> None:
        """Reset core and peripherals, and go to the reset vector."""
        with self.paused():
            self._reset(SOFTWARE_RESET if by_software else PIN_RESET)

    def brown_out(self) -> None:
        """Reset as where the supply has dipped: RM0090 section 5.2.1."""
        with self.paused():
            self._reset(BROWN_OUT_RESET)

    def hold_in_reset(self, *, asserted: bool) -> None:
        """Drive the reset pin: the chip resets when it is let go."""
        if asserted:
            with self.paused():
                self.core.in_reset = True
        elif self.core.in_reset:
            with self.paused():
                self.core.in_reset = False
                self._reset(PIN_RESET)

    def _request_reset(self) -> None:
        """Reset at once for a debugger, at the next block for the core itself."""
        if not self._thread.is_current():
            self.reset(by_software=True)
            return
        self._reset_requested = True
        self._request_stop()

    def _reset(self, cause: int) -> None:
        self.on_event(f"reset: {RESETS.get(cause, f'cause {cause:#x}')}")
        self.clock.reset()
        self.broken = ""
        for peripheral in self.peripherals:
            peripheral.reset()
        self.memory.bus.reset()
        self.exceptions.reset()
        self.rcc.note_reset(cause)
        self.debug.note_reset()
        self._reset_requested = False
        self.core.reset()
        self._reset_registers()
        self._update_traps()
        self.interrupts.set_deadline()
        if self.debug.catches & VC_CORERESET:
            self.core.halt(VCATCH)

    def _reset_registers(self) -> None:
        engine = self.engine
        engine.write("xpsr", 1 << 24)
        for name in ("control", "primask", "basepri", "faultmask", "fpscr", "psp"):
            engine.write(name, 0)
        engine.write("lr", 0xFFFF_FFFF)
        self._boot_from(self._boots_from())

    def _boot_from(self, vectors: int) -> None:
        stack, entry = self.engine.load_words(vectors, 2)
        self.engine.write("msp", stack & ~3)
        self.engine.branch(entry)
