"""How fast the clocks of an STM32F4 may be, and with how many wait states of its flash.

Source: RM0090 sections 3.5.1 (wait states at 2.7 to 3.6 V), 5.1.4 (regulator) and 7.3.2 (PLL); the
data sheets' general operating conditions.
"""

from dataclasses import dataclass
from typing import Self

_MHZ = 1_000_000
_PER_WAIT_STATE_HZ = 30 * _MHZ
_F405_F407 = 0x413
# By PWR_CR.VOS: without over-drive, with. One bit on an F405 or F407, which have no over-drive.
_F407_CORE_HZ = {0: 144 * _MHZ, 1: 168 * _MHZ}
_CORE_HZ = {
    0: (120 * _MHZ, 120 * _MHZ),
    1: (120 * _MHZ, 120 * _MHZ),  # scale 3
    2: (144 * _MHZ, 168 * _MHZ),
    3: (168 * _MHZ, 180 * _MHZ),  # scale 1
}
_APB1_HZ, _APB2_HZ = 42 * _MHZ, 84 * _MHZ
_APB1_OVER_DRIVE_HZ, _APB2_OVER_DRIVE_HZ = 45 * _MHZ, 90 * _MHZ


@dataclass(frozen=True)
class ClockTree:
    """Attributes: core_hz: of core and AHB. apb1_hz, apb2_hz: of the peripherals' buses."""

    core_hz: int
    apb1_hz: int
    apb2_hz: int


@dataclass(frozen=True)
class Pll:
    """A setting of the PLL, RCC_PLLCFGR.

    Attributes:
        input_hz, vco_hz, output_hz: after M, after N, after P.
    """

    input_hz: int
    vco_hz: int
    output_hz: int

    @classmethod
    def of(cls, setting: int, source_hz: int) -> Self:
        """Work out a setting's frequencies."""
        m, n, p = setting & 0x3F, setting >> 6 & 0x1FF, 2 * ((setting >> 16 & 3) + 1)
        vco_hz = source_hz * n // max(m, 1)
        return cls(source_hz // max(m, 1), vco_hz, source_hz * n // (max(m, 1) * p))

    @property
    def locks(self) -> bool:
        """Whether the PLL comes to rest there: 0.95 to 2.1 MHz in, 100 to 432 MHz inside."""
        fits_in = 0.95 * _MHZ <= self.input_hz <= 2.1 * _MHZ
        return fits_in and 100 * _MHZ <= self.vco_hz <= 432 * _MHZ


def broken_by(
    clocks: ClockTree, *, dev_id: int, wait_states: int, scale_bits: int, over_drive: bool
) -> str:
    """Return which limit clocks go past, in words; nothing where the chip bears them.

    Args:
        clocks: as they are, or are for a moment.
        dev_id: of the part.
        wait_states: of the flash.
        scale_bits: PWR_CR.VOS.
        over_drive: whether it is on.
    """
    core_hz = clocks.core_hz
    needed = max(core_hz - 1, 0) // _PER_WAIT_STATE_HZ
    if wait_states < needed:
        return f"{_mhz(core_hz)} need {needed} wait states of the flash, it has {wait_states}"
    if dev_id == _F405_F407:
        over_drive = False
        most_hz = _F407_CORE_HZ[scale_bits & 1]
    else:
        most_hz = _CORE_HZ[scale_bits][over_drive]
    if core_hz > most_hz:
        return f"the core runs at {_mhz(core_hz)}, its regulator is set for {_mhz(most_hz)}"
    most = (_APB1_OVER_DRIVE_HZ, _APB2_OVER_DRIVE_HZ) if over_drive else (_APB1_HZ, _APB2_HZ)
    for name, hz, limit_hz in zip(
        ("APB1", "APB2"), (clocks.apb1_hz, clocks.apb2_hz), most, strict=True
    ):
        if hz > limit_hz:
            return f"{name} runs at {_mhz(hz)} and bears {_mhz(limit_hz)}"
    return ""


def _mhz(hz: int) -> str:
    return f"{hz / _MHZ:g} MHz"
