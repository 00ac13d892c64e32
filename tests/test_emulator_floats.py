"""The FPU's registers across exceptions: lazily saved, saved at once, or left alone."""

import pytest
from emulated import chip_with, finished, memory_words, registers

FPCCR, FPCAR, CFSR = 0xE000_EF34, 0xE000_EF38, 0xE000_ED28
ONE, TWO, THREE = 0x3F80_0000, 0x4000_0000, 0x4040_0000
STACK = 0x2001_0000
FRAME = STACK - 104
ENTRY, RETURN, CHAIN, STATE = 12, 10, 6, 17
START = """
    function start
     ldr r0, =0xE000ED88
     ldr r1, =0x00F00000
     str r1, [r0]
     dsb
     isb
     ldr r8, =0xE000EF34
     ldr r9, =0xE0001000
"""
USE = """
     vmov.f32 s0, #1.0
     vmov.f32 s15, #2.0
"""
COUNTER_ON = """
     ldr r0, =0xE000EDFC
     ldr r1, =0x01000000
     str r1, [r0]
     movs r1, #1
     str r1, [r9]
"""


def test_room_is_reserved_and_nothing_saved_until_the_handler_uses_the_fpu() -> None:
    program = f"""
    {START}
    {USE}
     svc 0
     vmov r2, s0
     vmov r3, s15
     bkpt 0
    function svc
     mov r5, lr
     ldr r4, [r8]
     ldr r6, [r8, #4]
     mrs r7, control
     ldr r10, [sp, #32]
     vmov.f32 s0, #3.0
     vmov.f32 s15, #3.0
     ldr r11, [r8]
     ldr r12, [sp, #32]
     str r12, [r8, #-4]
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r5", "r6", "r7") == (0xFFFF_FFE9, FRAME + 32, 0)
        assert registers(chip, "r4", "r11") == (0xC000_0019, 0xC000_0018)
        assert registers(chip, "r10") == (0,)
        assert memory_words(chip, FRAME + 32, 16) == [ONE, *[0] * 14, TWO]
        assert registers(chip, "r2", "r3") == (ONE, TWO)


def test_a_handler_without_floats_leaves_the_frame_unwritten() -> None:
    program = f"""
    {START}
    {USE}
     svc 0
     vmov r2, s0
     bkpt 0
    function svc
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r2", "control") == (ONE, 4)
        assert memory_words(chip, FRAME + 32, 18) == [0] * 18
        assert memory_words(chip, FPCCR, 1) == [0xC000_0018]


