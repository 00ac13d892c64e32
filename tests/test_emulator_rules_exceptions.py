"""Rules of exceptions, privilege and system control, by small programs: ARM DDI 0403E."""

import pytest
from emulated import finished, memory_words, registers

CFSR, HFSR = 0xE000_ED28, 0xE000_ED2C
INVSTATE, INVPC, FORCED = 1 << 17, 1 << 18, 1 << 30
ENABLE_FAULTS = """
 ldr r0, =0xE000ED24
 ldr r1, =0x70000
 str r1, [r0]
 dsb
 isb
"""
STATUS = """
 ldr r0, =0xE000ED28
 ldr r4, [r0]
 ldr r5, [r0, #4]
 mrs r6, ipsr
 bkpt 0
"""


def _ends_in_fault(body: str, handlers: str = "") -> tuple[int, int, int]:
    """Return CFSR, HFSR and the exception number in a fault's handler."""
    program = f"""
    function start
     {ENABLE_FAULTS}
     {body}
     bkpt 0
    function usage
     {STATUS}
    function hard
     {STATUS}
    {handlers}
    """
    with finished(program) as chip:
        status, hard, number = registers(chip, "r4", "r5", "r6")
        return status, hard, number


@pytest.mark.parametrize("value", [0xFFFF_FFF5, 0xFFFF_FFF3, 0xFFFF_FFFF])
def test_a_return_by_no_exc_return_is_a_usage_fault(value: int) -> None:
    """B1.5.8: EXC_RETURN[3:0] is 1, 9 or 13."""
    handlers = f"function svc\n ldr r0, ={value:#x}\n bx r0\n"
    assert _ends_in_fault("svc 0", handlers) == (INVPC, 0, 6)


def test_a_return_to_thread_mode_from_a_nested_handler_is_a_usage_fault() -> None:
    """B1.5.8: with CCR.NONBASETHRDENA clear, only the last handler returns to thread mode."""
    body = """
     ldr r0, =0xE000E400
     movs r1, #0x80
     strb r1, [r0]
     ldr r0, =0xE000E100
     movs r1, #1
     str r1, [r0]
     str r1, [r0, #0x100]
    1: b 1b
    """
    handlers = """
    function irq
     mov r3, lr
     svc 0
     bx lr
    function svc
     bx r3
    """
    status, _, number = _ends_in_fault(body, handlers)
    assert (status & INVPC, number) == (INVPC, 6)


def test_a_branch_without_the_thumb_bit_is_a_usage_fault() -> None:
    """B1.5.14: the execution state has no other instruction set."""
    assert _ends_in_fault("ldr r0, =0x08000000\n bx r0\n") == (INVSTATE, 0, 6)


def test_svc_that_cannot_preempt_escalates() -> None:
    """B1.5.3: a synchronous exception is never left waiting."""
    assert _ends_in_fault("cpsid i\n svc 0\n", "function svc\n bx lr\n") == (0, FORCED, 3)


UNPRIVILEGED = """
 movs r0, #1
 msr control, r0
 isb
"""


def test_unprivileged_code_changes_no_masks_and_not_its_privilege() -> None:
    """B5.2.3: MSR to PRIMASK, BASEPRI, FAULTMASK and CONTROL is ignored; CPS too."""
    program = f"""
    function start
     {UNPRIVILEGED}
     movs r1, #1
     msr primask, r1
     movs r1, #64
     msr basepri, r1
     cpsid i
     movs r1, #0
     msr control, r1
     isb
     svc 0
     bkpt 0
    function svc
     mrs r4, primask
     mrs r5, basepri
     mrs r6, control
     bkpt 0
    """
    with finished(program) as chip:
        primask, basepri, control = registers(chip, "r4", "r5", "r6")
        assert (primask, basepri, control & 1) == (0, 0, 1)


def test_unprivileged_code_reads_special_registers_as_zero() -> None:
    """B5.2.2: MRS of MSP, PSP and masks gives zero; CONTROL is readable."""
    program = f"""
    function start
     {UNPRIVILEGED}
     mrs r4, msp
     mrs r5, primask
     mrs r6, control
     bkpt 0
    """
    with finished(program) as chip:
        stack, mask, control = registers(chip, "r4", "r5", "r6")
        assert (stack, mask, control & 1) == (0, 0, 1)


def test_aircr_takes_nothing_without_its_key() -> None:
    """B3.2.6: VECTKEY."""
    program = """
    function start
     ldr r0, =0xE000ED0C
     ldr r1, =0x300
     str r1, [r0]
     ldr r4, [r0]
     ldr r1, =0x05FA0300
     str r1, [r0]
     ldr r5, [r0]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (0xFA05_0000, 0xFA05_0300)


def test_sleeponexit_sleeps_behind_the_last_handler() -> None:
    """B1.5.17: thread mode does not go on."""
    program = """
    function start
     ldr r0, =0xE000ED10
     movs r1, #2
     str r1, [r0]
     ldr r0, =0xE000E010
     ldr r1, =5000
     str r1, [r0, #4]
     movs r1, #7
     str r1, [r0]
     movs r4, #0
     movs r5, #0
    1: adds r5, #1
     b 1b
    function tick
     adds r4, #1
     cmp r4, #1
     it eq
     moveq r6, r5
     cmp r4, #3
     bne 2f
     bkpt 0
    2: bx lr
    """
    with finished(program) as chip:
        ticks, rounds, first = registers(chip, "r4", "r5", "r6")
        assert (ticks, rounds) == (3, first)


def test_faults_stay_noted_until_they_are_written_to() -> None:
    """B3.2.15: CFSR and HFSR are cleared by writing one."""
    program = """
    function start
     udf #0
    function hard
     ldr r0, =0xE000ED28
     movs r1, #0
     str r1, [r0]
     ldr r4, [r0]
     ldr r5, [r0, #4]
     str r4, [r0]
     str r5, [r0, #4]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (1 << 16, FORCED)
        assert memory_words(chip, CFSR, 1) + memory_words(chip, HFSR, 1) == [0, 0]
