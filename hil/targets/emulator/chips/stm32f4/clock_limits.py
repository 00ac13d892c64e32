"""How fast the clocks of an STM32F4 may be, and with how many wait states of its flash.

Source: RM0090 sections 3.5.1 (wait states at 2.7 to 3.6 V) and 5.1.4 (regulator); the data
sheets' general operating conditions.
"""

from hil.targets.emulator.chips.stm32.clocks import MHZ, ClockTree, in_mhz

_PER_WAIT_STATE_HZ = 30 * MHZ
_F405_F407 = 0x413
# By PWR_CR.VOS: without over-drive, with. One bit on an F405 or F407, which have no over-drive.
_F407_CORE_HZ = {0: 144 * MHZ, 1: 168 * MHZ}
_CORE_HZ = {
    0: (120 * MHZ, 120 * MHZ),
    1: (120 * MHZ, 120 * MHZ),  # scale 3
    2: (144 * MHZ, 168 * MHZ),
    3: (168 * MHZ, 180 * MHZ),  # scale 1
}
_APB1_HZ, _APB2_HZ = 42 * MHZ, 84 * MHZ
_APB1_OVER_DRIVE_HZ, _APB2_OVER_DRIVE_HZ = 45 * MHZ, 90 * MHZ


def broken_by(
    clocks: ClockTree,
    *,
    dev_id: int,
    wait_states: int,
    scale_bits: int,
    over_drive: bool,
    buses: bool = True,
) -> str:
    """Return which limit clocks go past, in words; nothing where the chip bears them.

    Args:
        clocks: as they are, or are for a moment.
        dev_id: of the part.
        wait_states: of the flash.
        scale_bits: PWR_CR.VOS.
        over_drive: whether it is on.
        buses: whether those of the buses count.
    """
    core_hz = clocks.core_hz
    needed = max(core_hz - 1, 0) // _PER_WAIT_STATE_HZ
    if wait_states < needed:
        return f"{in_mhz(core_hz)} need {needed} wait states of the flash, it has {wait_states}"
    if dev_id == _F405_F407:
        over_drive = False
        most_hz = _F407_CORE_HZ[scale_bits & 1]
    else:
        most_hz = _CORE_HZ[scale_bits][over_drive]
    if core_hz > most_hz:
        return f"the core runs at {in_mhz(core_hz)}, its regulator is set for {in_mhz(most_hz)}"
    if not buses:
        return ""
    most = (_APB1_OVER_DRIVE_HZ, _APB2_OVER_DRIVE_HZ) if over_drive else (_APB1_HZ, _APB2_HZ)
    for name, hz, limit_hz in zip(
        ("APB1", "APB2"), (clocks.apb1_hz, clocks.apb2_hz), most, strict=True
    ):
        if hz > limit_hz:
            return f"{name} runs at {in_mhz(hz)} and bears {in_mhz(limit_hz)}"
    return ""
