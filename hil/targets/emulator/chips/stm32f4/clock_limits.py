"""How fast the clocks of an STM32F4 may be, and with how many wait states of its flash.

Source: RM0090 sections 3.5.1 (wait states at 2.7 to 3.6 V) and 5.1.4 (regulator), RM0368 and
RM0383 section 5.4.1 (PWR_CR of F401 and F411); the data sheets' general operating conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32.clocks import MHZ, ClockTree, in_mhz

_PER_WAIT_STATE_HZ = 30 * MHZ
_F405_F407, _F401, _F411 = (0x413,), (0x423, 0x433), (0x431,)


@dataclass(frozen=True)
class Limits:
    """What the clocks of a part may be.

    Attributes:
        scale_after_reset: PWR_CR.VOS.
        core_hz: by PWR_CR.VOS, without over-drive and with.
        buses_hz: of APB1 and APB2, without over-drive and with.
    """

    scale_after_reset: int
    core_hz: Mapping[int, tuple[int, int]]
    buses_hz: tuple[tuple[int, int], tuple[int, int]]


def _without_over_drive(
    scale_after_reset: int, core_mhz: Sequence[int], apb1_mhz: int, apb2_mhz: int
) -> Limits:
    core_hz = {scale: (most * MHZ, most * MHZ) for scale, most in enumerate(core_mhz)}
    buses_hz = apb1_mhz * MHZ, apb2_mhz * MHZ
    return Limits(scale_after_reset, core_hz, (buses_hz, buses_hz))


_MOST = Limits(  # F42x, F43x, F446, F469, F479
    3,
    {
        0: (120 * MHZ, 120 * MHZ),
        1: (120 * MHZ, 120 * MHZ),  # scale 3
        2: (144 * MHZ, 168 * MHZ),
        3: (168 * MHZ, 180 * MHZ),  # scale 1
    },
    ((42 * MHZ, 84 * MHZ), (45 * MHZ, 90 * MHZ)),
)
_PARTS = {
    **dict.fromkeys(_F405_F407, _without_over_drive(1, (144, 168, 144, 168), 42, 84)),
    **dict.fromkeys(_F401, _without_over_drive(2, (60, 60, 84, 84), 42, 84)),
    **dict.fromkeys(_F411, _without_over_drive(2, (64, 64, 84, 100), 50, 100)),
}


def limits(dev_id: int) -> Limits:
    """Return those of a part by its number in DBGMCU_IDCODE."""
    return _PARTS.get(dev_id, _MOST)


def broken_by(
    clocks: ClockTree,
    *,
    dev_id: int,
    wait_states: int,
    scale_bits: int,
    over_drive: bool,
    margins: bool = True,
) -> str:
    """Return which limit clocks go past, in words; nothing where the chip bears them.

    Args:
        clocks: as they are, or are for a moment.
        dev_id: of the part.
        wait_states: of the flash.
        scale_bits: PWR_CR.VOS.
        over_drive: whether it is on.
        margins: whether regulator and buses count, beyond whose limits silicon often goes on.
    """
    core_hz = clocks.core_hz
    needed = max(core_hz - 1, 0) // _PER_WAIT_STATE_HZ
    if wait_states < needed:
        return f"{in_mhz(core_hz)} need {needed} wait states of the flash, it has {wait_states}"
    part = limits(dev_id)
    most_hz = part.core_hz[scale_bits][over_drive]
    if not margins:
        return ""
    if core_hz > most_hz:
        return f"the core runs at {in_mhz(core_hz)}, its regulator is set for {in_mhz(most_hz)}"
    for name, hz, limit_hz in zip(
        ("APB1", "APB2"), (clocks.apb1_hz, clocks.apb2_hz), part.buses_hz[over_drive], strict=True
    ):
        if hz > limit_hz:
            return f"{name} runs at {in_mhz(hz)} and bears {in_mhz(limit_hz)}"
    return ""
