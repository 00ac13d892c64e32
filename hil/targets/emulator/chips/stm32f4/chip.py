"""An STM32F4: its parts and limits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.chips.stm32.clocks import LSI_HZ, STANDBY_EXIT, ClockTree
from hil.targets.emulator.chips.stm32.crc import ChecksumUnit
from hil.targets.emulator.chips.stm32.exti import ExternalInterrupts, SystemConfiguration
from hil.targets.emulator.chips.stm32.flash import FlashCalls
from hil.targets.emulator.chips.stm32.gpio import PortLayout
from hil.targets.emulator.chips.stm32.identity import SystemMemory
from hil.targets.emulator.chips.stm32.pins import SerialPins
from hil.targets.emulator.chips.stm32.timer import Timer
from hil.targets.emulator.chips.stm32.watchdog import Watchdog
from hil.targets.emulator.chips.stm32f4 import adc, clock_limits, dma, low_power, rtc
from hil.targets.emulator.chips.stm32f4.adc_channels import Inputs
from hil.targets.emulator.chips.stm32f4.adc_common import CommonRegisters
from hil.targets.emulator.chips.stm32f4.backup_memory import BackupMemory
from hil.targets.emulator.chips.stm32f4.dac import DigitalToAnalog
from hil.targets.emulator.chips.stm32f4.dma import DirectMemoryAccess
from hil.targets.emulator.chips.stm32f4.flash import Stm32F4Flash
from hil.targets.emulator.chips.stm32f4.fmc import MemoryController
from hil.targets.emulator.chips.stm32f4.gates import ABSENT, GATES, UNMODELLED
from hil.targets.emulator.chips.stm32f4.option_bytes import BANK_SECTORS, OptionBytes
from hil.targets.emulator.chips.stm32f4.rcc import PowerControl, Stm32F4Clocks
from hil.targets.emulator.chips.stm32f4.rtc import RealTimeClock
from hil.targets.emulator.chips.stm32f4.timers import CHANNELS, MASTERS, TIMERS, Placed
from hil.targets.emulator.chips.stm32f4.usart import Stm32F4Usart
from hil.targets.emulator.chips.stm32f4.window_watchdog import WindowWatchdog

if TYPE_CHECKING:
    from hil.targets.emulator.core.registers import Peripheral

_USARTS = (
    ("USART1", 0x4001_1000, 37),
    ("USART2", 0x4000_4400, 38),
    ("USART3", 0x4000_4800, 39),
    ("UART4", 0x4000_4C00, 52),
    ("UART5", 0x4000_5000, 53),
    ("USART6", 0x4001_1400, 71),
    ("UART7", 0x4000_7800, 82),
    ("UART8", 0x4000_7C00, 83),
)

_DMA1_IRQS = (11, 12, 13, 14, 15, 16, 17, 47)
_DMA2_IRQS = (56, 57, 58, 59, 60, 68, 69, 70)
_EXTI_IRQS = {  # RM0090 table 62: PVD, RTC's alarms, USB and Ethernet, tamper, wake-up
    1: 1 << 16, 41: 1 << 17, 42: 1 << 18, 62: 1 << 19, 76: 1 << 20, 2: 1 << 21, 3: 1 << 22,
}  # fmt: skip
_SYSCFG_OTHERS = {0x00: 0x107, 0x04: 0x0080_0007, 0x20: 0x101}  # MEMRMP, PMC, CMPCR
_RTC_PIN, _WAKE_UP_PIN, _WWDG = "PC13", "PA0", 0x4000_2C00
_RAM = 0x2000_0000  # where a stack pointer points that the boot loader takes for a program's


class Stm32F4(Chip):
    """An STM32F405, F407, F42x or F43x."""

    windows = (  # RM0090 section 2.3
        (0x4000_0000, 0x8000),  # APB1
        (0x4001_0000, 0x7000),  # APB2
        (0x4002_0000, 0x6_0000),  # AHB1
        (0x5000_0000, 0x6_1000),  # AHB2
        (0xA000_0000, 0x1000),  # FMC
        (0xE000_0000, 0x10_0000),  # private peripheral bus
    )
    system_memory = SystemMemory(0x1FFF_0000, 0x8000, unique_id=0x7A10, flash_size=0x7A22)
    gpio = PortLayout(
        0x4002_0000,
        "ABCDEFGHIJK",
        modes={"A": 0xA800_0000, "B": 0x0000_0280},
        speeds={"A": 0x0C00_0000, "B": 0x0000_00C0},
        pulls={"A": 0x6400_0000, "B": 0x0000_0100},
    )
    serial_pins: ClassVar[Mapping[str, SerialPins]] = {  # STM32F439 data sheet, table 12
        "usart1": SerialPins(("A9", "B6"), ("A10", "B7")),
        "usart2": SerialPins(("A2", "D5"), ("A3", "D6")),
        "usart3": SerialPins(("B10", "C10", "D8"), ("B11", "C11", "D9")),
        "uart4": SerialPins(("A0", "C10"), ("A1", "C11"), 8),
        "uart5": SerialPins(("C12",), ("D2",), 8),
        "usart6": SerialPins(("C6", "G14"), ("C7", "G9"), 8),
        "uart7": SerialPins(("E8", "F7"), ("E7", "F6"), 8),
        "uart8": SerialPins(("E1",), ("E0",), 8),
    }
    gates = GATES
    unmodelled = UNMODELLED
    rng = (0x5006_0800, 80)
    svd = "STM32F439x.svd"
    id_reserved = 0x6000
    fmc: MemoryController | None = None
    rcc: Stm32F4Clocks
    flash_controller: Stm32F4Flash

    @property
    def options(self) -> OptionBytes:
        """The option bytes."""
        return self.flash_controller.options

    def forgive(self) -> None:
        """Go on, with a warning, where silicon does so with many a public program."""
        super().forgive()
        if self.fmc is not None:
            self.fmc.forgives = True

    @property
    def absent(self) -> frozenset[str]:
        """What this part of the family does not have."""
        return ABSENT.get(self.board.dev_id, frozenset())

    def _make_rcc(self) -> Stm32F4Clocks:
        return Stm32F4Clocks(self.board.hse_hz, self.clock.now)

    def _make_flash(self, memory: memoryview, calls: FlashCalls) -> Stm32F4Flash:
        return Stm32F4Flash(memory, self.board.flash_sectors, calls)

    def _make_usarts(self) -> Sequence[Stm32F4Usart]:
        return [Stm32F4Usart(name, at, irq, self._wiring(at)) for name, at, irq in _USARTS]

    def _make_more(self) -> "Sequence[Peripheral]":
        scale = clock_limits.limits(self.board.dev_id).scale_after_reset
        self.power = PowerControl(lambda: self.rcc.pll_is_on, scale)
        exti = self._make_exti(0x4001_3C00, _EXTI_IRQS)
        self._backup_memory = BackupMemory(lambda: self.power.backup_is_writable)
        self._exti, self._clock = exti, self._make_rtc(exti)
        configuration = SystemConfiguration(
            0x4001_3800, exti, self.pins, self.gpio.ports, _SYSCFG_OTHERS
        )
        return (
            self.power, self._backup_memory, ChecksumUnit(), *self._make_analog(exti),
            *self._make_dma(), exti, configuration,
            self._clock, *self._make_external(),
        )  # fmt: skip

    def _make_rtc(self, exti: ExternalInterrupts) -> RealTimeClock:
        rcc, power = self.rcc, self.power

        def set_line(line: int, level: bool) -> None:
            if level:
                self._low_power.notice(is_pin=False)
            exti.set_level(line, level=level)

        wiring = rtc.Wiring(
            now=self.clock.now,
            core_hz=lambda: rcc.clocks.core_hz,
            is_on=lambda: rcc.rtc_is_on,
            clock_hz=lambda: rcc.rtc_hz,
            writable=lambda: power.backup_is_writable,
            set_line=set_line,
            on_change=self.waiting.attend,
        )
        clock = RealTimeClock(wiring, self._choose_interrupts)

        def after_backup(reset: bool) -> None:
            if reset:
                clock.reset_domain()
            clock.change_source()

        rcc.backup_is_writable = lambda: power.backup_is_writable
        rcc.before_backup = clock.advance
        rcc.after_backup = after_backup
        self.pins.watch(_RTC_PIN, lambda level: clock.touch(level=level), at_once=False)
        return clock

    def _build_runner(self) -> None:
        super()._build_runner()
        wiring = low_power.Wiring(
            now=self.clock.now,
            sleeps_deep=lambda: self.system_control.sleeps_deep,
            interrupts=self.interrupts,
            stand=(self.systick, *self._timers, self._window_watchdog),
            living=(self._exti, self._clock),
            attend=self._request_stop,
            tell=self._tell_event,
        )
        self._low_power = low_power.LowPower(self.rcc, self.power, wiring)
        self.runner.before_sleep = self._low_power.fall_asleep
        self.runner.on_wake = self._low_power.wake_up
        self.pins.watch(_WAKE_UP_PIN, self._note_wake_up_pin, at_once=False)

    def _tell_event(self, words: str) -> None:
        self.on_event(words)

    def _note_wake_up_pin(self, level: bool) -> None:
        if level:
            self._low_power.notice(is_pin=True)
            self.waiting.attend()

    def _turn(self) -> None:
        if not self.core.asleep:
            self._low_power.wake_up()  # where a debugger has halted the core
        super()._turn()

    def _take_turn(self) -> None:
        if not self._low_power.in_standby:
            super()._take_turn()
        elif self._low_power.wakes:
            self._reset(STANDBY_EXIT)
        else:
            self.interrupts.pend()
            if not self._low_power.wakes:
                self.waiting.sleep()

    def _reset(self, cause: int) -> None:
        if self._low_power.in_standby:
            self.memory.lose()
            if not self.power.keeps_backup_sram:
                self._backup_memory.lose()
        self._low_power.reset()
        super()._reset(cause)

    def _make_watchdogs(self) -> Sequence[Watchdog]:
        self._window_watchdog = WindowWatchdog(
            self.clock.now, lambda: self.rcc.bus_divider(_WWDG), self.waiting.attend
        )
        return (*super()._make_watchdogs(), self._window_watchdog)

    def _make_external(self) -> "Sequence[Peripheral]":
        """Return the controller of the board's SDRAM, if it has some."""
        outside = self.board.external
        if outside is None:
            return ()
        fmc = MemoryController(
            self.board,
            self.engine,
            self.ports,
            now=self.clock.now,
            core_hz=lambda: self.rcc.core_hz,
            stop=self._request_stop,
        )
        self.fmc = fmc
        self.memory.outside = lambda: (outside.address, fmc.content) if fmc.alive else None
        return (fmc,)

    def _settle(self) -> None:
        super()._settle()
        if self.fmc is not None:
            self.fmc.settle()

    def _make_timers(self) -> Sequence[Timer]:
        self._timers = [self._timer(one) for one in TIMERS]
        by_name = {timer.name: timer for timer in self._timers}
        for name, masters in MASTERS.items():
            by_name[name].masters = tuple(by_name[master] for master in masters)
            for master in masters:
                by_name[master].slaves.append(by_name[name])
        by_name["TIM5"].internal_period = lambda: self.rcc.clocks.core_hz / LSI_HZ
        self.pins.connect(
            {place: (by_name[name], number) for place, (name, number) in CHANNELS.items()}
        )
        return self._timers

    def _timer(self, one: Placed) -> Timer:
        return Timer(
            one.name,
            one.address,
            one.irq,
            now=self.clock.now,
            clock_divider=lambda: self.rcc.timer_divider(one.address),
            on_change=self.waiting.attend,
            bits=one.bits,
            channels=one.channels,
            compare_irq=one.compare_irq,
        )

    def _make_analog(self, exti: ExternalInterrupts) -> "Sequence[Peripheral]":
        """Return the converters, with their pins and triggers."""
        triggers = dict(exti.triggers)
        for timer in self._timers:
            triggers |= timer.triggers
        now, attend = self.clock.now, self.waiting.attend
        dac = DigitalToAnalog(triggers, now=now, on_change=attend)
        self.analog.outputs.update(dac.outputs)
        common = CommonRegisters()
        wiring = adc.Wiring(
            volts=self.analog.volts,
            now=now,
            bus_divider=lambda: self.rcc.bus_divider(common.address),
            on_change=attend,
            triggers=triggers,
            serves=lambda name: any(one.serves(name) for one in self._dma),
        )
        for number in adc.NUMBERS:
            inputs = Inputs(number, self.analog.volts, common.control, self.board.dev_id)
            common.converters.append(adc.Converter(number, wiring, inputs, common.divider))
        self._converters = (dac, *common.converters, common)
        return self._converters

    def _make_dma(self) -> "Sequence[Peripheral]":
        asking = (*self.usarts.values(), *self._timers, *self._converters)
        wiring = dma.Wiring(
            memory=self.bus,
            holds=lambda at, length: self.memory.find(at, length) is not None,
            now=self.clock.now,
            on_change=self.waiting.attend,
            requests={
                name: one for peripheral in asking for name, one in peripheral.requests.items()
            },
        )
        self._dma = [
            DirectMemoryAccess("DMA1", 0x4002_6000, _DMA1_IRQS, wiring, copies=False),
            DirectMemoryAccess("DMA2", 0x4002_6400, _DMA2_IRQS, wiring, copies=True),
        ]
        return self._dma

    def _broken_by(self, clocks: ClockTree, *, margins: bool = True) -> str:
        return clock_limits.broken_by(
            clocks,
            dev_id=self.board.dev_id,
            wait_states=self.flash_controller.least_wait_states,
            scale_bits=self.power.scale_bits,
            over_drive=self.power.over_drive,
            margins=margins,
        )

    def _boots_from(self) -> int:
        """Return where the program's vectors are: BFB2 has the boot loader look in bank 2 first."""
        second = self.board.flash.address + sum(self.board.flash_sectors[:BANK_SECTORS])
        if self.options.boots_second_bank:
            (stack,) = self.engine.load_words(second, 1)
            if stack & 0x2FFE_0000 == _RAM:
                return second
        return super()._boots_from()
