"""Where the emulated core takes a quick way: what it does must not differ."""

import pytest
from emulated import chip_with, finished, memory_words, registers, set_ccr

CFSR, BFAR = 0xE000_ED28, 0xE000_ED38
DIVBYZERO = 1 << 25
SYSTEM_MEMORY = 0x1FFF_0000
TRAP_DIVISION_BY_ZERO = set_ccr(1 << 4)
# An instruction `movs r4, #N` and `bx lr`.
MOVE, RETURN = 0x2400, 0x4770


def test_code_that_the_core_writes_over_code_in_ram_runs_anew() -> None:
    # A word beside the code is written first, and a device is read: both empty what is known of
    # the page's translation.
    program = f"""
    function start
     ldr r7, =0x20001000
     ldr r6, =0x20001001
     ldr r5, =0xE0001000
     movs r3, #1
    again:
     ldr r0, =0x{RETURN:04x}{MOVE:04x}
     add r0, r0, r3
     ldr r1, [r5, #4]
     str r3, [r7, #64]
     str r0, [r7]
     dsb
     isb
     blx r6
     add r8, r8, r4
     adds r3, #1
     cmp r3, #5
     bne again
     bkpt 0
    """
    chip = chip_with(program)
    chip.core.write_register("r8", 0)
    with finished(program, chip):
        assert registers(chip, "r8") == (1 + 2 + 3 + 4,)


def test_firmware_that_traps_divisions_by_zero_divides_without_leaving_its_run() -> None:
    program = f"""
    function start
     {TRAP_DIVISION_BY_ZERO}
     movs r2, #0
     movs r3, #200
    again:
     udiv r4, r3, r3
     add r2, r2, r4
     subs r3, #1
     bne again
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r2") == (200,)
        assert chip.runner.runs < 20


@pytest.mark.parametrize("divisor", [0, 3])
@pytest.mark.parametrize("flag", [0, 1])
def test_a_division_under_an_it_traps_only_when_it_is_executed(divisor: int, flag: int) -> None:
    program = f"""
    function start
     {TRAP_DIVISION_BY_ZERO}
     movs r2, #9
     movs r3, #{divisor}
     movs r4, #1
     movs r5, #{flag}
     cmp r5, #1
     ittt eq
     addeq r6, r5, #0
     udiveq r4, r2, r3
     addeq r4, r4, #4
     adds r4, #16
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        traps = flag and not divisor
        quotient = 3 + 4 if flag else 1
        assert registers(chip, "r4") == (1 if traps else quotient + 16,)
        assert memory_words(chip, CFSR, 1) == [DIVBYZERO if traps else 0]


def test_a_division_by_zero_in_a_loop_traps_with_its_own_address() -> None:
    program = f"""
    function start
     {TRAP_DIVISION_BY_ZERO}
     movs r3, #5
     movs r5, #0
    again:
     adds r5, #1
     subs r3, #1
    .global division
    division:
     sdiv r4, r5, r3
     b again
    function hard
     ldr r6, [sp, #24]
     ldr r7, =division
     subs r6, r6, r7
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r3", "r5", "r6") == (0, 5, 0)


def test_divisions_stop_trapping_when_firmware_says_so() -> None:
    program = f"""
    function start
     {TRAP_DIVISION_BY_ZERO}
     movs r2, #8
     movs r3, #0
     movs r5, #0
    again:
     udiv r4, r2, r3
     adds r5, #1
     cmp r5, #3
     bne again
     bkpt 0
    function hard
     ldr r0, =0xE000ED14
     ldr r1, [r0]
     bic r1, r1, #16
     str r1, [r0]
     adds r6, #1
     dsb
     bx lr
    """
    chip = chip_with(program)
    chip.core.write_register("r6", 0)
    with finished(program, chip):
        assert registers(chip, "r4", "r5", "r6") == (0, 3, 1)


def test_another_instruction_where_a_division_stood_does_not_trap() -> None:
    # A division in RAM, r4 = 8 / r3, that becomes `mov.w r4, r3`.
    program = f"""
    function start
     {TRAP_DIVISION_BY_ZERO}
     ldr r7, =0x20001000
     ldr r6, =0x20001001
     ldr r0, =0xF4F3FBB2
     str r0, [r7]
     movw r0, #0x{RETURN:04x}
     str r0, [r7, #4]
     movs r2, #8
     movs r3, #2
     dsb
     isb
     blx r6
     mov r8, r4
     ldr r0, =0x0403EA4F
     str r0, [r7]
     movs r3, #0
     dsb
     isb
     blx r6
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r8") == (0, 4)
        assert memory_words(chip, CFSR, 1) == [0]


@pytest.mark.parametrize("address", [SYSTEM_MEMORY, 0x1001_0000, 0x2003_0000, 0x6000_0000])
def test_a_store_that_fails_leaves_its_address(address: int) -> None:
    program = f"""
    function start
     ldr r0, =0x20000100
     ldr r1, =0x{address:08x}
     movs r2, #1
     str r2, [r0]
     str r2, [r1]
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        assert memory_words(chip, BFAR, 1) == [address]
