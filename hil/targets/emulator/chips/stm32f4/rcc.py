"""RCC and PWR: oscillators that take their time, the core's clock, and what a chip makes of both.

Source: RM0090 sections 5.1.4, 5.4, 7.2 and 7.3.
"""

from collections.abc import Callable

from hil.targets.emulator.chips.stm32f4.clock_limits import ClockTree, Pll
from hil.targets.emulator.chips.stm32f4.gates import ENABLE_TO_RESET, ENABLES, Gate
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, StoragePeripheral

HSI_HZ = 16_000_000
_HSI, _HSE, _PLL = 0, 16, 24  # the bits of RCC_CR that switch them on; ready is the next one
_READY_AT_ONCE = (26, 28)  # PLLI2S, PLLSAI
_SOURCES = (_HSI, _HSE, _PLL)  # by RCC_CFGR.SW
# Data sheet, tables 36, 40 and 42: a crystal's start-up, the PLL's lock time.
_STARTS_IN_S = {_HSI: 4e-6, _HSE: 2e-3, _PLL: 200e-6}
_HSEBYP = 1 << 18
_PLLCFGR_SOURCE = 1 << 22
_SWITCH = 3
_PRESCALERS = 0xFCF0  # PPRE2, PPRE1, HPRE
_APB2 = range(0x4001_0000, 0x4001_8000)
_AHB_SHIFTS = (1, 2, 3, 4, 6, 7, 8, 9)

_ENABLE_RESETS = {0x30: 0x0010_0000}  # the CCM's data

# RCC_CSR
_RMVF = 1 << 24
PIN_RESET, SOFTWARE_RESET, WATCHDOG_RESET = 1 << 26, 1 << 28, 1 << 29
_POWER_ON = 0x0E00_0000


