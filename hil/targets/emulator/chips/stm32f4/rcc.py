"""RCC and PWR of an STM32F4. Source: RM0090 sections 5.1.4, 5.4, 7.2 and 7.3."""

from collections.abc import Callable

from hil.targets.emulator.chips.stm32.clocks import (
    MHZ,
    Layout,
    Oscillator,
    Pll,
    ResetAndClockControl,
)
from hil.targets.emulator.core.registers import Peripheral, Register, Storage

_PLLCFGR_SOURCE = 1 << 22
_ALL_BUT_HSI = 0x1509_0000  # RCC_CR: HSEON, CSSON, PLLON, PLLI2SON, PLLSAION

LAYOUT = Layout(
    address=0x4002_3800,
    oscillators={  # data sheet, tables 36, 40 and 42: a crystal's start-up, the PLL's lock time
        "hsi": Oscillator(0, 1, 4e-6),
        "hse": Oscillator(16, 17, 2e-3),
        "pll": Oscillator(24, 25, 200e-6),
    },
    sources=("hsi", "hse", "pll"),
    after_reset="hsi",
    ready_at_once=((26, 27), (28, 29)),  # PLLI2S, PLLSAI
    control=0x0000_0081,
    control_writable=0x150D_00F9,
    pll=0x04,
    pll_reset=0x2400_3010,
    prescalers=(10, 13),
    apb2=range(0x4001_0000, 0x4001_8000),
    enables={"AHB1": 0x30, "AHB2": 0x34, "AHB3": 0x38, "APB1": 0x40, "APB2": 0x44},
    resets={0x30: 0x0010_0000, 0x84: 0x2000_3000, 0x88: 0x2400_3000},  # CCM, PLLI2S, PLLSAI
    last=0x8C,
    backup=0x70,
    status=0x74,
    forget=1 << 24,
    power_on=0x0E00_0000,
)


class Stm32F4Clocks(ResetAndClockControl):
    """RCC of an STM32F4."""

    def __init__(self, hse_hz: int, now: Callable[[], int] = lambda: 0) -> None:
        super().__init__(LAYOUT, hse_hz, now)

    @property
    def _pll_source(self) -> str:
        return "hse" if self._pll.value & _PLLCFGR_SOURCE else "hsi"

    @property
    def _pll_setting(self) -> Pll:
        return pll_of(self._pll.value, self._hz(self._pll_source))

    def stop(self) -> None:
        """Leave HSI alone on, and the core on it, as Stop does: RM0090 section 5.3.5."""
        self._settle()
        configuration = self._configuration.value & ~0b11
        self.on_core_clock(self._tree("hsi", configuration).core_hz)
        self._configuration.value = configuration
        self._source, self._ready_at = "hsi", {"hsi": 0}
        self._control.value = self._control.value & ~_ALL_BUT_HSI | 1


def pll_of(setting: int, source_hz: int) -> Pll:
    """Work out RCC_PLLCFGR: 0.95 to 2.1 MHz after M, 100 to 432 MHz after N, the output after P.

    Args:
        setting: the value of RCC_PLLCFGR.
        source_hz: of the oscillator before M.
    """
    m, n, p = max(setting & 0x3F, 1), setting >> 6 & 0x1FF, 2 * ((setting >> 16 & 3) + 1)
    input_hz, vco_hz = source_hz // m, source_hz * n // m
    locks = 0.95 * MHZ <= input_hz <= 2.1 * MHZ and 100 * MHZ <= vco_hz <= 432 * MHZ
    return Pll(input_hz, vco_hz, source_hz * n // (m * p), locks)


class PowerControl(Peripheral):
    """PWR: regulator and over-drive report ready.

    Args:
        pll_is_on: the regulator's scale can be changed only while it is not.
        scale_after_reset: VOS.
    """

    models = "regulator scale, over-drive, DBP; Stop and Standby, and what wakes from them"

    def __init__(
        self, pll_is_on: Callable[[], bool] = lambda: False, scale_after_reset: int = 0b11
    ) -> None:
        self._pll_is_on = pll_is_on
        self._control = Storage(scale_after_reset << 14, writable=0x000F_FFF3)
        self._status = Storage(writable=0x0000_0300)
        self._flags = 0
        super().__init__(
            "PWR",
            0x4000_7000,
            {
                0x0: Register(self._control.read, self._write_control),
                0x4: Register(self._read_status, self._status.write),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset; its flags stay."""
        self._control.reset()
        self._status.reset()

    def _write_control(self, value: int) -> None:
        self._flags &= ~(value >> 2 & 0b11)  # CWUF, CSBF
        if self._pll_is_on():
            value = value & ~_SCALE | self._control.value & _SCALE
        self._control.write(value)

    def _read_status(self) -> int:
        over_drive = self._control.value >> 16 & 0b11
        regulator = self._status.value >> 6 & _BRR
        return self._status.value | self._flags | regulator | over_drive << 16 | 1 << 14

    @property
    def backup_is_writable(self) -> bool:
        """PWR_CR.DBP."""
        return bool(self._control.value >> 8 & 1)

    @property
    def wants_standby(self) -> bool:
        """PWR_CR.PDDS: deep sleep is Standby."""
        return bool(self._control.value & _PDDS)

    @property
    def has_wake_up_pin(self) -> bool:
        """PWR_CSR.EWUP."""
        return bool(self._status.value & _EWUP)

    @property
    def keeps_backup_sram(self) -> bool:
        """PWR_CSR.BRE: in Standby too."""
        return bool(self._status.value & _BRE)

    @property
    def has_woken(self) -> bool:
        """PWR_CSR.WUF."""
        return bool(self._flags & _WUF)

    def note_wake_up(self) -> None:
        """Set WUF."""
        self._flags |= _WUF

    def note_standby(self) -> None:
        """Set SBF: the chip has been in Standby."""
        self._flags |= _SBF

    @property
    def scale_bits(self) -> int:
        """PWR_CR.VOS."""
        return (self._control.value & _SCALE) >> 14

    @property
    def over_drive(self) -> bool:
        """Whether the over-drive is on and switched to."""
        return self._control.value >> 16 & 0b11 == 0b11


_SCALE = 0x0000_C000
_PDDS, _EWUP, _BRE = 1 << 1, 1 << 8, 1 << 9
_WUF, _SBF = 1 << 0, 1 << 1
_BRR = 1 << 3  # the backup regulator is ready
