"""The emulated STM32F439: core, memories and peripherals, running in a thread of its own."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from hil.config.board import Board
from hil.targets.emulator.chips.stm32f4 import flash as flash_controller
from hil.targets.emulator.chips.stm32f4 import gpio, identity
from hil.targets.emulator.chips.stm32f4.flash import FlashController
from hil.targets.emulator.chips.stm32f4.memory_map import BOOT_ALIAS, MemoryMap
from hil.targets.emulator.chips.stm32f4.rcc import PowerControl, ResetAndClockControl
from hil.targets.emulator.chips.stm32f4.usart import Usart
from hil.targets.emulator.core import traps
from hil.targets.emulator.core.clock import NEVER, Clock, InstructionClock
from hil.targets.emulator.core.engine import Block, Engine, Stop
from hil.targets.emulator.core.exceptions import (
    CCR_DIV_0_TRP,
    CCR_UNALIGN_TRP,
    FIRST_IRQ,
    SYSTICK,
    Exceptions,
)
from hil.targets.emulator.core.mpu import MemoryProtectionUnit
from hil.targets.emulator.core.system_control import SystemControl
from hil.targets.emulator.core.systick import SysTick
from hil.targets.emulator.core.thread import CoreThread
from hil.targets.emulator.debug import control as debug_core
from hil.targets.emulator.debug.control import DebugCore, FlashPatch
from hil.targets.emulator.debug.dwt import DataWatchpointTrace
from hil.targets.emulator.debug.rom_table import rom_table
from hil.targets.emulator.debug.watchpoints import Watchpoints
from hil.targets.emulator.errors import BusError

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral

HSE_HZ = 8_000_000
_PAGE = 0x1000
_SECOND_BLOCK = 2
_LOCKUP_PC = 0xFFFF_FFFE
_USARTS = (("USART1", 0x4001_1000, 37), ("USART2", 0x4000_4400, 38), ("USART3", 0x4000_4800, 39))
_APB2 = range(0x4001_0000, 0x4001_8000)

# How long a sleeping core waits at most before it lets the cycle count catch up with the clock on
# the wall, so that a firmware's time-outs run while it waits for input.
_DOZE_S = 0.05

MakeClock = Callable[[Engine, Board], Clock]


def _instruction_clock(engine: Engine, board: Board) -> Clock:
    del board
    return InstructionClock(engine)


class Chip:
    """A chip. `power_on` starts its thread, `power_off` ends it.

    Attributes:
        halted: whether the debugger holds the core.
        memory: memories and devices by address.
        usarts: by lower-case name.
        lockup_pc: where the core met a fault that it could not take, None before.
        runs: how often the engine was started: a measure of what a waiting firmware costs.
        on_breakpoint: asked about each BKPT instruction before debugger and fault: whether it has
            been dealt with (semihosting).
        on_lockup: called when the core meets a fault that it cannot take.
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
        self.memory = MemoryMap(board, self.engine, unique_id, flash)
        self.clock = make_clock(self.engine, board)
        self.exceptions = Exceptions(self.engine, self.clock.add_cycles)
        self.halted = False
        self.lockup_pc: int | None = None
        self.runs = 0
        self.on_breakpoint: Callable[[int], bool] = lambda _address: False
        self.on_lockup: Callable[[], None] = lambda: None
        self._override_acr = override_acr
        self._asleep = False
        self._reset_requested = False
        self._in_reset = False
        self._step = False
        self._code_pages: set[int] = set()
        self.traps = traps.Traps(self.engine, self._request_stop)
        self._powered = False
        self.engine.on_new_block(self._on_new_block)
        self._build_peripherals()
        self.memory.show_to(self.engine, self.flash_controller.program)
        self._thread = CoreThread(
            turn=self._turn,
            may_run=self._may_run,
            on_start=self._clear_stop,
            request_stop=self._request_stop,
        )

    # set-up

    def _build_peripherals(self) -> None:
        self.rcc = ResetAndClockControl(HSE_HZ)
        self.systick = SysTick(self.clock.now, self._set_deadline)
        self.system_control = SystemControl(
            self.exceptions, lambda: self.engine.read("ipsr"), self._request_reset
        )
        self.debug = DebugCore(self, self._update_tracing)
        self.dwt = DataWatchpointTrace(
            self.clock.now, lambda: self.debug.tracing, self._update_breakpoints
        )
        self.watchpoints = Watchpoints(self.engine, self.dwt.comparators)
        self.flash_patch = FlashPatch(self._update_breakpoints)
        self.flash_controller = FlashController(
            memoryview(self.memory.flash),
            changed=self._note_flash_change,
            set_acr=lambda value: self.clock.set_acr(self._override_acr(value)),
            on_interrupt=self.attend,
            on_repair=self._request_stop,
        )
        self.usarts: Mapping[str, Usart] = {
            name.lower(): Usart(name, address, irq, self) for name, address, irq in _USARTS
        }
        self._peripherals: list[Peripheral] = [
            self.rcc, PowerControl(), self.flash_controller, *gpio.all_ports(),
            *self.usarts.values(), identity.DebugMcu(), self.system_control, self.systick,
            self.debug, self.dwt, self.flash_patch, MemoryProtectionUnit(), *rom_table(),
        ]  # fmt: skip
        for peripheral in self._peripherals:
            self.memory.bus.add(peripheral)
        self.exceptions.on_change = self._attend_exceptions
        self.exceptions.on_fault = self._catch_vector
        self.exceptions.on_return = self._pend_interrupts
        self.exceptions.floats.on_change = self._request_stop
        self.system_control.on_cpacr = self._update_traps
        self.system_control.on_configuration = self._update_traps

    # power and reset

    def load(self, address: int, data: bytes) -> None:
        """Put a program into memory before the chip has power. Raises BusError."""
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
        self._reset(by_software=False)
        if entry is not None:
            self._boot_from(entry)
            self.exceptions.state.vector_table = entry
        self._powered = True
        self._thread.start()

    def power_off(self) -> None:
        """End the thread and let go whoever waits for bytes of this board."""
        self._powered = False
        self._thread.end()
        for usart in self.usarts.values():
            usart.wake_host()

    @property
    def powered(self) -> bool:
        """Whether the chip has power."""
        return self._powered

    def reset(self, *, by_software: bool = False) -> None:
        """Reset core and peripherals, and go to the reset vector."""
        with self.paused():
            self._reset(by_software=by_software)

    def hold_in_reset(self, *, asserted: bool) -> None:
        """Drive the reset pin: the chip resets when it is let go."""
        if asserted:
            with self.paused():
                self._in_reset = True
        elif self._in_reset:
            with self.paused():
                self._in_reset = False
                self._reset(by_software=False)

    def _reset(self, *, by_software: bool) -> None:
        self.clock.reset()
        for peripheral in self._peripherals:
            peripheral.reset()
        self.memory.bus.reset()
        self.exceptions.reset()
        self.rcc.note_reset(by_software=by_software)
        self.debug.note_reset()
        self._asleep = self._reset_requested = self._step = False
        self.halted = False
        self._reset_registers()
        self._update_traps()
        self._set_deadline()
        if self.debug.catches & debug_core.VC_CORERESET:
            self.halt(debug_core.VCATCH)

    def _reset_registers(self) -> None:
        engine = self.engine
        engine.write("xpsr", 1 << 24)
        for name in ("control", "primask", "basepri", "faultmask", "fpscr", "psp"):
            engine.write(name, 0)
        engine.write("lr", 0xFFFF_FFFF)
        self._boot_from(BOOT_ALIAS)

    def _boot_from(self, vectors: int) -> None:
        stack, entry = self.engine.load_words(vectors, 2)
        self.engine.write("msp", stack & ~3)
        self.engine.branch(entry)

    def _request_reset(self) -> None:
        """Reset at once for a debugger, at the next block for the core itself."""
        if not self._thread.is_current():
            self.reset(by_software=True)
            return
        self._reset_requested = True
        self._request_stop()

    # visits: what other threads do to a core that may be running

    def paused(self) -> AbstractContextManager[None]:
        """Keep the core from executing in a `with` block; registers are exact in it."""
        return self._thread.paused()

    def linger(self) -> None:
        """Let a running core go on for a moment, or until it halts."""
        self._thread.linger()

    # debugger's view (debug_core.Core)

    @property
    def asleep(self) -> bool:
        """Whether the core waits in WFI or WFE."""
        return self._asleep

    @property
    def locked_up(self) -> bool:
        """Whether the core met a fault that it cannot take."""
        return self.exceptions.state.locked_up

    def instructions(self) -> int:
        """Return how many instructions the core has executed."""
        return self.clock.run.instructions

    def halt(self, reason: int) -> None:
        """Stop executing, for a DFSR reason."""
        with self.paused():
            self.halted = True
            self._asleep = False
            # Debug state ends a lockup; going on would meet the same fault again.
            self.exceptions.state.locked_up = False
            self.system_control.debug_faults |= reason

    def resume(self, *, step: bool) -> None:
        """Go on, for one instruction or until something halts the core."""
        with self.paused():
            self.halted = False
            self._step = step

    def read_register(self, name: str) -> int:
        """Return a core register."""
        with self.paused():
            return self.engine.read(name)

    def write_register(self, name: str, value: int) -> None:
        """Change a core register."""
        with self.paused():
            if name == "pc":
                value &= ~1
            elif name in {"sp", "msp", "psp"}:
                value &= ~3
            self.engine.write(name, value)

    # memory as the debugger's bus sees it

    def read_memory(self, address: int, length: int) -> bytes:
        """Read memory or, within one word, a register.

        Raises:
            BusError: nothing answers there.
        """
        place = self.memory.find(address, length)
        if place is None:
            return self.memory.read_device(address, length).to_bytes(length, "little")
        memory, offset = place
        return bytes(memory[offset : offset + length])

    def write_memory(self, address: int, data: bytes) -> None:
        """Write memory, program flash if it is unlocked for it, or write a register.

        Raises:
            BusError: nothing answers there.
        """
        place = self.memory.find(address, len(data))
        if place is None:
            self.memory.write_device(address, len(data), int.from_bytes(data, "little"))
            return
        memory, offset = place
        with self.paused():
            if memory is self.memory.flash:
                self._program_through_debugger(offset, data)
            elif not self.memory.is_read_only(memory):
                memory[offset : offset + len(data)] = data
                self._forget(address, len(data))

    def _program_through_debugger(self, offset: int, data: bytes) -> None:
        flash, step = self.memory.flash, 4 if len(data) % 4 == 0 else len(data)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            value = int.from_bytes(piece, "little")
            if self.flash_controller.program(offset + at, step, value):
                flash[offset + at : offset + at + step] = piece
        self.flash_controller.settle()

    # what peripherals need of the core (usart.Core)

    def now(self) -> int:
        """Return the cycle count."""
        return self.clock.now()

    def block_cycles(self) -> int:
        """Return the cycle count at the last block's end."""
        return self.clock.run.cycles

    def bus_divider(self, address: int) -> int:
        """Return the core's cycles per cycle of the bus that a peripheral is on."""
        return self.rcc.bus_divider(second=address in _APB2)

    def attend(self) -> None:
        """Look at interrupt lines and deadlines again soon; any thread may call."""
        self._request_stop()
        self._thread.wake()

    def doze(self, arrived: Callable[[], bool]) -> None:
        """Sleep, in a bus access, until something arrives or the core is needed.

        The cycle count goes on meanwhile at the speed of the core's clock.
        """
        self._sleep(lambda: arrived() or bool(self.clock.run.stop))

    def _sleep(self, wakes: Callable[[], bool]) -> None:
        hz = self.rcc.core_hz
        left = max(self.clock.run.deadline - self.clock.run.cycles, 0)
        timeout_s = min(_DOZE_S, left / hz)
        began = time.monotonic()
        woken = self._thread.sleep(wakes, timeout_s)
        slept = round((time.monotonic() - began) * hz)
        self.clock.add_cycles(min(slept, left) if woken or timeout_s == _DOZE_S else left)

    def _clear_stop(self) -> None:
        self.clock.run.stop = 0

    def _request_stop(self) -> None:
        self.clock.run.stop = 1

    def _attend_exceptions(self) -> None:
        if self.exceptions.next() is not None or self.exceptions.waits_for_masks():
            self._request_stop()

    def _set_deadline(self) -> None:
        deadlines = [self.systick.deadline(), *(u.deadline() for u in self.usarts.values())]
        self.clock.run.deadline = min((d for d in deadlines if d is not None), default=NEVER)

    def _update_tracing(self) -> None:
        self.dwt.update()

    def _update_traps(self) -> None:
        configuration = self.exceptions.state.configuration
        self.traps.configure(
            fpu_off=not self.system_control.fpu_enabled,
            divides_trap=bool(configuration & CCR_DIV_0_TRP),
            unaligned_trap=bool(configuration & CCR_UNALIGN_TRP),
        )
        self.clock.trap_unaligned(all_words=bool(configuration & CCR_UNALIGN_TRP))
        self._request_stop()

    def _update_breakpoints(self) -> None:
        self._request_stop()

    def _note_flash_change(self, offset: int, length: int) -> None:
        self._forget(self.board.flash.address + offset, length)
        if self._has_run_at(BOOT_ALIAS + offset, length):
            self._forget(BOOT_ALIAS + offset, length)

    def _forget(self, address: int, length: int) -> None:
        """Have what changed read and timed anew, and translated if code has run there."""
        self.clock.invalidate(address, length)
        if self._has_run_at(address, length):
            self.engine.forget_code(address, length)

    def _has_run_at(self, address: int, length: int) -> bool:
        first, last = address // _PAGE, (address + length - 1) // _PAGE
        if first == last:
            return first in self._code_pages
        return not self._code_pages.isdisjoint(range(first, last + 1))

    def _on_new_block(self, block: Block) -> None:
        self._code_pages.add(block.address // _PAGE)
        self.traps.on_new_block(block)

    # the core's thread

    def _may_run(self) -> bool:
        return not (self.halted or self._in_reset or self.locked_up)

    def _turn(self) -> None:
        """Do one thing: take an exception, sleep, or run until something happens."""
        if self._reset_requested:
            self._reset(by_software=True)
            return
        self._pend_interrupts()
        if not self.debug.masks_interrupts:
            number = self.exceptions.next()
            if number is not None:
                self._asleep = False
                self.exceptions.enter(number)
                self._end_step()
                return
        if self._asleep:
            if not self.exceptions.wakes():
                self._sleep(lambda: bool(self.clock.run.stop))
                return
            self._asleep = False
        self._run()

    def _pend_interrupts(self) -> None:
        pending, active = self.exceptions.state.pending, self.exceptions.state.active
        if self.systick.tick():
            pending.add(SYSTICK)
        self._set_deadline()
        for irq, line in self._lines():
            if line and FIRST_IRQ + irq not in active:
                pending.add(FIRST_IRQ + irq)

    def _lines(self) -> Iterator[tuple[int, bool]]:
        yield flash_controller.IRQ, self.flash_controller.interrupt
        for usart in self.usarts.values():
            yield usart.irq, usart.interrupt

    def _run(self) -> None:
        run, engine = self.clock.run, self.engine
        start = engine.read("pc")
        breakpoints = self._breakpoints()
        if start in breakpoints and not self._step:
            self._halt_at(start)
            return
        self._code_pages.add(start // _PAGE)
        self.traps.scan_from(start)
        if traps.before_run(self, start):
            self._end_step()
            return
        floats_wait = self.exceptions.floats.waits
        self._set_exits(start, breakpoints, floats_wait=floats_wait)
        run.block_limit = int(self._step)
        run.blocks = run.left = 0
        self._watch_masks()
        self.runs += 1
        self.watchpoints.update(enabled=self.debug.enabled and self.debug.tracing)
        stop = engine.run()
        if not run.left:
            self.clock.resync(engine.read("pc"))
        self.flash_controller.settle()
        suspect = self.clock.take_suspect()
        if suspect is not None:
            self._look_at(suspect, floats_wait=floats_wait)
        if self._step and run.left and run.blocks < _SECOND_BLOCK:
            return  # left before the instruction
        if self.watchpoints.hit:
            self._halt_behind_access(stop)
        elif suspect is None:
            traps.after_run(self, stop)
        self._end_step()
        if self.locked_up:
            self.lockup_pc = engine.read("pc")
            engine.write("pc", _LOCKUP_PC)
            self.on_lockup()

    def _set_exits(self, start: int, breakpoints: set[int], *, floats_wait: bool) -> None:
        """Have the run end where something is to be done before an instruction."""
        if not floats_wait:
            self.traps.floats.clear()
        self.clock.trap_floats(on=floats_wait and start not in self.traps.floats)
        looked_at = self.traps.addresses | self.clock.suspects
        exits = breakpoints | looked_at
        if self._step or start in looked_at:
            # Only as far as the next, so that a loop comes back to an exit that is in force.
            exits.add(start + traps.instruction_bytes(self.engine, start))
        self.engine.set_exits(exits - {start})

    def _look_at(self, suspect: int, *, floats_wait: bool) -> None:
        """Have runs end before an instruction that may trap."""
        if floats_wait and self.traps.is_fpu(suspect):
            self.traps.floats.add(suspect)
        else:
            self.clock.suspect(suspect)

    def _halt_behind_access(self, stop: Stop) -> None:
        """Halt for a watchpoint, behind the instruction that made the access."""
        engine, run = self.engine, self.clock.run
        if stop is Stop.CLEAN and not run.left:
            start = engine.read("pc")
            engine.set_exits({start + traps.instruction_bytes(engine, start)})
            run.block_limit, run.blocks = 1, 0
            stop = engine.run()
            self.clock.resync(engine.read("pc"))
        if stop is not Stop.CLEAN:
            traps.after_run(self, stop)
        self.halt(debug_core.DWTTRAP)

    def _watch_masks(self) -> None:
        """Have the run end when an instruction lets a waiting exception through."""
        run = self.clock.run
        run.watch_masks = int(self.exceptions.waits_for_masks())
        if run.watch_masks:
            names = ("primask", "basepri", "faultmask")
            run.masks[:] = tuple(self.engine.read(name) for name in names)

    def _end_step(self) -> None:
        if self._step and not self.halted:
            self._step = False
            self.halt(debug_core.HALTED)

    def _breakpoints(self) -> set[int]:
        if not self.debug.enabled:
            return set()
        points = self.flash_patch.breakpoints()
        return points | {c.halts_at for c in self.dwt.comparators if c.halts_at is not None}

    def _halt_at(self, address: int) -> None:
        in_patch = address in self.flash_patch.breakpoints()
        self.halt(debug_core.BKPT if in_patch else debug_core.DWTTRAP)

    def _catch_vector(self, number: int, status: int) -> None:
        """Halt at a fault's handler when the debugger wants that."""
        if self.debug.catches & debug_core.catch_of(number, status):
            self.halt(debug_core.VCATCH)

    # what traps ask for

    def sleep(self) -> None:
        """Execute WFI: sleep until an exception is pending."""
        self._asleep = True

    def wait_for_event(self) -> None:
        """Execute WFE, which may end without an event: sleep a little."""
        self._sleep(lambda: bool(self.clock.run.stop))

    def return_from_exception(self, exc_return: int) -> None:
        """Execute a branch to an EXC_RETURN value."""
        self.exceptions.leave(exc_return, may_chain=not self.debug.masks_interrupts)
        if self.system_control.sleeps_on_exit and not self.exceptions.state.active:
            self._asleep = True
