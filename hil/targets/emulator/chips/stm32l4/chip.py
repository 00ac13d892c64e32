"""An STM32L4+: its parts and limits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from hil.errors import ProbeError
from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.chips.stm32.clocks import ClockTree
from hil.targets.emulator.chips.stm32.flash import FlashCalls
from hil.targets.emulator.chips.stm32.gpio import PortLayout
from hil.targets.emulator.chips.stm32.identity import SystemMemory
from hil.targets.emulator.chips.stm32.pins import SerialPins
from hil.targets.emulator.chips.stm32.timer import Timer
from hil.targets.emulator.chips.stm32.usart import Baud, Wiring
from hil.targets.emulator.chips.stm32l4 import clock_limits
from hil.targets.emulator.chips.stm32l4.flash import Stm32L4Flash
from hil.targets.emulator.chips.stm32l4.gates import GATES, UNMODELLED
from hil.targets.emulator.chips.stm32l4.option_bytes import OptionBytes
from hil.targets.emulator.chips.stm32l4.rcc import PowerControl, Stm32L4Clocks
from hil.targets.emulator.chips.stm32l4.usart import LOW_POWER, Stm32L4Usart

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral

_USARTS = (  # name, address, interrupt, lowest bit of its field in RCC_CCIPR, baud rate
    ("USART1", 0x4001_3800, 37, 0, Baud()),
    ("USART2", 0x4000_4400, 38, 2, Baud()),
    ("USART3", 0x4000_4800, 39, 4, Baud()),
    ("LPUART1", 0x4000_8000, 70, 10, LOW_POWER),
)
_TIMERS = (("TIM2", 0x4000_0000, 28), ("TIM5", 0x4000_0C00, 50))
_SRAM2_ALIAS, _SRAM2, _SRAM2_BYTES = 0x1000_0000, 0x2003_0000, 64 << 10
_DUAL_PAGES, _SINGLE_PAGES = 512, 256
_RAM = 0x2000_0000  # where a stack pointer points that the boot loader takes for a program's


class Stm32L4(Chip):
    """An STM32L4R or L4S."""

    windows = (  # RM0432 section 2.2
        (0x4000_0000, 0xA400),  # APB1
        (0x4001_0000, 0x7400),  # APB2
        (0x4002_0000, 0x1_0000),  # AHB1
        (0x4800_0000, 0x2400),  # AHB2, the ports
        (0x5000_0000, 0x6_2800),  # AHB2
        (0xA000_0000, 0x2000),  # FMC, OCTOSPI
        (0xE000_0000, 0x10_0000),  # private peripheral bus
    )
    system_memory = SystemMemory(0x1FFF_0000, 0x8000, unique_id=0x7590, flash_size=0x75E0)
    gpio = PortLayout(
        0x4800_0000,
        "ABCDEFGHI",
        mode=0xFFFF_FFFF,
        modes={"A": 0xABFF_FFFF, "B": 0xFFFF_FEBF, "H": 0x0000_000F},
        speeds={"A": 0x0C00_0000},
        pulls={"A": 0x6400_0000, "B": 0x0000_0100},
    )
    serial_pins: ClassVar[Mapping[str, SerialPins]] = {  # DS12023 tables 16 and 17
        "usart1": SerialPins(("A9", "B6", "G9"), ("A10", "B7", "G10")),
        "usart2": SerialPins(("A2", "D5"), ("A3", "D6")),
        "usart3": SerialPins(("B10", "C4", "C10", "D8"), ("B11", "C5", "C11", "D9")),
        "lpuart1": SerialPins(("A2", "B11", "C1", "G7"), ("A3", "B10", "C0", "G8"), 8),
    }
    gates = GATES
    unmodelled = UNMODELLED
    rng = (0x5006_0800, 80)
    rcc: Stm32L4Clocks
    flash_controller: Stm32L4Flash

    @property
    def options(self) -> OptionBytes:
        """The option bytes."""
        return self.flash_controller.options

    @property
    def _dual(self) -> bool:
        pages = len(self.board.flash_sectors)
        if pages not in {_DUAL_PAGES, _SINGLE_PAGES}:
            raise ProbeError(
                f"{self.board.name}: the flash of an STM32L4+ has {_DUAL_PAGES} pages in two banks "
                f"or {_SINGLE_PAGES} in one, not {pages}",
                hint="mend sectors in the board's file",
            )
        return pages == _DUAL_PAGES

    def _make_rcc(self) -> Stm32L4Clocks:
        return Stm32L4Clocks(self.board.hse_hz, self.clock.now)

    def _make_flash(self, memory: memoryview, calls: FlashCalls) -> Stm32L4Flash:
        self.memory.also_at(_SRAM2_ALIAS, _SRAM2, _SRAM2_BYTES)
        return Stm32L4Flash(memory, calls, dual=self._dual)

    def _make_usarts(self) -> Sequence[Stm32L4Usart]:
        return [
            Stm32L4Usart(name, at, irq, self._kernel_wiring(at, choice), baud=baud)
            for name, at, irq, choice, baud in _USARTS
        ]

    def _kernel_wiring(self, address: int, choice: int) -> Wiring:
        return Wiring(
            self.waiting,
            lambda: self.rcc.kernel_divider(address, choice),
            sending=self.memory.bus.sending,
        )

    def _make_more(self) -> "Sequence[Peripheral]":
        self.power = PowerControl(self._range_changed)
        return (self.power,)

    def _make_timers(self) -> Sequence[Timer]:
        return [self._timer(*one) for one in _TIMERS]

    def _timer(self, name: str, address: int, irq: int) -> Timer:
        return Timer(
            name,
            address,
            irq,
            now=self.clock.now,
            clock_divider=lambda: self.rcc.timer_divider(address),
            on_change=self.waiting.attend,
        )

    def _range_changed(self) -> None:
        self._check_clocks(self.rcc.clocks)

    def _broken_by(self, clocks: ClockTree, *, margins: bool = True) -> str:
        del margins  # they bear whatever the core does
        return clock_limits.broken_by(
            clocks,
            wait_states=self.flash_controller.least_wait_states,
            regulator=self.power.range,
            boosts=self.power.boosts,
        )

    def _boots_from(self) -> int:
        """Return where the program's vectors are: BFB2 has the boot loader look in bank 2 first."""
        if self.options.boots_second_bank:
            second = self.board.flash.address + self.board.flash.bytes // 2
            (stack,) = self.engine.load_words(second, 1)
            if stack & 0x2FF0_0000 == _RAM:
                return second
        return super()._boots_from()
