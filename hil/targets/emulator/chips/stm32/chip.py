"""A chip around the emulated core: how its parts are wired.

A family of chips is a class derived from `Chip`. `family.py` says what such a class declares and
makes, `power.py` what power and reset do.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hil.config.board import Board
from hil.targets.emulator.chips.stm32.analog import Analog
from hil.targets.emulator.chips.stm32.bus import DebugBus
from hil.targets.emulator.chips.stm32.clock_gates import ClockGates
from hil.targets.emulator.chips.stm32.clocks import ClockTree
from hil.targets.emulator.chips.stm32.flash import FlashCalls
from hil.targets.emulator.chips.stm32.gpio import all_ports
from hil.targets.emulator.chips.stm32.identity import DebugMcu
from hil.targets.emulator.chips.stm32.memory_map import BOOT_ALIAS, MemoryMap
from hil.targets.emulator.chips.stm32.pins import Pins
from hil.targets.emulator.chips.stm32.power import PoweredChip
from hil.targets.emulator.chips.stm32.rng import RandomNumbers
from hil.targets.emulator.chips.stm32.usart import Polling
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
from hil.targets.emulator.debug.control import DebugCore, FlashPatch
from hil.targets.emulator.debug.dwt import DataWatchpointTrace
from hil.targets.emulator.debug.itm import InstrumentationTrace
from hil.targets.emulator.debug.rom_table import rom_table
from hil.targets.emulator.debug.stops import Stops
from hil.targets.emulator.debug.watchpoints import Watchpoints

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral

_log = logging.getLogger(__name__)

MakeClock = Callable[[Engine, Board], Clock]


def _instruction_clock(engine: Engine, board: Board) -> Clock:
    del board
    return InstructionClock(engine)


class Chip(PoweredChip):
    """A chip around the emulated core: its parts, and how each hears of the others.

    Attributes beside those of `Family` and `PoweredChip`:
        bus: memory and registers as a debugger reaches them.
        endings: what the end of a run comes to; it has the hook for semihosting.
        forgives_margins: whether limits may be gone past beyond which silicon often goes on.
    """

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
        self._build_flash()
        self._build_peripherals()
        self._build_interrupts()
        self._put_on_bus()
        self._build_runner()
        self._connect()
        self.memory.show_to(
            self.engine,
            self.flash_controller.program,
            lambda: self.system_control.user_may_set_pending,
            self.protection.check_device,
        )

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

    def _build_flash(self) -> None:
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

    def _build_peripherals(self) -> None:
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

    def _build_interrupts(self) -> None:
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

    def _put_on_bus(self) -> None:
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

    def _build_runner(self) -> None:
        self.protection = Protection(self.engine, self._mpu, self.memory.ranges)
        self.exceptions.lets_stack = self.protection.lets_stack
        self.memory.bus.lent.allowed = lambda: not self.protection.wanted
        self.memory.bus.sending.count_by(self.clock.run.cycles_at)
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

    def forgive(self) -> None:
        """Go on, with a warning, where silicon does so with many a public program."""
        self.forgives_margins = True

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
