"""The STM32F4's flash controller: erasing, programming, its errors, and code that changes."""

import pytest
from emulated import (
    chip_with,
    finished,
    memory_words,
    registers,
)

UNLOCK = """
 ldr r7, =0x40023C00
 ldr r0, =0x45670123
 str r0, [r7, #4]
 ldr r0, =0xCDEF89AB
 str r0, [r7, #4]
"""
FLASH_SR = 0x4002_3C0C


def test_flash_is_erased_by_sector_and_programmed_by_size() -> None:
    program = f"""
    function start
    {UNLOCK}
     movs r0, #(2 << 3 | 2)
     str r0, [r7, #16]
     ldr r1, =0x10000
     orrs r0, r1
     str r0, [r7, #16]
     ldr r6, =0x08008000
     ldr r4, [r6]
     movs r0, #1
     str r0, [r7, #16]
     movs r1, #0x11
     strb r1, [r6]
     ldr r0, =0x101
     str r0, [r7, #16]
     ldr r1, =0x2233
     strh r1, [r6, #2]
     ldr r0, =0x201
     str r0, [r7, #16]
     ldr r1, =0x44556677
     str r1, [r6, #4]
     ldr r5, [r7, #12]
     bkpt 0
    """
    chip = chip_with(program)
    chip.memory.flash[0x8000:0x8010] = bytes(16)
    with finished(program, chip=chip):
        assert registers(chip, "r4", "r5") == (0xFFFF_FFFF, 0)
        assert memory_words(chip, 0x0800_8000, 2) == [0x2233_FF11, 0x4455_6677]


def test_programming_without_erasing_only_clears_bits() -> None:
    program = f"""
    function start
    {UNLOCK}
     ldr r0, =0x201
     str r0, [r7, #16]
     ldr r6, =0x08008000
     ldr r1, =0xFFFF0F0F
     str r1, [r6]
     ldr r1, =0x00FFFFFF
     str r1, [r6]
     bkpt 0
    """
    with finished(program) as chip:
        assert memory_words(chip, 0x0800_8000, 1) == [0x00FF_0F0F]


@pytest.mark.parametrize(
    ("control", "store", "error"),
    [
        (0x201, "strh r1, [r6]", 1 << 6),  # PGPERR: not the size that PSIZE says
        (0x001, "str r1, [r6]", 1 << 6),
        (0x201, "ldr r6, =0x08020000\n str r1, [r6]", 1 << 4),  # WRPERR: sector 5 is protected
    ],
)
def test_a_wrong_store_to_flash_sets_its_error_flag(control: int, store: str, error: int) -> None:
    program = f"""
    function start
    {UNLOCK}
     ldr r0, =0x08192A3B
     str r0, [r7, #8]
     ldr r0, =0x4C5D6E7F
     str r0, [r7, #8]
     ldr r0, [r7, #20]
     bic r0, #(1 << 21)
     str r0, [r7, #20]
     orr r0, #2
     str r0, [r7, #20]
     ldr r0, ={control}
     str r0, [r7, #16]
     ldr r6, =0x08008000
     movs r1, #0
     {store}
     ldr r4, [r7, #12]
     str r4, [r7, #12]
     ldr r5, [r7, #12]
     ldr r6, [r6]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5", "r6") == (error, 0, 0xFFFF_FFFF)


def test_locked_flash_does_not_change() -> None:
    program = """
    function start
     ldr r7, =0x40023C00
     ldr r0, =0x10012
     str r0, [r7, #16]
     ldr r4, [r7, #16]
     ldr r0, =0x45670123
     str r0, [r7, #4]
     str r0, [r7, #4]
     ldr r0, =0xCDEF89AB
     str r0, [r7, #4]
     ldr r5, [r7, #16]
     ldr r6, =0x08008000
     ldr r6, [r6]
     bkpt 0
    """
    chip = chip_with(program)
    chip.memory.flash[0x8000:0x8004] = bytes(4)
    with finished(program, chip=chip):
        # Locked before, and jammed by the wrong key after.
        assert registers(chip, "r4", "r5", "r6") == (0x8000_0000, 0x8000_0000, 0)


def test_code_that_is_programmed_anew_runs_as_it_now_is() -> None:
    program = f"""
    function start
    {UNLOCK}
     ldr r6, =0x08008001
     movs r0, #0
     blx r6
     mov r4, r0
     ldr r0, =0x10012
     str r0, [r7, #16]
     ldr r0, =0x101
     str r0, [r7, #16]
     subs r6, #1
     ldr r1, =0x3002
     strh r1, [r6]
     ldr r1, =0x4770
     strh r1, [r6, #2]
     adds r6, #1
     movs r0, #0
     blx r6
     mov r5, r0
     bkpt 0
    """
    chip = chip_with(program)
    chip.memory.flash[0x8000:0x8004] = bytes.fromhex("01307047")  # adds r0, #1; bx lr
    with finished(program, chip=chip):
        assert registers(chip, "r4", "r5") == (1, 2)
