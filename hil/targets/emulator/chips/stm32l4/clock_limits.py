"""How fast the clocks of an STM32L4+ may be, and with how many wait states of its flash.

Source: RM0432 sections 3.3.3 (wait states) and 5.1.8 (ranges of the regulator); the thresholds
stand in ST's stm32l4xx_ll_utils.c as well, from UTILS_SCALE1_LATENCY1_FREQ on.
"""

from hil.targets.emulator.chips.stm32.clocks import MHZ, ClockTree, in_mhz

_RANGE_1 = 1
_BOOST_HZ, _RANGE_1_HZ, _RANGE_2_HZ = 120 * MHZ, 80 * MHZ, 26 * MHZ
_PER_WAIT_STATE_HZ = {1: 20 * MHZ, 2: 8 * MHZ}
_MOST_NEEDED = {1: 5, 2: 2}  # range 2: two from 16 MHz up to its 26 MHz


def broken_by(clocks: ClockTree, *, wait_states: int, regulator: int, boosts: bool) -> str:
    """Return which limit clocks go past, in words; nothing where the chip bears them.

    The buses bear whatever the core does.

    Args:
        clocks: as they are, or are for a moment.
        wait_states: of the flash.
        regulator: its range, 1 or 2.
        boosts: whether range 1 has its boost.
    """
    core_hz = clocks.core_hz
    in_range_1 = regulator == _RANGE_1
    most_hz = (_BOOST_HZ if boosts else _RANGE_1_HZ) if in_range_1 else _RANGE_2_HZ
    if core_hz > most_hz:
        return f"the core runs at {in_mhz(core_hz)}, its regulator is set for {in_mhz(most_hz)}"
    kind = 1 if in_range_1 else 2
    needed = min(max(core_hz - 1, 0) // _PER_WAIT_STATE_HZ[kind], _MOST_NEEDED[kind])
    if wait_states < needed:
        return f"{in_mhz(core_hz)} need {needed} wait states of the flash, it has {wait_states}"
    return ""
