"""What a family of chips says of itself, and makes: addresses, peripherals, limits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from hil.config.board import Board
from hil.targets.emulator.chips.stm32.clocks import ClockTree, ResetAndClockControl
from hil.targets.emulator.chips.stm32.exti import ExternalInterrupts
from hil.targets.emulator.chips.stm32.flash import FlashCalls, FlashController, Options
from hil.targets.emulator.chips.stm32.gates import Gate, Unmodelled
from hil.targets.emulator.chips.stm32.gpio import PortLayout
from hil.targets.emulator.chips.stm32.identity import SystemMemory
from hil.targets.emulator.chips.stm32.memory_map import BOOT_ALIAS, MemoryMap, Windows
from hil.targets.emulator.chips.stm32.pins import SerialPins
from hil.targets.emulator.chips.stm32.timer import Timer
from hil.targets.emulator.chips.stm32.usart import Polling, Usart, Wiring
from hil.targets.emulator.chips.stm32.watchdog import IndependentWatchdog, Watchdog
from hil.targets.emulator.core.clock import Clock
from hil.targets.emulator.core.exceptions import Exceptions
from hil.targets.emulator.core.interrupts import Interrupts
from hil.targets.emulator.core.waiting import Waiting

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral


class Family(ABC):
    """What distinguishes one family of chips from another. `Chip` wires what it makes.

    Class attributes:
        windows: where its registers answer.
        system_memory: its page with the device signature.
        gpio: its ports.
        serial_pins: of its serial ports, by lower-case name.
        gates: of the modelled peripherals that have to be switched on, by name; the others always
            work.
        unmodelled: blocks with a clock of their own, by name.
        rng: address and interrupt of its random number generator.
        svd: the description of its registers that pyOCD's package has, empty where it has none.
        id_reserved: what DBGMCU_IDCODE has between part and revision.

    Attributes:
        board: whose chip it is.
        clock: counts cycles.
        memory: memories and devices by address.
        exceptions: of the core.
        interrupts: the peripherals' lines and deadlines.
        waiting: how the core sleeps and is woken.
        rcc: the chip's clocks.
        flash_controller: erases and programs the flash.
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

    board: Board
    clock: Clock
    memory: MemoryMap
    exceptions: Exceptions
    interrupts: Interrupts
    waiting: Waiting
    rcc: ResetAndClockControl
    flash_controller: FlashController
    _polling: Polling

    @property
    def options(self) -> Options:
        """The option bytes."""
        return self.flash_controller.options

    @property
    def absent(self) -> frozenset[str]:
        """What this part of the family does not have."""
        return frozenset()

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

    def _set_deadline(self) -> None:
        self.interrupts.set_deadline()

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
        bus = self.memory.bus
        return Wiring(
            self.waiting,
            lambda: self.rcc.bus_divider(address),
            self._polling,
            bus.lent,
            bus.sending,
        )
