"""Timers of the STM32F4, by programs: counting, updates, compare, one pulse, their clocks."""

import pytest
from emulated import finished, registers

from hil.targets.emulator.chips.stm32f4.timers import TIMERS, Placed

CLOCKS = """
 ldr r0, =0x40023800
 mvn r1, #0
 str r1, [r0, #0x40]
 str r1, [r0, #0x44]
"""
ENABLE_INTERRUPTS = """
 ldr r0, =0xE000E100
 mvn r1, #0
 str r1, [r0]
 str r1, [r0, #4]
 str r1, [r0, #8]
"""


def _set(offset: int, value: int) -> str:
    return f" ldr r1, ={value}\n str r1, [r5, #{offset}]\n"


def _timer(address: int) -> str:
    return f"{CLOCKS}\n ldr r5, ={address:#x}\n"


def _interrupted(timer: Placed, enable: int, compare: int | None = None) -> str:
    """Return a program that counts three interrupts of a timer with a period of 1,000."""
    return f"""
    function start
     {_timer(timer.address)}
     {_set(0x28, 9)}
     {_set(0x2C, 99)}
     {_set(0x14, 1)}
     {_set(0x10, 0)}
     {_set(0x34, compare) if compare is not None else ""}
     {_set(0x0C, enable)}
     {ENABLE_INTERRUPTS}
     movs r4, #0
     ldr r6, =0xE0001004
     {_set(0x00, 1)}
    1: wfi
     cmp r4, #3
     blo 1b
     bkpt 0
    function irq
     mrs r7, ipsr
     movs r1, #0
     str r1, [r5, #0x10]
     adds r4, #1
     dsb
     bx lr
    """


@pytest.mark.parametrize("timer", TIMERS, ids=lambda timer: timer.name)
def test_each_timer_interrupts_at_its_period(timer: Placed) -> None:
    """RM0090 sections 17.4, 18.4, 19.4, 20.4: UIE; table 62 has the interrupts."""
    with finished(_interrupted(timer, 1)) as chip:
        assert registers(chip, "r4", "r7") == (3, 16 + timer.irq)
        assert chip.clock.run.cycles == pytest.approx(3000, abs=150)


@pytest.mark.parametrize(
    "timer", [one for one in TIMERS if one.channels], ids=lambda timer: timer.name
)
def test_a_compare_channel_interrupts_where_the_count_meets_it(timer: Placed) -> None:
    """RM0090 section 18.3.8: CC1IF is set when the counter matches CCR1."""
    with finished(_interrupted(timer, 2, 50)) as chip:
        assert registers(chip, "r4", "r7") == (3, 16 + (timer.compare_irq or timer.irq))
        assert chip.clock.run.cycles == pytest.approx(2500, abs=150)


def test_one_pulse_counts_once() -> None:
    """RM0090 section 18.3.10: with OPM the counter stops at the update."""
    program = f"""
    function start
     {_timer(0x4000_0000)}
     {_set(0x2C, 99)}
     {_set(0x00, 9)}
     ldr r3, =1000
    1: subs r3, #1
     bne 1b
     ldr r4, [r5, #0x10]
     ldr r6, [r5]
     ldr r7, [r5, #0x24]
     bkpt 0
    """
    with finished(program) as chip:
        status, control, count = registers(chip, "r4", "r6", "r7")
        assert (status & 1, control, count) == (1, 8, 0)


def test_a_reload_between_two_matches_sets_each_flag_once() -> None:
    """RM0090 section 18.4.5: flags stay until they are cleared by writing zero."""
    program = f"""
    function start
     {_timer(0x4000_0000)}
     {_set(0x2C, 999)}
     {_set(0x34, 100)}
     {_set(0x38, 5000)}
     {_set(0x00, 1)}
     ldr r3, =2000
    1: subs r3, #1
     bne 1b
     ldr r4, [r5, #0x10]
     mvn r1, #2
     str r1, [r5, #0x10]
     ldr r6, [r5, #0x10]
     bkpt 0
    """
    with finished(program) as chip:
        before, after = registers(chip, "r4", "r6")
        assert before & 0b111 == 0b011  # the second channel lies beyond the reload value
        assert after & 0b011 == 0b001


def test_urs_keeps_the_flag_from_a_generated_update() -> None:
    """RM0090 section 18.4.1: with URS, UG does not set UIF."""
    program = f"""
    function start
     {_timer(0x4000_0000)}
     {_set(0x14, 1)}
     ldr r4, [r5, #0x10]
     {_set(0x10, 0)}
     {_set(0x00, 4)}
     {_set(0x14, 1)}
     ldr r6, [r5, #0x10]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r6") == (1, 0)


def test_a_timer_runs_at_twice_its_bus_where_that_is_divided() -> None:
    """RM0090 section 6.2: APB1 by 4 gives its timers half of the core's clock."""
    program = f"""
    function start
     ldr r0, =0x40023800
     ldr r1, =0x1400
     str r1, [r0, #8]
     {_timer(0x4000_0000)}
     {_set(0x00, 1)}
     ldr r4, [r5, #0x24]
     ldr r3, =1000
    1: subs r3, #1
     bne 1b
     ldr r6, [r5, #0x24]
     bkpt 0
    """
    with finished(program) as chip:
        before, after = registers(chip, "r4", "r6")
        assert after - before == pytest.approx(chip.clock.run.cycles / 2, rel=0.1)


def test_a_timer_without_its_clock_stands() -> None:
    """RM0090 section 6.3.13."""
    program = f"""
    function start
     ldr r5, =0x40000000
     {_set(0x00, 1)}
     ldr r4, [r5]
     ldr r6, [r5, #0x24]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r6") == (0, 0)
