"""Exceptions of the ARMv7-M core: priorities, entry, return, escalation.

Source: ARM DDI 0403E (ARMv7-M Architecture Reference Manual), B1.5.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hil.targets.emulator.core import float_context
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.float_context import FloatContext
from hil.targets.emulator.errors import BusError, DeniedError

NMI = 2
HARD_FAULT = 3
MEM_MANAGE = 4
BUS_FAULT = 5
USAGE_FAULT = 6
SVCALL = 11
DEBUG_MONITOR = 12
PENDSV = 14
SYSTICK = 15
FIRST_IRQ = 16
IRQ_COUNT = 91

ENTRY_CYCLES = 12
RETURN_CYCLES = 10
TAIL_CHAIN_CYCLES = 6

_THREAD_PRIORITY = 256
_FIXED_PRIORITIES = {1: -3, NMI: -2, HARD_FAULT: -1}
_CONFIGURABLE_FAULTS = {MEM_MANAGE: 16, BUS_FAULT: 17, USAGE_FAULT: 18}  # their SHCSR enable bits
_PRIORITY_BITS = 0xF0
_READY_BITS = {
    HARD_FAULT: float_context.HFRDY,
    MEM_MANAGE: float_context.MMRDY,
    BUS_FAULT: float_context.BFRDY,
}

_XPSR_THUMB = 1 << 24
_XPSR_ALIGNED = 1 << 9
_XPSR_IT = 0x0600_FC00
_CONTROL_SPSEL = 2
_CONTROL_NPRIV = 1

# Bits of CFSR.
IACCVIOL = 1 << 0
DACCVIOL = 1 << 1
MUNSTKERR, MSTKERR, MLSPERR = 1 << 3, 1 << 4, 1 << 5
MMARVALID = 1 << 7
IBUSERR = 1 << 8
PRECISERR = 1 << 9
IMPRECISERR = 1 << 10
UNSTKERR = 1 << 11
STKERR = 1 << 12
LSPERR = 1 << 13
BFARVALID = 1 << 15
UNDEFINSTR = 1 << 16
INVSTATE = 1 << 17
INVPC = 1 << 18
NOCP = 1 << 19
UNALIGNED = 1 << 24
DIVBYZERO = 1 << 25

# Bits of HFSR.
VECTTBL = 1 << 1
FORCED = 1 << 30
DEBUGEVT = 1 << 31

# Bits of CCR.
CCR_UNALIGN_TRP = 1 << 3
CCR_DIV_0_TRP = 1 << 4
CCR_BFHFNMIGN = 1 << 8
CCR_STKALIGN = 1 << 9

_FRAME = ("r0", "r1", "r2", "r3", "r12", "lr")


@dataclass
class FaultStatus:
    """The registers that tell why a fault was taken.

    Attributes:
        number: of the exception that the last one was taken as, 0 before there was one.
        pc: where that was.
    """

    number: int = 0
    pc: int = 0
    cfsr: int = 0
    hfsr: int = 0
    mmfar: int = 0
    bfar: int = 0


@dataclass
class ExceptionState:
    """NVIC and system control state that decides which exception runs.

    Attributes:
        enabled: interrupts enabled in the NVIC and faults enabled in SHCSR, by exception number.
        priorities: of exceptions 4 and up, by number.
        priority_group: AIRCR.PRIGROUP.
        locked_up: the core met a fault that it cannot take.
        event: the event register, which WFE waits for and clears.
    """

    pending: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    enabled: set[int] = field(default_factory=set)
    priorities: bytearray = field(default_factory=lambda: bytearray(FIRST_IRQ + IRQ_COUNT + 5))
    priority_group: int = 0
    vector_table: int = 0
    configuration: int = CCR_STKALIGN
    sleep_on_exit: bool = False
    locked_up: bool = False
    event: bool = False
    fault: FaultStatus = field(default_factory=FaultStatus)


class Exceptions:
    """Takes exceptions on the engine's registers.

    Attributes:
        on_change: called when an exception may have become takeable.
        on_fault: called with its number and CFSR bits when a fault has been taken.
        on_return: called when a handler has ended, before it is seen what comes next.
        on_boundary: called when an exception is taken, and when one returns.
        floats: the FPU's registers across exceptions.
        lets_stack: whether the MPU lets registers be saved, or taken back: address, bytes, whether
            it is privileged code's stack, whether it is written.
    """

    def __init__(self, engine: Engine, add_cycles: Callable[[int], None]) -> None:
        self.state = ExceptionState()
        self.on_change: Callable[[], None] = lambda: None
        self.on_fault: Callable[[int, int], None] = lambda _number, _status: None
        self.on_return: Callable[[], None] = lambda: None
        self.floats = FloatContext(engine, add_cycles)
        self.on_boundary: Callable[[], None] = lambda: None
        self.lets_stack: Callable[[int, int, bool, bool], bool] = lambda *_: True
        self._engine = engine
        self._add_cycles = add_cycles

    def reset(self) -> None:
        """Return to the state after reset."""
        self.state = ExceptionState()
        self.floats.reset()

    # which exception runs

    def priority(self, number: int) -> int:
        """Return an exception's priority; less runs first."""
        fixed = _FIXED_PRIORITIES.get(number)
        return self.state.priorities[number] if fixed is None else fixed

    def set_priority(self, number: int, value: int) -> None:
        """Set the priority of a configurable exception.

        Args:
            number: of the exception.
            value: 0 to 255; the lower, the more urgent.
        """
        if number not in _FIXED_PRIORITIES:
            self.state.priorities[number] = value & _PRIORITY_BITS
            self.on_change()

    def pend(self, number: int) -> None:
        """Make an exception pending."""
        self.state.pending.add(number)
        self.on_change()

    def next(self) -> int | None:
        """Return the exception that would be taken now, if any."""
        waiting = self._first_waiting()
        if waiting is None or self._group(self.priority(waiting)) >= self.execution_priority():
            return None
        return waiting

    def waits_for_masks(self) -> bool:
        """Whether an exception would be taken if PRIMASK, BASEPRI or FAULTMASK let it."""
        waiting = self._first_waiting()
        if waiting is None:
            return False
        return self._group(self.priority(waiting)) < self._active_priority()

    def wakes(self) -> bool:
        """Whether WFI ends: an exception is pending that would preempt if PRIMASK were clear."""
        waiting = self._first_waiting()
        if waiting is None:
            return False
        return self._group(self.priority(waiting)) < self._masked_priority(with_primask=False)

    def shown_as_pending(self) -> int:
        """Return what ICSR.VECTPENDING shows: the first enabled one, unless a mask holds it back.

        BASEPRI and FAULTMASK do, PRIMASK does not: Cortex-M4 Devices Generic User Guide, 4.3.3.
        """
        waiting = self._first_waiting()
        if waiting is None:
            return 0
        masked = self._group(self._engine.read("basepri")) or _THREAD_PRIORITY
        masked = -1 if self._engine.read("faultmask") else masked
        return waiting if self._group(self.priority(waiting)) < masked else 0

    def execution_priority(self) -> int:
        """Return the priority that an exception must beat to be taken."""
        return self._masked_priority(with_primask=True)

    def _masked_priority(self, *, with_primask: bool) -> int:
        priority = self._active_priority()
        if basepri := self._engine.read("basepri"):
            priority = min(priority, self._group(basepri))
        if with_primask and self._engine.read("primask"):
            priority = min(priority, 0)
        if self._engine.read("faultmask"):
            priority = min(priority, -1)
        return priority

    def _active_priority(self) -> int:
        priorities = (self._group(self.priority(number)) for number in self.state.active)
        return min(priorities, default=_THREAD_PRIORITY)

    def _first_waiting(self) -> int | None:
        ready = [number for number in self.state.pending if self._is_enabled(number)]
        return min(ready, key=lambda number: (self.priority(number), number), default=None)

    def _is_enabled(self, number: int) -> bool:
        if number >= FIRST_IRQ or number in _CONFIGURABLE_FAULTS:
            return number in self.state.enabled
        return True

    def _group(self, priority: int) -> int:
        if priority < 0:
            return priority
        return priority & (0xFF << (self.state.priority_group + 1)) & 0xFF

    # entry

    def enter(self, number: int) -> None:
        """Stack the registers and go to the handler."""
        engine, state = self._engine, self.state
        self.on_boundary()
        state.pending.discard(number)
        control = engine.read("control")
        handler = bool(engine.read("ipsr"))
        on_process_stack = not handler and bool(control & _CONTROL_SPSEL)
        has_fpu_frame = self.floats.in_use
        try:
            self._stack(has_fpu_frame=has_fpu_frame)
        except DeniedError:
            state.fault.cfsr |= MSTKERR
            number = self._derived(MEM_MANAGE, number)
        except BusError:
            state.fault.cfsr |= STKERR
            number = self._derived(BUS_FAULT, number)
        if state.locked_up:
            return
        xpsr = engine.read("xpsr")
        # First of all to handler mode: what follows is for privileged code.
        engine.write("xpsr", (xpsr & ~_XPSR_IT & ~0x1FF) | number | _XPSR_THUMB)
        engine.write("control", control & ~_CONTROL_SPSEL)
        self.floats.mark(used=False)
        link = 0xFFFF_FFF1 if handler else 0xFFFF_FFFD if on_process_stack else 0xFFFF_FFF9
        engine.write("lr", link & ~0x10 if has_fpu_frame else link)
        state.active.add(number)
        self._go_to_vector(number)
        self._add_cycles(ENTRY_CYCLES)

    def _go_to_vector(self, number: int) -> None:
        try:
            handler = self._engine.load_word(self.state.vector_table + 4 * number)
        except BusError:
            self.state.fault.hfsr |= VECTTBL
            self.state.locked_up = number == HARD_FAULT
            if not self.state.locked_up:
                self.hard_fault(VECTTBL)
            return
        self._engine.branch(handler)

    def _stack(self, *, has_fpu_frame: bool) -> None:
        engine = self._engine
        size = 32 + (float_context.FRAME_BYTES if has_fpu_frame else 0)
        sp = engine.read("sp")
        aligns = has_fpu_frame or bool(self.state.configuration & CCR_STKALIGN)
        padding = sp & 4 if aligns else 0
        frame = sp - padding - size
        engine.write("sp", frame)
        xpsr = engine.read("xpsr") & ~_XPSR_ALIGNED | (_XPSR_ALIGNED if padding else 0)
        words = [engine.read(name) for name in _FRAME] + [engine.read("pc"), xpsr]
        if not self.lets_stack(frame, size, not engine.unprivileged, True):
            raise DeniedError(frame)
        engine.store_words(frame, words)
        if has_fpu_frame:
            self.floats.stack(frame + 32, self._readiness())

    def _readiness(self) -> int:
        """Return what FPCCR keeps of the moment when room for the FPU's registers was reserved."""
        thread = not self._engine.read("ipsr")
        unprivileged = thread and self._engine.read("control") & _CONTROL_NPRIV
        readiness = float_context.THREAD if thread else 0
        readiness |= float_context.USER if unprivileged else 0
        for number, bit in _READY_BITS.items():
            readiness |= bit if self._is_enabled(number) and self._preempts(number) else 0
        return readiness

    # going back

    def leave(self, exc_return: int, *, may_chain: bool = True) -> None:
        """Return from a handler, as branching to an EXC_RETURN value does.

        Args:
            exc_return: the value.
            may_chain: whether another exception may be taken before anything is unstacked.
        """
        engine, state = self._engine, self.state
        number = engine.read("ipsr")
        if number not in state.active or exc_return & 0xF not in {0x1, 0x9, 0xD}:
            self._bad_return(number)
            return
        state.active.discard(number)
        self.on_boundary()
        state.event = True
        if number != NMI:
            engine.write("faultmask", 0)
        to_handler = exc_return & 0xF == 0x1
        if to_handler != bool(state.active):
            self._bad_return(number)
            return
        self.on_return()
        following = self.next() if may_chain else None
        if following is not None:
            self._chain(following, exc_return)
            return
        from_process_stack = exc_return & 0xF == 0xD
        try:
            self._unstack(
                "psp" if from_process_stack else "msp", has_fpu_frame=not exc_return & 0x10
            )
        except DeniedError:
            self.fault(MEM_MANAGE, MUNSTKERR)
            return
        except BusError:
            self.fault(BUS_FAULT, UNSTKERR)
            return
        self._add_cycles(RETURN_CYCLES)

    def _chain(self, number: int, exc_return: int) -> None:
        """Go from one handler to the next: the frame stays where it is, for the last to unstack."""
        engine, state = self._engine, self.state
        state.pending.discard(number)
        xpsr = engine.read("xpsr")
        engine.write("xpsr", (xpsr & ~_XPSR_IT & ~0x1FF) | number | _XPSR_THUMB)
        self.floats.mark(used=False)
        engine.write("lr", exc_return)
        state.active.add(number)
        self._go_to_vector(number)
        self._add_cycles(TAIL_CHAIN_CYCLES)

    def _unstack(self, stack: str, *, has_fpu_frame: bool) -> None:
        engine = self._engine
        frame = engine.read(stack)
        size = 32 + (float_context.FRAME_BYTES if has_fpu_frame else 0)
        to_user = not self.state.active and bool(engine.read("control") & _CONTROL_NPRIV)
        if not self.lets_stack(frame, size, not to_user, False):
            raise DeniedError(frame)
        words = engine.load_words(frame, 8)
        for name, value in zip(_FRAME, words, strict=False):
            engine.write(name, value)
        if has_fpu_frame:
            self.floats.unstack(frame + 32)
        pc, xpsr = words[6], words[7]
        engine.write(stack, frame + size + (4 if xpsr & _XPSR_ALIGNED else 0))
        control = engine.read("control") & ~_CONTROL_SPSEL
        engine.write("control", control | (_CONTROL_SPSEL if stack == "psp" else 0))
        self.floats.mark(used=has_fpu_frame)
        engine.write("pc", pc & ~1)
        # Last, since thread mode may be unprivileged. It also swaps the stack pointers.
        engine.write("xpsr", xpsr & ~_XPSR_ALIGNED)

    def _bad_return(self, number: int) -> None:
        self.state.active.discard(number)
        self.fault(USAGE_FAULT, INVPC)

    # faults

    def prepare_floats(self) -> bool:
        """Let an FPU instruction go ahead; returns whether it faults instead."""
        ready = self.floats.control
        try:
            self.floats.prepare()
        except BusError:
            self.state.fault.cfsr |= LSPERR
            if ready & float_context.BFRDY:
                self.fault(BUS_FAULT)
            else:
                self.hard_fault(FORCED)
            return True
        return False

    def fault(self, number: int, status: int = 0, address: int | None = None) -> None:
        """Take a synchronous fault or SVC, or what it escalates to.

        Args:
            number: exception number.
            status: CFSR bits.
            address: the faulting data address.
        """
        self.state.fault.cfsr |= status
        if address is not None and number == BUS_FAULT:
            self.state.fault.bfar = address
            self.state.fault.cfsr |= BFARVALID
        if address is not None and number == MEM_MANAGE:
            self.state.fault.mmfar = address
            self.state.fault.cfsr |= MMARVALID
        if self._is_enabled(number) and self._preempts(number):
            self._note_fault(number)
            self.enter(number)
            self.on_fault(number, status)
        else:
            self.hard_fault(FORCED)

    def ignore_bus_fault(self, address: int) -> bool:
        """Return whether CCR.BFHFNMIGN has a data bus fault ignored: at priority -1 or -2.

        It is noted all the same, so that a program can probe memory. Source: ARM DDI 0403E B3.2.8.
        """
        ignores = self.state.configuration & CCR_BFHFNMIGN and self.execution_priority() < 0
        if ignores:
            self.state.fault.cfsr |= PRECISERR | BFARVALID
            self.state.fault.bfar = address
        return bool(ignores)

    def hard_fault(self, status: int) -> None:
        """Take a HardFault for an HFSR reason."""
        self.state.fault.hfsr |= status
        if self._preempts(HARD_FAULT):
            self._note_fault(HARD_FAULT)
            self.enter(HARD_FAULT)
            self.on_fault(HARD_FAULT, 0)
        else:
            self.state.locked_up = True

    def _note_fault(self, number: int) -> None:
        if number != SVCALL:
            fault = self.state.fault
            fault.number, fault.pc = number, self._engine.read("pc")

    def _preempts(self, number: int) -> bool:
        return self._group(self.priority(number)) < self.execution_priority()

    def _derived(self, fault: int, original: int) -> int:
        """Return which exception is entered when saving registers for one faults: B1.5.11.

        The same fault does not escalate: its handler runs without a frame (PM0214 section 2.4.2).
        """
        if original == HARD_FAULT:
            return original  # its handler runs without a frame, as after a stack overflow
        if self.execution_priority() <= -1:
            self.state.locked_up = True
            return original
        if not self._is_enabled(fault) or not self._preempts(fault):
            self.state.fault.hfsr |= FORCED
            fault = HARD_FAULT
        self._note_fault(fault)
        first = min(fault, original, key=lambda number: (self.priority(number), number))
        self.state.pending |= {fault, original} - {first}
        return first
