"""What ends a run, turned into what the core does: faults, SVC, exception return, sleep, halt."""

from typing import TYPE_CHECKING

from hil.targets.emulator.core import exceptions as ex
from hil.targets.emulator.core.clock import Clock
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.core.debugger import Debugger
from hil.targets.emulator.core.engine import Engine, Stop, Trap
from hil.targets.emulator.core.exceptions import Exceptions
from hil.targets.emulator.core.system_control import BKPT, SystemControl
from hil.targets.emulator.core.traps import SEV, Traps, behind_it, halfwords, is_executed

if TYPE_CHECKING:
    from collections.abc import Callable

_WFI, _WFE = 0xBF30, 0xBF20
_PERMANENTLY_UNDEFINED = 0xDE
_XPSR_THUMB = 1 << 24
_PERIPHERAL_REGION = range(0x4000_0000, 0x6000_0000)
_NEVER_EXECUTABLE_FROM = 0xA000_0000


class Endings:
    """Does what the end of a run asks for.

    Attributes:
        on_breakpoint: asked about each BKPT instruction before debugger and fault: whether it has
            been dealt with (semihosting).
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        exceptions: Exceptions,
        system_control: SystemControl,
        traps: Traps,
        core: CoreControl,
        debugger: Debugger,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._exceptions = exceptions
        self._system_control = system_control
        self._traps = traps
        self._core = core
        self._debugger = debugger
        self.on_breakpoint: Callable[[int], bool] = lambda _address: False

    def before_run(self, address: int) -> bool:
        """Take the trap that the instruction about to run stands for; whether there was one."""
        fault = self._exceptions.fault
        if address in self._traps.events and self._send_event(address):
            return True
        if address in self._traps.fpu:
            fault(ex.USAGE_FAULT, ex.NOCP)
            return True
        if not is_executed(self._engine.read("xpsr")):
            return False
        if self._traps.fail_exclusive(address):
            return True
        if self._traps.divisions.is_by_zero(address):
            fault(ex.USAGE_FAULT, ex.DIVBYZERO)
            return True
        if address in self._traps.floats and self._exceptions.prepare_floats():
            return True
        if address in self._clock.suspects and self._traps.is_foreign(address):
            fault(ex.USAGE_FAULT, ex.UNDEFINSTR)
            return True
        if address in self._clock.suspects and self._traps.is_unaligned(address):
            fault(ex.USAGE_FAULT, ex.UNALIGNED)
            return True
        return False

    def _send_event(self, address: int) -> bool:
        """Do what SEV does, if it stands there and its condition holds; whether it is behind us."""
        if halfwords(self._engine, address, 2) != (SEV,):
            return False
        xpsr = self._engine.read("xpsr")
        self._exceptions.state.event |= is_executed(xpsr)
        self._engine.write("pc", address + 2)
        self._engine.write("xpsr", behind_it(xpsr))
        return True

    def after_run(self, stop: Stop) -> None:
        """Do what a stop asks for."""
        match stop:
            case Stop.CLEAN:
                self._after_clean_stop()
            case Stop.TRAP:
                self._take(self._engine.trap)
            case Stop.READ | Stop.WRITE | Stop.READ_ONLY:
                self._take_bus_fault(self._engine.fault_address)
            case Stop.DENIED:
                self._exceptions.fault(ex.MEM_MANAGE, ex.DACCVIOL, self._engine.fault_address)
            case Stop.FETCH:
                self._take_fetch_fault()
            case Stop.UNDEFINED:
                self._take_undefined()

    def _after_clean_stop(self) -> None:
        pc = self._engine.read("pc")
        if self._clock.run.left or pc in self._engine.exits:
            return
        if self._halfword_before(pc) == _WFI:
            self._core.asleep, self._core.awaits_event = True, False

    def _take(self, trap: Trap | None) -> None:
        pc = self._engine.read("pc")
        if trap is Trap.SVC:
            self._exceptions.fault(ex.SVCALL)
        elif trap is Trap.EXCEPTION_RETURN:
            self._return_from_exception(pc | 1)
        elif trap is Trap.NO_COPROCESSOR:
            self._exceptions.fault(ex.USAGE_FAULT, ex.NOCP)
        elif self.on_breakpoint(pc):
            self._engine.write("pc", pc + 2)
        elif self._debugger.enabled:
            self._core.halt(BKPT)
        else:
            self._exceptions.hard_fault(ex.DEBUGEVT)

    def _return_from_exception(self, exc_return: int) -> None:
        self._exceptions.leave(exc_return, may_chain=not self._debugger.masks_interrupts)
        if self._system_control.sleeps_on_exit and not self._exceptions.state.active:
            self._core.asleep, self._core.awaits_event = True, False

    def _take_bus_fault(self, address: int) -> None:
        if self._exceptions.ignore_bus_fault(address):
            self._traps.skip_access(self._engine.read("pc"))
        else:
            self._exceptions.fault(ex.BUS_FAULT, ex.PRECISERR, address)

    def _take_fetch_fault(self) -> None:
        pc = self._engine.read("pc")
        if pc in _PERIPHERAL_REGION or pc >= _NEVER_EXECUTABLE_FROM:
            self._exceptions.fault(ex.MEM_MANAGE, ex.IACCVIOL)
        else:
            self._exceptions.fault(ex.BUS_FAULT, ex.IBUSERR)

    def _take_undefined(self) -> None:
        pc = self._engine.read("pc")
        if not self._engine.read("xpsr") & _XPSR_THUMB:
            self._exceptions.fault(ex.USAGE_FAULT, ex.INVSTATE)
            return
        here = halfwords(self._engine, pc, 2)
        is_undefined = bool(here) and here[0] >> 8 == _PERMANENTLY_UNDEFINED
        if self._halfword_before(pc) == _WFE and not is_undefined:
            self._wait_for_event()
            return
        self._exceptions.fault(ex.USAGE_FAULT, ex.UNDEFINSTR)

    def _wait_for_event(self) -> None:
        state = self._exceptions.state
        if not state.event:
            self._core.asleep = self._core.awaits_event = True
        state.event = False

    def _halfword_before(self, address: int) -> int:
        code = halfwords(self._engine, address - 2, 2)
        return code[0] if code else 0
