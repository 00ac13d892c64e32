"""Exceptions of the emulated core, by programs that take them."""

import pytest
from emulated import chip_with, finished, memory_words, registers, running, set_ccr

CFSR, HFSR, BFAR = 0xE000_ED28, 0xE000_ED2C, 0xE000_ED38
HARD_FAULT = 3
ENABLE_FAULTS = """
 ldr r0, =0xE000ED24
 ldr r1, =0x00070000
 str r1, [r0]
"""


def test_svc_stacks_the_caller_and_returns_behind_itself() -> None:
    program = """
    function start
     movs r0, #1
     movs r1, #2
     movs r2, #3
     movs r3, #4
     svc 7
     adds r4, #1
     bkpt 0
    function svc
     mrs r5, ipsr
     ldr r6, [sp, #24]
     ldrb r6, [r6, #-2]
     movs r4, #40
     movs r0, #99
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r0", "r1", "r2", "r3") == (1, 2, 3, 4)
        assert registers(chip, "r4", "r5", "r6") == (41, 11, 7)


def test_an_exception_aligns_the_stack_and_restores_it() -> None:
    program = """
    function start
     sub sp, #4
     mov r7, sp
     svc 0
     mov r6, sp
     bkpt 0
    function svc
     mov r5, sp
     bx lr
    """
    with finished(program) as chip:
        before, inside, after = registers(chip, "r7", "r5", "r6")
        assert before == after
        assert inside % 8 == 0
        assert inside == before - 4 - 32


def test_an_exception_keeps_the_float_registers() -> None:
    program = """
    function start
     ldr r0, =0xE000ED88
     ldr r1, =0x00F00000
     str r1, [r0]
     dsb
     isb
     vmov.f32 s0, #1.0
     vmov.f32 s15, #2.0
     svc 0
     vmov r2, s0
     vmov r3, s15
     bkpt 0
    function svc
     mov r5, lr
     vmov.f32 s0, #3.0
     vmov.f32 s15, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r2", "r3") == (0x3F80_0000, 0x4000_0000)
        assert registers(chip, "r5") == (0xFFFF_FFE9,)


def test_thread_mode_on_the_process_stack_comes_back_to_it() -> None:
    program = """
    function start
     ldr r0, =0x20008000
     msr psp, r0
     movs r0, #3
     msr control, r0
     isb
     svc 0
     mov r6, sp
     mrs r7, control
     bkpt 0
    function svc
     mov r5, lr
     mov r4, sp
     mrs r8, psp
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r5", "r4", "r8") == (0xFFFF_FFFD, 0x2001_0000, 0x2000_8000 - 32)
        assert registers(chip, "r6", "r7") == (0x2000_8000, 3)


def test_pendsv_waits_until_primask_is_cleared() -> None:
    program = """
    function start
     cpsid i
     ldr r0, =0xE000ED04
     ldr r1, =0x10000000
     str r1, [r0]
     isb
     movs r4, #1
     movs r4, #2
     cpsie i
     isb
     movs r4, #3
     bkpt 0
    function pendsv
     mov r5, r4
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (3, 2)


