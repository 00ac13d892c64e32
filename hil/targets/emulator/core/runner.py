"""What the core does next: take an exception, sleep, or run until something happens."""

from collections.abc import Callable

from hil.targets.emulator.core import exceptions as ex
from hil.targets.emulator.core import traps as trapping
from hil.targets.emulator.core.clock import NEVER, Clock
from hil.targets.emulator.core.code import SeenCode
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.core.debugger import Debugger
from hil.targets.emulator.core.endings import Endings
from hil.targets.emulator.core.engine import Engine, Stop
from hil.targets.emulator.core.exceptions import Exceptions
from hil.targets.emulator.core.interrupts import Interrupts
from hil.targets.emulator.core.protection import Protection
from hil.targets.emulator.core.system_control import DWTTRAP, HALTED
from hil.targets.emulator.core.traps import Traps
from hil.targets.emulator.core.waiting import Waiting

_SECOND_BLOCK = 2
_LOCKUP_PC = 0xFFFF_FFFE
_MASKS = ("primask", "basepri", "faultmask")


class Runner:
    """Runs the core, a turn at a time, in its thread.

    Args:
        wakes_on_pending: SCR.SEVONPEND.
        after_run: called behind every run: memory that firmware changed settles.

    Attributes:
        lockup_pc: where the core met a fault that it could not take, None before.
        runs: how often the engine was started: a measure of what a waiting firmware costs.
        on_lockup: called when the core meets a fault that it cannot take.
        before_sleep: called whenever the core is about to wait, asleep. on_wake: behind that.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        exceptions: Exceptions,
        traps: Traps,
        endings: Endings,
        interrupts: Interrupts,
        code: SeenCode,
        core: CoreControl,
        waiting: Waiting,
        protection: Protection,
        debugger: Debugger,
        wakes_on_pending: Callable[[], bool],
        after_run: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._exceptions = exceptions
        self._traps = traps
        self._endings = endings
        self._interrupts = interrupts
        self._code = code
        self._core = core
        self._waiting = waiting
        self._protection = protection
        self._debugger = debugger
        self._wakes_on_pending = wakes_on_pending
        self._after_run = after_run
        self.lockup_pc: int | None = None
        self.runs = 0
        self.on_lockup: Callable[[], None] = lambda: None
        self.before_sleep: Callable[[], None] = lambda: None
        self.on_wake: Callable[[], None] = lambda: None

    def turn(self) -> None:
        """Do one thing."""
        self._interrupts.pend()
        if not self._debugger.masks_interrupts:
            number = self._exceptions.next()
            if number is not None:
                self._wake()
                self._exceptions.enter(number)
                self._end_step()
                return
        if self._core.asleep:
            if not self._wakes():
                self.before_sleep()
                self._waiting.sleep()
                return
            self._wake()
        self._run()

    def _wake(self) -> None:
        if self._core.asleep:
            self._core.asleep = False
            self.on_wake()

    def _wakes(self) -> bool:
        """Whether WFI or WFE ends without an exception that is taken: ARM DDI 0403E B1.5.18."""
        if not self._core.awaits_event:
            return self._exceptions.wakes()
        state = self._exceptions.state
        if state.event:
            state.event = False
            return True
        return self._wakes_on_pending() and bool(state.pending)

    def _run(self) -> None:
        run, engine, core = self._clock.run, self._engine, self._core
        start = engine.read("pc")
        breakpoints = self._debugger.breakpoints()
        if start in breakpoints and not core.stepping:
            core.halt(self._debugger.reason_at(start))
            return
        self._code.note(start)
        self._traps.scan_from(start)
        if self._may_not_be_fetched(start) or self._endings.before_run(start):
            self._end_step()
            return
        floats_wait = self._exceptions.floats.waits
        self._set_exits(start, breakpoints, floats_wait=floats_wait)
        run.block_limit = int(core.stepping)
        run.blocks = run.left = 0
        self._watch_masks()
        self.runs += 1
        self._debugger.arm()
        stop = engine.run()
        if not run.left:
            self._clock.resync(engine.read("pc"))
        self._after_run()
        suspect = self._clock.take_suspect()
        if suspect is not None:
            self._look_at(suspect, floats_wait=floats_wait)
        if core.stepping and run.left and run.blocks < _SECOND_BLOCK:
            return  # left before the instruction
        denied = self._protection.take()
        if denied is not None:
            self._exceptions.fault(ex.MEM_MANAGE, ex.DACCVIOL, denied)
        elif self._debugger.hit:
            self._halt_behind_access(stop)
        elif suspect is None:
            self._endings.after_run(stop)
        self._end_step()
        if core.locked_up:
            self._lock_up()

    def _may_not_be_fetched(self, address: int) -> bool:
        """Take the fault of an instruction that the MPU keeps from being fetched, if it does."""
        protection = self._protection
        if not protection.wanted:
            return False
        protection.choose(
            unprivileged=self._engine.unprivileged,
            at_fault_priority=self._exceptions.execution_priority() < 0,
        )
        self._traps.watch_privilege(on=protection.on)
        if protection.lets_execute(address):
            return False
        self._exceptions.fault(ex.MEM_MANAGE, ex.IACCVIOL)
        return True

    def _lock_up(self) -> None:
        self.lockup_pc = self._engine.read("pc")
        self._engine.write("pc", _LOCKUP_PC)
        self.on_lockup()

    def _set_exits(self, start: int, breakpoints: set[int], *, floats_wait: bool) -> None:
        """Have the run end where something is to be done before an instruction."""
        if not floats_wait:
            self._traps.floats.clear()
        self._clock.trap_floats(on=floats_wait and start not in self._traps.floats)
        looked_at = self._traps.addresses | self._clock.suspects | self._protection.denied
        exits = breakpoints | looked_at
        if self._core.stepping or start in looked_at:
            # Only as far as the next, so that a loop comes back to an exit that is in force.
            exits.add(start + trapping.instruction_bytes(self._engine, start))
        self._engine.set_exits(exits - {start})

    def _look_at(self, suspect: int, *, floats_wait: bool) -> None:
        """Have runs end before an instruction that may trap."""
        if floats_wait and self._traps.is_fpu(suspect):
            self._traps.floats.add(suspect)
        else:
            self._clock.suspect(suspect)

    def _halt_behind_access(self, stop: Stop) -> None:
        """Halt for a watchpoint, behind the instruction that made the access."""
        engine, run = self._engine, self._clock.run
        if stop is Stop.CLEAN and not run.left:
            start = engine.read("pc")
            engine.set_exits({start + trapping.instruction_bytes(engine, start)})
            # Nothing but a visitor may end the run before the instruction, and then it runs again.
            run.deadline = NEVER
            run.block_limit, run.watch_masks, run.left, run.blocks = 1, 0, 1, 0
            while run.left and run.blocks < _SECOND_BLOCK:
                run.stop = run.blocks = run.left = 0
                stop = engine.run()
            self._clock.resync(engine.read("pc"))
        if stop is not Stop.CLEAN:
            self._endings.after_run(stop)
        self._core.halt(DWTTRAP)

    def _watch_masks(self) -> None:
        """Have the run end when an instruction lets a waiting exception through."""
        run = self._clock.run
        run.watch_masks = int(self._exceptions.waits_for_masks() or self._protection.on)
        if run.watch_masks:
            run.masks[:] = tuple(self._engine.read(name) for name in _MASKS)

    def _end_step(self) -> None:
        if self._core.stepping and not self._core.halted:
            self._core.stepping = False
            self._core.halt(HALTED)