def test_without_use_of_the_fpu_the_frame_is_short() -> None:
    program = f"""
    {START}
     svc 0
     bkpt 0
    function svc
     mov r5, lr
     mov r6, sp
     vmov.f32 s0, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r5", "r6") == (0xFFFF_FFF9, STACK - 32)
        assert registers(chip, "control") == (0,)


def test_without_lspen_the_registers_are_saved_at_once() -> None:
    program = f"""
    {START}
     ldr r1, =0x80000000
     str r1, [r8]
    {USE}
     svc 0
     vmov r2, s0
     bkpt 0
    function svc
     mov r5, lr
     ldr r4, [r8]
     ldr r10, [sp, #32]
     vmov.f32 s0, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r5", "r4") == (0xFFFF_FFE9, 0x8000_0000)
        assert registers(chip, "r10", "r2") == (ONE, ONE)


def test_without_aspen_the_registers_are_the_handlers_to_keep() -> None:
    program = f"""
    {START}
     movs r1, #0
     str r1, [r8]
    {USE}
     ldr r1, =0x00400000
     vmsr fpscr, r1
     svc 0
     vmov r2, s0
     vmrs r3, fpscr
     bkpt 0
    function svc
     mov r5, lr
     mov r6, sp
     vmov.f32 s0, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r5", "r6") == (0xFFFF_FFF9, STACK - 32)
        assert registers(chip, "r2", "r3") == (THREE, 0x0040_0000)


def test_an_interrupted_handler_keeps_two_lots_of_registers_apart() -> None:
    program = f"""
    {START}
     ldr r0, =0xE000E400
     movs r1, #0x40
     str r1, [r0]
     ldr r0, =0xE000ED1C
     ldr r1, =0x80000000
     str r1, [r0]
     ldr r0, =0xE000E100
     movs r1, #1
     str r1, [r0]
    {USE}
     svc 0
     vmov r2, s0
     bkpt 0
    function svc
     vmov.f32 s0, #2.0
     ldr r0, =0xE000E200
     movs r1, #1
     str r1, [r0]
     dsb
     isb
     vmov r4, s0
     bx lr
    function irq
     mov r5, lr
     ldr r6, [r8, #4]
     mov r7, sp
     vmov.f32 s0, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r2", "r4", "r5") == (ONE, TWO, 0xFFFF_FFE1)
        assert registers(chip, "r6") == (chip.core.read_register("r7") + 32,)
        assert registers(chip, "r7") == (FRAME - 104,)


def test_a_nested_handler_saves_what_the_outermost_left() -> None:
    program = f"""
    {START}
     ldr r0, =0xE000ED1C
     ldr r1, =0x80000000
     str r1, [r0]
     ldr r0, =0xE000E100
     movs r1, #1
     str r1, [r0]
    {USE}
     svc 0
     vmov r2, s0
     vmov r3, s15
     bkpt 0
    function svc
     ldr r0, =0xE000E200
     movs r1, #1
     str r1, [r0]
     dsb
     isb
     bx lr
    function irq
     mov r5, lr
     ldr r6, [r8, #4]
     vmov.f32 s0, #3.0
     vmov.f32 s15, #3.0
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r2", "r3") == (ONE, TWO)
        assert registers(chip, "r5", "r6") == (0xFFFF_FFF1, FRAME + 32)


def test_a_float_that_is_skipped_saves_nothing_and_one_in_an_it_block_does() -> None:
    program = f"""
    {START}
    {USE}
     svc 0
     bkpt 0
    function svc
     cmp r8, r8
     it ne
     vmovne.f32 s0, s1
     ldr r4, [r8]
     cmp r8, r8
     itt eq
     moveq r7, r7
     vmoveq.f32 s0, s1
     ldr r5, [r8]
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (0xC000_0019, 0xC000_0018)
        assert memory_words(chip, FRAME + 32, 1) == [ONE]


def test_fpdscr_is_what_fpscr_begins_with_in_a_handler() -> None:
    program = f"""
    {START}
     ldr r1, =0x03000000
     str r1, [r8, #8]
     dsb
     isb
    {USE}
     vmrs r4, fpscr
     ldr r1, =0x00400000
     vmsr fpscr, r1
     svc 0
     vmrs r2, fpscr
     bkpt 0
    function svc
     vmrs r5, fpscr
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5", "r2") == (0x0300_0000, 0x0300_0000, 0x0040_0000)


def test_a_stack_that_is_gone_when_the_registers_are_saved_is_a_bus_fault() -> None:
    program = f"""
    {START}
    {USE}
     svc 0
     bkpt 0
    function svc
     ldr r1, =0x60000000
     str r1, [r8, #4]
     vmov.f32 s0, #3.0
     bkpt 0
    function hard
     ldr r6, [sp, #24]
     bkpt 1
    """
    with finished(program) as chip:
        assert memory_words(chip, CFSR, 1) == [1 << 13]
        assert registers(chip, "ipsr") == (3,)


def cycles(settings: str, in_handler: str) -> int:
    """Return the cycles of an SVC, from before it to behind it."""
    program = f"""
    {START}
    {COUNTER_ON}
    {settings}
     b 1f
    1:
     ldr r4, [r9, #4]
     svc 0
     ldr r5, [r9, #4]
     bkpt 0
    function svc
     {in_handler}
     bx lr
    """
    with finished(program) as chip:
        before, after = registers(chip, "r4", "r5")
        return after - before


NOT_LAZY = "ldr r1, =0x80000000\n str r1, [r8]\n"


@pytest.mark.parametrize(
    ("settings", "in_handler", "more"),
    [
        (USE, "nop", 0),
        (USE, "vmov.f32 s0, #1.0", 2 * STATE),
        (NOT_LAZY + USE, "nop", 2 * STATE),
        (NOT_LAZY + USE, "vmov.f32 s0, #1.0", 2 * STATE),
        ("", "vmov.f32 s0, #1.0", 0),
    ],
    ids=["lazy unused", "lazy used", "at once", "at once, used", "nothing to save"],
)
def test_saving_and_restoring_takes_a_cycle_a_word(
    settings: str, in_handler: str, more: int
) -> None:
    assert cycles(settings, in_handler) - cycles("", "nop") == more


def test_a_handler_behind_another_costs_six_cycles_and_one_frame() -> None:
    def total(pending: int) -> tuple[int, int]:
        program = f"""
        {START}
        {COUNTER_ON}
         ldr r0, =0xE000E100
         movs r1, #3
         str r1, [r0]
         ldr r0, =0xE000E200
         movs r1, #{pending}
         movs r7, #0
         cpsid i
         str r1, [r0]
         dsb
         ldr r4, [r9, #4]
         cpsie i
         isb
         ldr r5, [r9, #4]
         bkpt 0
        function irq
         adds r7, #1
         mov r6, sp
         bx lr
        """
        with finished(program) as chip:
            before, after, handled, stack = registers(chip, "r4", "r5", "r7", "r6")
            assert handled == pending.bit_count()
            assert stack == STACK - 32
            return after - before, handled

    handler = 3  # ADDS, MOV, BX LR; what the branch takes longer is part of the six
    one, two = total(1)[0], total(3)[0]
    assert two - one == CHAIN + handler


def test_chained_handlers_save_the_registers_once() -> None:
    program = f"""
    {START}
     ldr r0, =0xE000E100
     movs r1, #3
     str r1, [r0]
    {USE}
     cpsid i
     ldr r0, =0xE000E200
     str r1, [r0]
     dsb
     cpsie i
     isb
     vmov r2, s0
     bkpt 0
    function irq
     adds r7, #1
     vmov.f32 s0, #3.0
     ldr r6, [sp, #32]
     bx lr
    """
    chip = chip_with(program)
    with finished(program, chip):
        assert registers(chip, "r7", "r2") == (2, ONE)
        assert registers(chip, "r6") == (ONE,)
