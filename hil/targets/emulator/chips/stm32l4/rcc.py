"""RCC and PWR of an STM32L4+. Source: RM0432 sections 5.4, 6.2 and 6.4."""

from collections.abc import Callable

from hil.targets.emulator.chips.stm32.clocks import (
    HSI_HZ,
    MHZ,
    Layout,
    Oscillator,
    Pll,
    ResetAndClockControl,
)
from hil.targets.emulator.core.registers import Register, StoragePeripheral, constant

_CONTROL, _PLL_ENABLES, _PLL_OUT = 0x00, 0x0111_0000, 1 << 24
_CCIPR, _CRRCR = 0x88, 0x98
_MSI_RANGE_CHOSEN = 1 << 3  # MSIRGSEL: the range in RCC_CR, not that in RCC_CSR
_MSI_HZ = (
    100_000, 200_000, 400_000, 800_000, 1 * MHZ, 2 * MHZ, 4 * MHZ, 8 * MHZ, 16 * MHZ, 24 * MHZ,
    32 * MHZ, 48 * MHZ,
)  # fmt: skip
_LSE_HZ = 32_768

LAYOUT = Layout(
    address=0x4002_1000,
    oscillators={  # STM32L4R5 data sheet, tables 53, 56, 57 and 59
        "msi": Oscillator(0, 1, 10e-6),
        "hsi": Oscillator(8, 10, 1.2e-6),
        "hse": Oscillator(16, 17, 2e-3),
        "pll": Oscillator(24, 25, 40e-6),
    },
    sources=("msi", "hsi", "hse", "pll"),
    after_reset="msi",
    ready_at_once=((26, 27), (28, 29)),  # PLLSAI1, PLLSAI2
    control=0x0000_0061,
    control_writable=0x150D_0BFD,
    pll=0x0C,
    pll_reset=0x0000_1000,
    prescalers=(8, 11),
    apb2=range(0x4001_0000, 0x4001_8000),
    enables={
        "AHB1": 0x48, "AHB2": 0x4C, "AHB3": 0x50, "APB1": 0x58, "APB1_2": 0x5C, "APB2": 0x60
    },
    resets={0x04: 0x4000_0000, 0x10: 0x1000, 0x14: 0x1000, 0x48: 0x100},
    last=0xA4,
    backup=0x90,
    backup_writable=0x0301_833D,
    status=0x94,
    status_reset=0x0000_0600,
    status_writable=0x0000_0F01,
    forget=1 << 23,
    power_on=0x0C00_0000,
)  # fmt: skip


class Stm32L4Clocks(ResetAndClockControl):
    """RCC of an STM32L4+."""

    def __init__(self, hse_hz: int, now: Callable[[], int] = lambda: 0) -> None:
        super().__init__(LAYOUT, hse_hz, now)
        oscillator_48 = self._plain[_CRRCR]
        self.registers[_CRRCR] = Register(
            lambda: oscillator_48.value & ~2 | (oscillator_48.value & 1) << 1, oscillator_48.write
        )

    def kernel_divider(self, address: int, choice: int) -> float:
        """Return the core's cycles per cycle of what clocks a serial port.

        Args:
            address: of the port.
            choice: the lowest bit of its field in RCC_CCIPR: the bus, SYSCLK, HSI16 or LSE.
        """
        core_hz = self.core_hz
        chosen = self._plain[_CCIPR].value >> choice & 3
        if chosen == 0:
            return self.bus_divider(address)
        return core_hz / (self._hz(self._source), HSI_HZ, _LSE_HZ)[chosen - 1]

    def _hz(self, source: str) -> int:
        if source != "msi":
            return super()._hz(source)
        control, status = self._control.value, self._status.value
        index = control >> 4 & 15 if control & _MSI_RANGE_CHOSEN else status >> 8 & 15
        return _MSI_HZ[min(index, len(_MSI_HZ) - 1)]

    @property
    def _pll_source(self) -> str | None:
        return (None, "msi", "hsi", "hse")[self._pll.value & 3]

    @property
    def _pll_setting(self) -> Pll:
        source = self._pll_source
        return pll_of(self._pll.value, self._hz(source) if source else 0)

    def _gives(self, source: str) -> bool:
        return source != "pll" or bool(self._pll.value & _PLL_OUT)

    def _write_pll(self, value: int) -> None:
        """Take a setting; while the PLL is on, only which outputs are on: RM0432 section 6.4.4."""
        if self.pll_is_on:
            value = self._pll.value & ~_PLL_ENABLES | value & _PLL_ENABLES
        self._pll.write(value)
        self._settle()

    def _write_control(self, value: int) -> None:
        """Take RCC_CR, with the range of an MSI that the core may run from."""
        before = self.core_hz
        super()._write_control(value)
        tree = self.clocks
        if tree.core_hz != before:
            self.on_core_clock(tree.core_hz)
            self.on_clocks(tree)


def pll_of(setting: int, source_hz: int) -> Pll:
    """Work out RCC_PLLCFGR: 2.66 to 16 MHz after M, 64 to 344 MHz after N, the output after R.

    Args:
        setting: the value of RCC_PLLCFGR.
        source_hz: of the oscillator before M.
    """
    m, n, r = (setting >> 4 & 15) + 1, setting >> 8 & 127, 2 * ((setting >> 25 & 3) + 1)
    input_hz, vco_hz = source_hz // m, source_hz * n // m
    locks = 2.66 * MHZ <= input_hz <= 16 * MHZ and 64 * MHZ <= vco_hz <= 344 * MHZ and n >= 8
    return Pll(input_hz, vco_hz, source_hz * n // (m * r), locks)


_CR1, _CR5, _SR1, _SR2 = 0x00, 0x80, 0x10, 0x14
_RESETS = {_CR1: 0x200, 0x04: 0, 0x08: 0x8000, 0x0C: 0, **dict.fromkeys(range(0x20, 0x68, 4), 0)}
_REGULATOR_READY = 1 << 8  # REGLPS; VOSF and REGLPF, which say that it changes, read 0


class PowerControl(StoragePeripheral):
    """PWR: the regulator's range is there at once.

    Args:
        on_range: called when the range may have changed.
    """

    def __init__(self, on_range: Callable[[], None] = lambda: None) -> None:
        super().__init__("PWR", 0x4000_7000, {**_RESETS, _CR5: 0x100})
        for offset in (_CR1, _CR5):
            self.registers[offset] = self._telling(offset, on_range)
        self.registers |= {_SR1: constant(0), _SR2: constant(_REGULATOR_READY), 0x18: constant(0)}

    def _telling(self, offset: int, on_range: Callable[[], None]) -> Register:
        storage = self._storage[offset]

        def write(value: int) -> None:
            storage.write(value)
            on_range()

        return Register(storage.read, write)

    @property
    def range(self) -> int:
        """The regulator's range, 1 or 2: PWR_CR1.VOS."""
        return self._storage[_CR1].value >> 9 & 3

    @property
    def boosts(self) -> bool:
        """Whether range 1 has its boost: PWR_CR5.R1MODE is 0."""
        return not self._storage[_CR5].value >> 8 & 1
