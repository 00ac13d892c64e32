"""RCC: oscillators that take their time, the core's clock, and what a chip makes of both.

Source: RM0090 sections 5.1.4, 5.4, 7.2 and 7.3; RM0432 sections 6.2 and 6.4. Families differ in
oscillators, offsets and bits: `Layout`.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hil.targets.emulator.chips.stm32.gates import ENABLE_TO_RESET, Gate
from hil.targets.emulator.core.registers import Peripheral, Register, Storage

_log = logging.getLogger(__name__)

MHZ = 1_000_000
LSI_HZ, _LSE_HZ = 32_000, 32_768
HSI_HZ = 16 * MHZ
_CONTROL, _CONFIGURATION = 0x00, 0x08
_HSEBYP = 1 << 18
_RTCSEL, _RTCEN, _BDRST = 3 << 8, 1 << 15, 1 << 16
_SWITCH = 3
_HPRE = 0xF0
_AHB_SHIFTS = (1, 2, 3, 4, 6, 7, 8, 9)

BROWN_OUT_RESET = 1 << 25
PIN_RESET, SOFTWARE_RESET, WATCHDOG_RESET = 1 << 26, 1 << 28, 1 << 29
WINDOW_WATCHDOG_RESET, LOW_POWER_RESET = 1 << 30, 1 << 31
STANDBY_EXIT = 0  # has no flag of its own
RESETS = {
    STANDBY_EXIT: "the end of Standby",
    BROWN_OUT_RESET: "brown-out",
    PIN_RESET: "power or pin",
    SOFTWARE_RESET: "by software",
    WATCHDOG_RESET: "independent watchdog",
    WINDOW_WATCHDOG_RESET: "window watchdog",
    LOW_POWER_RESET: "low power",
}
"""Flags of RCC_CSR, at the same bits in every family here."""


@dataclass(frozen=True)
class ClockTree:
    """Attributes: core_hz: of core and AHB. apb1_hz, apb2_hz: of the peripherals' buses."""

    core_hz: int
    apb1_hz: int
    apb2_hz: int


@dataclass(frozen=True)
class Pll:
    """A setting of the PLL.

    Attributes:
        input_hz, vco_hz, output_hz: into it, inside, out of it.
        locks: whether it comes to rest there.
    """

    input_hz: int
    vco_hz: int
    output_hz: int
    locks: bool


@dataclass(frozen=True)
class Oscillator:
    """Bits of RCC_CR: what switches it on, and what says that it is ready; how long it takes."""

    on: int
    ready: int
    starts_in_s: float


@dataclass(frozen=True)
class Layout:
    """A family's RCC.

    Attributes:
        address: of its registers.
        oscillators: by name; "hse" and "pll" are among them.
        sources: names by RCC_CFGR.SW.
        after_reset: the name of what the core then runs from.
        ready_at_once: further pairs of bits of RCC_CR.
        control, control_writable: RCC_CR after reset, and what can be written of it.
        pll: offset of RCC_PLLCFGR. pll_reset: its value after reset.
        prescalers: the lowest bits of PPRE1 and PPRE2 in RCC_CFGR.
        apb2: addresses of the second bus.
        enables: offsets of the enable registers by bus; a reset register is 0x20 below each.
        resets: of plain registers that are not 0 after reset, by offset.
        last: offset of the last plain register.
        backup, status: offsets of RCC_BDCR and RCC_CSR.
        status_reset: of what RCC_CSR keeps. forget: the bit that clears reset causes.
        power_on: the causes after power-on.
    """

    address: int
    oscillators: Mapping[str, Oscillator]
    sources: tuple[str, ...]
    after_reset: str
    ready_at_once: tuple[tuple[int, int], ...]
    control: int
    control_writable: int
    pll: int
    pll_reset: int
    prescalers: tuple[int, int]
    apb2: range
    enables: Mapping[str, int]
    last: int
    backup: int
    status: int
    forget: int
    power_on: int
    status_reset: int = 0
    status_writable: int = 1
    backup_writable: int = 0x0001_830D
    resets: Mapping[int, int] = field(default_factory=dict)


