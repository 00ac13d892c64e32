"""Power and reset of a chip, and the turns of its core between them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from hil.targets.emulator.chips.stm32.analog import Analog
from hil.targets.emulator.chips.stm32.clocks import (
    BROWN_OUT_RESET,
    PIN_RESET,
    RESETS,
    SOFTWARE_RESET,
)
from hil.targets.emulator.chips.stm32.family import Family
from hil.targets.emulator.chips.stm32.pins import Pins
from hil.targets.emulator.chips.stm32.usart import Usart
from hil.targets.emulator.chips.stm32.watchdog import Watchdog
from hil.targets.emulator.core.agenda import Agenda
from hil.targets.emulator.core.control import CoreControl
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.runner import Runner
from hil.targets.emulator.core.system_control import VCATCH
from hil.targets.emulator.core.thread import CoreThread
from hil.targets.emulator.debug.control import VC_CORERESET, DebugCore
from hil.targets.emulator.errors import BusError

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral


class PoweredChip(Family):
    """A chip that is powered and reset. `power_on` starts its thread, `power_off` ends it.

    Attributes:
        engine: executes instructions.
        core: who holds the core: halt, resume, registers.
        debug: the core's debug registers.
        runner: what the core does next.
        agenda: what happens around the chip at given times.
        usarts: by lower-case name.
        pins: with what is around the chip.
        analog: their voltages.
        peripherals: all of them.
        broken: which limit of the chip the firmware has gone past, in words; the core is locked up
            then, where silicon would do anything.
        on_failure: called, in the core's thread, when the emulator itself has failed.
        on_event: told each reset, fault and sleep of the core, in words.
    """

    engine: Engine
    core: CoreControl
    debug: DebugCore
    runner: Runner
    agenda: Agenda
    usarts: dict[str, Usart]
    pins: Pins
    analog: Analog
    peripherals: "tuple[Peripheral, ...]"
    broken: str
    on_failure: Callable[[], None]
    on_event: Callable[[str], None]
    _thread: CoreThread
    _watchdogs: Sequence[Watchdog]
    _powered: bool
    _reset_requested: bool

    @abstractmethod
    def _request_stop(self) -> None:
        """Have the run end before the next block."""

    @abstractmethod
    def _update_traps(self) -> None:
        """Have the core's settings in force for what it executes next."""

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

    @property
    def powered(self) -> bool:
        """Whether the chip has power."""
        return self._powered

    def _wake_hosts(self) -> None:
        for usart in self.usarts.values():
            usart.line.wake_host()

    def _fail(self) -> None:
        """Tell whoever waits for the core that it never comes."""
        self._wake_hosts()
        self.on_failure()

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