class ResetAndClockControl(Peripheral):
    """RCC.

    Args:
        hse_hz: the board's crystal; 0: it never swings.
        now: the core's cycle count.

    Attributes:
        on_gates: called when clocks may have been switched, or peripherals reset.
        on_clocks: called with the clocks that the chip may get to see in the next moment.
        before_clock: called before the core's clock changes, with the new one.
    """

    def __init__(self, hse_hz: int, now: Callable[[], int] = lambda: 0) -> None:
        self._hse_hz = hse_hz
        self._now = now
        self._control = Storage(0x0000_0081, writable=0x150D_00F9)
        self._pll = Storage(0x2400_3010)
        self._configuration = Storage(writable=0xFFFF_FFF3)
        self._backup = Storage(writable=0x0001_830D)
        self._status = Storage(writable=0x0100_0001)
        self._reset_flags = _POWER_ON
        self._source = _HSI
        self._ready_at: dict[int, int | None] = {_HSI: 0}
        self.on_gates: Callable[[], None] = lambda: None
        self.on_clocks: Callable[[ClockTree], None] = lambda _tree: None
        self.before_clock: Callable[[int], None] = lambda _hz: None
        self._plain = {
            offset: Storage(_ENABLE_RESETS.get(offset, 0)) for offset in range(0x0C, 0x70, 4)
        }
        super().__init__(
            "RCC",
            0x4002_3800,
            {offset: storage.register() for offset, storage in self._plain.items()}
            | {at: self._gating(at) for enable in ENABLES.values() for at in _pair(enable)}
            | {
                0x00: Register(self._read_control, self._write_control),
                0x04: Register(self._pll.read, self._write_pll),
                0x08: Register(self._read_configuration, self._write_configuration),
                0x70: Register(lambda: _ready(self._backup.value, 0, 1), self._backup.write),
                0x74: Register(self._read_status, self._write_status),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: HSI, 16 MHz."""
        self.before_clock(HSI_HZ)
        for storage in (self._control, self._pll, self._configuration, *self._plain.values()):
            storage.reset()
        self._source = _HSI
        self._ready_at = {_HSI: 0}
        self.on_gates()

    def is_clocked(self, gate: Gate) -> bool:
        """Whether a peripheral's clock is on."""
        return self._has(*gate.enable())

    def is_reset(self, gate: Gate) -> bool:
        """Whether a peripheral is held in reset."""
        return self._has(*gate.reset())

    def _has(self, offset: int, bits: int) -> bool:
        return bool(self._plain[offset].value & bits)

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
        return bool(self._control.value >> _PLL & 1)

    @property
    def core_hz(self) -> int:
        """The clock that the core runs at."""
        self._settle()
        return self._tree(self._source, self._configuration.value).core_hz

    @property
    def clocks(self) -> ClockTree:
        """The clocks as they are."""
        return self._tree(self._source, self._configuration.value)

    def bus_divider(self, address: int) -> int:
        """Return the core's cycles per cycle of the bus that a peripheral is on: APB1 or APB2."""
        return _apb_divider(self._configuration.value, 13 if address in _APB2 else 10)

    def _tree(self, source: int, configuration: int) -> ClockTree:
        divider = configuration >> 4 & 0xF
        core_hz = self._hz(source) >> (_AHB_SHIFTS[divider & 7] if divider & 8 else 0)
        return ClockTree(
            core_hz,
            core_hz // _apb_divider(configuration, 10),
            core_hz // _apb_divider(configuration, 13),
        )

    def _hz(self, source: int) -> int:
        """Return what an oscillator gives once it is ready."""
        if source == _PLL:
            return self._pll_setting.output_hz
        return self._hse_hz if source == _HSE else HSI_HZ

    @property
    def _pll_source(self) -> int:
        return _HSE if self._pll.value & _PLLCFGR_SOURCE else _HSI

    @property
    def _pll_setting(self) -> Pll:
        return Pll.of(self._pll.value, self._hz(self._pll_source))

    def _settle(self) -> None:
        """Switch the core's clock once the source that was asked for is ready."""
        asked = self._asked
        if asked != self._source and self._is_ready(asked):
            self._switch(asked)

    @property
    def _asked(self) -> int:
        asked = self._configuration.value & _SWITCH
        return _SOURCES[asked] if asked < len(_SOURCES) else self._source

    def _switch(self, source: int) -> None:
        tree = self._tree(source, self._configuration.value)
        self.before_clock(tree.core_hz)
        self._source = source
        self.on_clocks(tree)

    # oscillators

    def _is_ready(self, oscillator: int) -> bool:
        if not self._control.value >> oscillator & 1:
            return False
        at = self._ready_at.get(oscillator)
        return at is not None and (at == 0 or self._now() >= at)

    def _start(self, oscillator: int) -> None:
        """Note when an oscillator that has just been switched on will be ready; None: never."""
        core_hz = self.clocks.core_hz
        at: int | None = self._now() + round(_STARTS_IN_S[oscillator] * core_hz)
        if oscillator == _HSE and not self._hse_hz:
            at = None
        elif oscillator == _PLL:
            source = self._pll_source
            source_at = self._ready_at.get(source) if self._control.value >> source & 1 else None
            locks = source_at is not None and self._pll_setting.locks
            at = max(at or 0, source_at or 0) if locks else None
        self._ready_at[oscillator] = at

    def _write_control(self, value: int) -> None:
        self._settle()
        before = self._control.value
        for used in self._in_use():
            value |= 1 << used  # the hardware keeps on what the core runs from
        if before >> _HSE & 1:
            value = value & ~_HSEBYP | before & _HSEBYP
        self._control.write(value)
        for oscillator in _SOURCES:
            if ~before & self._control.value & 1 << oscillator:
                self._start(oscillator)
        self._settle()

    def _in_use(self) -> set[int]:
        used = {self._source}
        return used | {self._pll_source} if _PLL in used else used

    def _write_pll(self, value: int) -> None:
        """Take a setting, but not while the PLL is on: RM0090 section 7.3.2."""
        if not self.pll_is_on:
            self._pll.write(value)

    def _read_control(self) -> int:
        self._settle()
        value = self._control.value
        for oscillator in _SOURCES:
            value |= self._is_ready(oscillator) << oscillator + 1
        for on in _READY_AT_ONCE:
            value = _ready(value, on, on + 1)
        return value

    def _read_configuration(self) -> int:
        self._settle()
        return self._configuration.value | _SOURCES.index(self._source) << 2

    def _write_configuration(self, value: int) -> None:
        """Take prescalers and the source that is asked for.

        Prescalers change within 16 cycles of the AHB (RM0090 section 7.3.3), so that in one store
        either may come first, and the chip has to bear both.
        """
        self._settle()
        before = self._configuration.value
        self._configuration.write(value)
        after = self._configuration.value
        self.before_clock(self._tree(self._source, after).core_hz)
        asked = self._asked
        if (before ^ after) & _PRESCALERS:
            self.on_clocks(self._tree(self._source, after))
            if asked != self._source and self._is_ready(asked):
                self.on_clocks(self._tree(asked, before))
        self._settle()

    # what the firmware is told of resets

    def _read_status(self) -> int:
        return _ready(self._status.value, 0, 1) | self._reset_flags

    def _write_status(self, value: int) -> None:
        self._status.write(value)
        if value & _RMVF:
            self._reset_flags = 0


class PowerControl(StoragePeripheral):
    """PWR: regulator and over-drive report ready.

    Args:
        pll_is_on: the regulator's scale can be changed only while it is not.
    """

    def __init__(self, pll_is_on: Callable[[], bool] = lambda: False) -> None:
        super().__init__("PWR", 0x4000_7000, {0x0: _SCALE})
        self._status = Storage(writable=0x0000_0300)
        control = self._storage[0x0]

        def write_control(value: int) -> None:
            control.write(value & ~_SCALE | control.value & _SCALE if pll_is_on() else value)

        def read_status() -> int:
            over_drive = control.value >> 16 & 0b11
            return self._status.value | over_drive << 16 | 1 << 14

        self.registers[0x0] = Register(control.read, write_control)
        self.registers[0x4] = Register(read_status, self._status.write)

    @property
    def scale_bits(self) -> int:
        """PWR_CR.VOS."""
        return (self._storage[0x0].value & _SCALE) >> 14

    @property
    def over_drive(self) -> bool:
        """Whether the over-drive is on and switched to."""
        return self._storage[0x0].value >> 16 & 0b11 == 0b11


_SCALE = 0x0000_C000


def _apb_divider(configuration: int, bit: int) -> int:
    prescaler = configuration >> bit & 7
    return 2 << (prescaler & 3) if prescaler & 4 else 1


def _pair(enable: int) -> tuple[int, int]:
    """Return the offsets of a bus's enable register and its reset register."""
    return enable, enable + ENABLE_TO_RESET


def _ready(value: int, on: int, ready: int) -> int:
    return value | (value >> on & 1) << ready