def test_basepri_holds_back_only_what_is_not_urgent_enough() -> None:
    program = """
    function start
     ldr r0, =0xE000E400
     ldr r1, =0x8040
     str r1, [r0]
     movs r1, #3
     ldr r0, =0xE000E100
     str r1, [r0]
     movs r1, #0x60
     msr basepri, r1
     movs r6, #0
     movs r1, #3
     ldr r0, =0xE000E200
     str r1, [r0]
     isb
     mov r4, r6
     movs r1, #0
     msr basepri, r1
     isb
     mov r5, r6
     bkpt 0
    function irq
     mrs r0, ipsr
     lsls r6, r6, #8
     orrs r6, r0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (16, 16 << 8 | 17)


def test_a_more_urgent_interrupt_preempts_a_handler_and_a_less_urgent_one_waits() -> None:
    program = """
    function start
     ldr r0, =0xE000E400
     ldr r1, =0x20806040
     str r1, [r0]
     movs r1, #15
     ldr r0, =0xE000E100
     str r1, [r0]
     ldr r0, =0xE000E200
     movs r7, #0
     movs r1, #2
     str r1, [r0]
     isb
     bkpt 0
    function irq
     push {r4, lr}
     mrs r4, ipsr
     lsls r7, #4
     subs r2, r4, #15
     orrs r7, r2
     cmp r4, #17
     bne 1f
     ldr r0, =0xE000E200
     movs r1, #13
     str r1, [r0]
     isb
    1: lsls r7, #4
     subs r2, r4, #15
     orrs r7, r2
     pop {r4, pc}
    """
    with finished(program) as chip:
        # 1 (priority 0x60) is running; 0 (0x40) and 3 (0x20) preempt it, 3 first; 2 (0x80) waits.
        assert registers(chip, "r7") == (0x2441_1233,)


def test_systick_interrupts_at_its_period() -> None:
    program = """
    function start
     ldr r0, =0xE000E010
     ldr r1, =999
     str r1, [r0, #4]
     str r1, [r0, #8]
     movs r1, #7
     str r1, [r0]
     movs r4, #0
    1: cmp r4, #3
     blo 1b
     bkpt 0
    function tick
     adds r4, #1
     bx lr
    """
    with finished(program) as chip:
        assert chip.clock.run.cycles == pytest.approx(3000, abs=60)


def test_wfi_sleeps_until_an_interrupt_is_pending_even_with_primask_set() -> None:
    program = """
    function start
     cpsid i
     ldr r0, =0xE000E010
     ldr r1, =100000
     str r1, [r0, #4]
     movs r1, #7
     str r1, [r0]
     movs r4, #0
     wfi
     movs r4, #1
     mov r6, r5
     cpsie i
     isb
     bkpt 0
    function tick
     movs r5, #1
     str r1, [r0, #8]
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r6", "r5") == (1, 0, 1)
        assert chip.clock.run.cycles >= 100_000


@pytest.mark.parametrize(
    ("faulting", "cfsr", "bfar"),
    [
        ("ldr r0, =0x60000000\n ldr r1, [r0]", 0x8200, 0x6000_0000),
        ("ldr r0, =0x2FFFFFFC\n str r1, [r0]", 0x8200, 0x2FFF_FFFC),
        ("ldr r0, =0x08010000\n str r1, [r0]", 0x8200, 0x0801_0000),
        ("ldr r0, =0x60000001\n bx r0", 0x100, None),
        ("ldr r0, =0x10000001\n bx r0", 0x100, None),
        ("ldr r0, =0x40000001\n bx r0", 0x1, None),
        ("ldr r0, =start\n subs r0, #1\n bx r0", 0x2_0000, None),
        ("udf 0", 0x1_0000, None),
        ("vmov.f32 s0, #1.0", 0x8_0000, None),
        ("cdp p3, #0, c0, c0, c0, #0", 0x8_0000, None),
    ],
    ids=[
        "load from nothing", "store to nothing", "store to flash", "fetch from nothing",
        "fetch from CCM", "fetch from a peripheral", "no Thumb bit", "undefined", "FPU off",
        "no coprocessor",
    ],
)  # fmt: skip
def test_a_fault_that_is_not_enabled_escalates(faulting: str, cfsr: int, bfar: int | None) -> None:
    program = f"""
    function start
     movs r4, #1
     {faulting}
     movs r4, #2
     bkpt 0
    function hard
     mrs r5, ipsr
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (1, HARD_FAULT)
        assert memory_words(chip, CFSR, 1) == [cfsr]
        assert memory_words(chip, HFSR, 1) == [1 << 30]
        if bfar is not None:
            assert memory_words(chip, BFAR, 1) == [bfar]


@pytest.mark.parametrize(
    ("faulting", "number"),
    [("ldr r0, =0x60000000\n ldr r1, [r0]", 5), ("udf 0", 6), ("ldr r0, =0x40000001\n bx r0", 4)],
)
def test_an_enabled_fault_has_its_own_handler(faulting: str, number: int) -> None:
    program = f"""
    function start
    {ENABLE_FAULTS}
     {faulting}
     bkpt 0
    function mem
     b note
    function bus
     b note
    function usage
     b note
    note:
     mrs r5, ipsr
     ldr r6, [sp, #24]
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r5") == (number,)


def test_a_fault_stacks_the_address_of_the_faulting_instruction() -> None:
    program = """
    function start
     ldr r0, =0x60000000
     ldr r7, =here
     nop
     nop
    here:
     ldr r1, [r0]
     nop
     bkpt 0
    function hard
     ldr r6, [sp, #24]
     bkpt 1
    """
    with finished(program) as chip:
        here, stacked = registers(chip, "r7", "r6")
        assert stacked == here


def test_the_fpu_works_once_cpacr_lets_it() -> None:
    program = """
    function start
     ldr r0, =0xE000ED88
     ldr r1, =0x00F00000
     str r1, [r0]
     dsb
     isb
     vmov.f32 s0, #1.5
     vadd.f32 s0, s0, s0
     vmov r4, s0
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4") == (0x4040_0000,)


def test_the_fpu_traps_again_when_cpacr_takes_it_back() -> None:
    program = """
    function start
     movs r4, #0
     ldr r0, =0xE000ED88
     ldr r1, =0x00F00000
    again:
     str r1, [r0]
     dsb
     isb
     vmov.f32 s0, #1.5
     adds r4, #1
     movs r1, #0
     b again
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r4") == (1,)
        assert memory_words(chip, CFSR, 1) == [0x8_0000]


@pytest.mark.parametrize(("trap", "expected"), [(0, 0), (1, 0x0200_0000)])
def test_division_by_zero_traps_as_ccr_says(trap: int, expected: int) -> None:
    program = f"""
    function start
     {set_ccr(trap << 4)}
     movs r2, #5
     movs r3, #0
     udiv r4, r2, r2
     udiv r4, r2, r3
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r4") == (1 if trap else 0,)
        assert memory_words(chip, CFSR, 1) == [expected]


def test_a_stack_that_overflows_into_nothing_is_a_stacking_fault() -> None:
    program = """
    function start
     ldr r0, =0x20000010
     mov sp, r0
     svc 0
     bkpt 0
    function svc
     bkpt 2
    function hard
     mrs r5, ipsr
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r5") == (HARD_FAULT,)
        assert memory_words(chip, CFSR, 1) == [0x1000]


def test_a_fault_in_the_hard_fault_handler_locks_the_core_up() -> None:
    program = """
    function start
     udf 0
    function hard
     udf 1
    """
    with running(chip_with(program)) as chip:
        for _ in range(1000):
            chip.core.linger()
            if chip.core.locked_up:
                break
        assert chip.core.locked_up


@pytest.mark.parametrize("urgent", ["bus", "svc"])
def test_an_exception_whose_frame_fails_runs_behind_the_fault_or_before_it(urgent: str) -> None:
    of_fault, of_call = (0x20, 0x40) if urgent == "bus" else (0x40, 0x20)
    program = f"""
    function start
     {ENABLE_FAULTS}
     ldr r1, ={of_fault << 8}
     str r1, [r0, #-12]
     ldr r1, ={of_call << 24}
     str r1, [r0, #-8]
     movs r4, #0
     ldr r1, =0x20000010
     mov sp, r1
     svc 0
    function svc
     ldr r1, =0x20001000
     mov sp, r1
     lsls r4, r4, #4
     adds r4, #11
     b go_on
    function bus
     ldr r1, =0x20001000
     mov sp, r1
     lsls r4, r4, #4
     adds r4, #5
    function go_on
     cmp r4, #16
     bls 1f
     bkpt 0
    1: mvn r1, #0x16               @ EXC_RETURN: to the thread
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4") == (0x5B if urgent == "bus" else 0xB5,)
        assert memory_words(chip, CFSR, 2) == [0x1000, 0]