class ResetAndClockControl(Peripheral):
    """Reset and clock control, RCC: oscillators, PLL, prescalers, clock gates, causes of resets.

    Args:
        layout: the family's.
        hse_hz: the board's crystal; 0: it never swings.
        now: the core's cycle count.

    Attributes:
        on_gates: called when clocks may have been switched, or peripherals reset.
        on_clocks: called with the clocks that the chip may get to see in the next moment.
        backup_is_writable: whether RCC_BDCR takes what is written: PWR's DBP.
        before_backup: called before RCC_BDCR changes.
        after_backup: called behind that, with whether its domain is held in reset.
        on_core_clock: called before the core's clock changes, with the new one.
    """

    models = "oscillators and PLL in their time, prescalers, clock gates, resets and their causes"

    def __init__(self, layout: Layout, hse_hz: int, now: Callable[[], int] = lambda: 0) -> None:
        self._layout = layout
        self._oscillators = layout.oscillators
        self._hse_hz = hse_hz
        self._now = now
        self._control = Storage(layout.control, writable=layout.control_writable)
        self._pll = Storage(layout.pll_reset)
        self._configuration = Storage(writable=0xFFFF_FFF3)
        self._backup = Storage(writable=layout.backup_writable)
        self._status = Storage(layout.status_reset, writable=layout.status_writable | layout.forget)
        self._reset_flags = layout.power_on
        self._source = layout.after_reset
        self._ready_at: dict[str, int | None] = {self._source: 0}
        self.on_gates: Callable[[], None] = lambda: None
        self.on_clocks: Callable[[ClockTree], None] = lambda _tree: None
        self.on_core_clock: Callable[[int], None] = lambda _hz: None
        self.backup_is_writable: Callable[[], bool] = lambda: True
        self.before_backup: Callable[[], None] = lambda: None
        self.after_backup: Callable[[bool], None] = lambda _reset: None
        self._plain = {
            offset: Storage(layout.resets.get(offset, 0)) for offset in range(0, layout.last + 4, 4)
        }
        super().__init__(
            "RCC",
            layout.address,
            {offset: storage.register() for offset, storage in self._plain.items()}
            | {at: self._gating(at) for at in self._gate_offsets()}
            | {
                _CONTROL: Register(self._read_control, self._write_control, changes=self._changes),
                layout.pll: Register(self._pll.read, self._write_pll),
                _CONFIGURATION: Register(
                    self._read_configuration, self._write_configuration, changes=self._changes
                ),
                layout.backup: Register(
                    lambda: _ready(self._backup.value, 0, 1), self._write_backup
                ),
                layout.status: Register(self._read_status, self._write_status),
            },
        )

    def _gate_offsets(self) -> Iterator[int]:
        for enable in self._layout.enables.values():
            yield from (enable, enable + ENABLE_TO_RESET)

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (self._control, self._pll, self._configuration, *self._plain.values()):
            storage.reset()
        self._source = self._layout.after_reset
        self._ready_at = {self._source: 0}
        self.on_core_clock(self._hz(self._source))
        self.on_gates()

    def is_clocked(self, gate: Gate) -> bool:
        """Whether a peripheral's clock is on."""
        return bool(self._plain[self._layout.enables[gate.bus]].value & gate.enable)

    def is_reset(self, gate: Gate) -> bool:
        """Whether a peripheral is held in reset."""
        offset = self._layout.enables[gate.bus] + ENABLE_TO_RESET
        return bool(self._plain[offset].value & gate.reset)

    def _gating(self, offset: int) -> Register:
        storage = self._plain[offset]

        def write(value: int) -> None:
            storage.write(value)
            self.on_gates()

        return Register(storage.read, write)

    def note_reset(self, cause: int) -> None:
        """Set the flags that tell the firmware why it starts; each reset pulls the pin too."""
        self._reset_flags |= cause | PIN_RESET

    # clocks

    @property
    def pll_is_on(self) -> bool:
        """Whether the PLL is switched on, ready or not."""
        return self._is_on("pll")

    @property
    def core_hz(self) -> int:
        """The clock that the core runs at."""
        self._settle()
        return self._tree(self._source, self._configuration.value).core_hz

    @property
    def clocks(self) -> ClockTree:
        """The clocks as they are."""
        return self._tree(self._source, self._configuration.value)

    def bus_divider(self, address: int) -> float:
        """Return the core's cycles per cycle of the bus that a peripheral is on: APB1 or APB2."""
        first, second = self._layout.prescalers
        bit = second if address in self._layout.apb2 else first
        return apb_divider(self._configuration.value, bit)

    def timer_divider(self, address: int) -> float:
        """Return the core's cycles per cycle of a timer's clock: twice its bus's where it divides.

        Source: RM0090 section 6.2, with RCC_DCKCFGR.TIMPRE clear; RM0432 section 6.2.13.
        """
        divider = self.bus_divider(address)
        return divider if divider == 1 else divider / 2

    def _tree(self, source: str, configuration: int) -> ClockTree:
        divider = configuration >> 4 & 0xF
        core_hz = self._hz(source) >> (_AHB_SHIFTS[divider & 7] if divider & 8 else 0)
        first, second = self._layout.prescalers
        return ClockTree(
            core_hz,
            core_hz // apb_divider(configuration, first),
            core_hz // apb_divider(configuration, second),
        )

    def _hz(self, source: str) -> int:
        """Return what an oscillator gives once it is ready."""
        if source == "pll":
            return self._pll_setting.output_hz
        return self._hse_hz if source == "hse" else HSI_HZ

    @property
    @abstractmethod
    def _pll_source(self) -> str | None:
        """Return the name of what feeds the PLL."""

    @property
    @abstractmethod
    def _pll_setting(self) -> Pll:
        """Return what RCC_PLLCFGR makes of its source."""

    def _gives(self, source: str) -> bool:
        """Whether what an oscillator makes gets to the core."""
        del source
        return True

    def _settle(self) -> None:
        """Switch the core's clock once the source that was asked for is ready."""
        asked = self._asked
        if asked != self._source and self._is_ready(asked) and self._gives(asked):
            self._switch(asked)

    @property
    def _asked(self) -> str:
        asked = self._configuration.value & _SWITCH
        sources = self._layout.sources
        return sources[asked] if asked < len(sources) else self._source

    def _switch(self, source: str) -> None:
        tree = self._tree(source, self._configuration.value)
        self.on_core_clock(tree.core_hz)
        self._source = source
        self.on_clocks(tree)

    # oscillators

    def _is_on(self, oscillator: str) -> bool:
        return bool(self._control.value >> self._oscillators[oscillator].on & 1)

    def _is_ready(self, oscillator: str) -> bool:
        if not self._is_on(oscillator):
            return False
        at = self._ready_at.get(oscillator)
        return at is not None and (at == 0 or self._now() >= at)

    def _start(self, oscillator: str) -> None:
        """Note when an oscillator that has just been switched on will be ready; None: never."""
        core_hz = self.clocks.core_hz
        at: int | None = self._now() + round(self._oscillators[oscillator].starts_in_s * core_hz)
        if oscillator == "hse" and not self._hse_hz:
            at = None
            _log.warning("the crystal never swings: the board has none")
        elif oscillator == "pll":
            source = self._pll_source
            source_at = self._ready_at.get(source) if source and self._is_on(source) else None
            locks = source_at is not None and self._pll_setting.locks
            at = max(at or 0, source_at or 0) if locks else None
            if not locks:
                _log.warning("the PLL never locks: %s", self._why_unlocked(source))
        self._ready_at[oscillator] = at

    def _why_unlocked(self, source: str | None) -> str:
        if source is None or not self._is_on(source) or self._ready_at.get(source) is None:
            return f"its source {source or ''} is off".replace("  ", " ")
        setting = self._pll_setting
        return (
            f"of the {source}'s {in_mhz(self._hz(source))} it gets {in_mhz(setting.input_hz)}, "
            f"and would run at {in_mhz(setting.vco_hz)}"
        )

    def _write_control(self, value: int) -> None:
        self._settle()
        before = self._control.value
        for used in self._in_use():
            value |= 1 << self._oscillators[used].on  # hardware keeps on what the core runs from
        if before >> self._oscillators["hse"].on & 1:
            value = value & ~_HSEBYP | before & _HSEBYP
        self._control.write(value)
        for name, oscillator in self._oscillators.items():
            if ~before & self._control.value & 1 << oscillator.on:
                self._start(name)
        self._settle()

    def _in_use(self) -> set[str]:
        used = {self._source}
        if "pll" in used and self._pll_source:
            used.add(self._pll_source)
        return used

    def _write_pll(self, value: int) -> None:
        """Take a setting, but not while the PLL is on: RM0090 section 7.3.2."""
        if not self.pll_is_on:
            self._pll.write(value)

    def _read_control(self) -> int:
        self._settle()
        value = self._control.value
        for name, oscillator in self._oscillators.items():
            value |= self._is_ready(name) << oscillator.ready
        for on, ready in self._layout.ready_at_once:
            value = _ready(value, on, ready)
        return value

    def _changes(self) -> int | None:
        """Return the cycle at which the next oscillator is ready, None where none starts."""
        now = self._now()
        return min((at for at in self._ready_at.values() if at and at > now), default=None)

    def _read_configuration(self) -> int:
        self._settle()
        return self._configuration.value | self._layout.sources.index(self._source) << 2

    def _write_configuration(self, value: int) -> None:
        """Take prescalers and the source that is asked for.

        Prescalers change within 16 cycles of the AHB (RM0090 section 7.3.3), so that in one store
        either may come first, and the chip has to bear both.
        """
        self._settle()
        before = self._configuration.value
        self._configuration.write(value)
        after = self._configuration.value
        self.on_core_clock(self._tree(self._source, after).core_hz)
        asked = self._asked
        if (before ^ after) & self._prescaler_bits:
            self.on_clocks(self._tree(self._source, after))
            if asked != self._source and self._is_ready(asked):
                self.on_clocks(self._tree(asked, before))
        self._settle()

    @property
    def _prescaler_bits(self) -> int:
        first, second = self._layout.prescalers
        return _HPRE | 7 << first | 7 << second

    # the backup domain

    @property
    def rtc_hz(self) -> float:
        """RTCCLK, 0 while there is none: RTCSEL chooses among LSE, LSI and a part of HSE."""
        backup = self._backup.value
        divider = self._configuration.value >> 16 & 0x1F
        hse_hz = self._hse_hz / divider if divider and self._is_ready("hse") else 0
        lse_hz = _LSE_HZ if backup & 1 else 0
        lsi_hz = LSI_HZ if self._status.value & 1 else 0
        chosen = (0, lse_hz, lsi_hz, hse_hz)[backup >> 8 & 3]
        return chosen if self.rtc_is_on else 0

    @property
    def rtc_is_on(self) -> bool:
        """RCC_BDCR.RTCEN."""
        return bool(self._backup.value & _RTCEN)

    def _write_backup(self, value: int) -> None:
        if not self.backup_is_writable():
            return
        self.before_backup()
        resets = bool(value & _BDRST)
        if resets:
            self._backup.value = _BDRST
        elif self._backup.value >> 8 & 3:  # RTCSEL can be chosen once: RM0090 section 6.3.20
            self._backup.write(value & ~_RTCSEL | self._backup.value & _RTCSEL)
        else:
            self._backup.write(value)
        self.after_backup(resets)

    # what the firmware is told of resets

    def _read_status(self) -> int:
        return _ready(self._status.value, 0, 1) | self._reset_flags

    def _write_status(self, value: int) -> None:
        self._status.write(value)
        if value & self._layout.forget:
            self._reset_flags = 0


def apb_divider(configuration: int, bit: int) -> int:
    """Return what an APB prescaler, at a bit of RCC_CFGR, divides by.

    Args:
        configuration: the value of RCC_CFGR.
        bit: the lowest of the prescaler's three.
    """
    prescaler = configuration >> bit & 7
    return 2 << (prescaler & 3) if prescaler & 4 else 1


def in_mhz(hz: int) -> str:
    """Return a clock as people say it."""
    return f"{hz / MHZ:g} MHz"


def _ready(value: int, on: int, ready: int) -> int:
    return value | (value >> on & 1) << ready
