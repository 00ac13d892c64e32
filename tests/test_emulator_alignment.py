"""Unaligned loads and stores on the emulated core: which trap, and that those do nothing."""

import pytest
from emulated import finished, memory_words, registers, set_ccr, wait_until_halted

CFSR, HFSR = 0xE000_ED28, 0xE000_ED2C
UNALIGNED = 1 << 24
DATA = 0x2000_0100
POINTER = 0x2000_0200
FPU_ON = """
 ldr r0, =0xE000ED88
 ldr r1, =0x00F00000
 str r1, [r0]
 dsb
 isb
"""
ALL_TRAP = set_ccr(1 << 3)
ALWAYS = [
    "ldm r2, {r4, r5}", "ldm r2!, {r4, r5}", "ldmdb r2!, {r4, r5}", "stm r2!, {r4, r5}",
    "stmdb r2, {r4, r5}", "ldrd r4, r5, [r2]", "ldrd r4, r5, [r2], #8", "ldrd r4, r5, [r2, #-4]!",
    "strd r4, r5, [r2, #8]", "strd r4, r5, [r2, #8]!", "ldrex r4, [r2]", "strex r4, r5, [r2]",
    "vldr s0, [r2]", "vstr s0, [r2]", "vldm r2!, {s0-s3}", "vstmdb r2!, {s0-s3}",
    "vldr d0, [r2, #8]",
]  # fmt: skip
SINGLE = [
    "ldr r4, [r2]", "str r4, [r2]", "ldrh r4, [r2]", "ldrsh r4, [r2]", "strh r4, [r2]",
    "ldr r4, [r2], #4", "str r4, [r2, #4]!", "ldr r4, [r2, r5]", "str r4, [r2, r5, lsl #2]",
    "ldrt r4, [r2]", "strht r4, [r2]",
]  # fmt: skip
WAYS = {
    "known before the block": "ldr r2, ={address}\n b 1f\n 1: nop",
    "moved in the block": "ldr r2, ={address}\n subs r2, #6\n b 1f\n 1: adds r2, #6",
    "a sum in the block": "ldr r2, ={address}\n movs r3, #3\n subs r2, #3\n b 1f\n 1: add r2, r3",
    "loaded in the block": "ldr r2, ={address}\n ldr r3, =0x20000200\n str r2, [r3]\n movs r2, #0\n"
    " b 1f\n 1: ldr r2, [r3]",
    "worked out as nobody can tell": "ldr r2, ={address}\n movs r3, #1\n b 1f\n"
    " 1: muls r2, r3, r2\n nop",
}


def program(setting: str, way: str, instruction: str, address: int) -> str:
    return f"""
    function start
     {FPU_ON}
     {setting}
     ldr r7, =here
     movs r4, #4
     movs r5, #8
     {way.format(address=address)}
     nop
    here:
     {instruction}
     movs r6, #1
     bkpt 0
    function hard
     ldr r6, [sp, #24]
     bkpt 1
    """


def assert_trapped(source: str, address: int) -> None:
    with finished(source) as chip:
        here, stacked = registers(chip, "r7", "r6")
        assert memory_words(chip, CFSR, 1) == [UNALIGNED]
        assert memory_words(chip, HFSR, 1) == [1 << 30]
        assert stacked == here
        assert registers(chip, "r2", "r4", "r5") == (address, 4, 8)
        assert registers(chip, "s0") == (0,)
        assert memory_words(chip, address - 16 & ~3, 10) == [0] * 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("instruction", ["ldm r2!, {r4, r5}", "strd r4, r5, [r2, #8]!"])
def test_an_unaligned_access_traps_however_its_address_came_about(
    instruction: str, way: str
) -> None:
    assert_trapped(program("", WAYS[way], instruction, DATA + 2), DATA + 2)


@pytest.mark.parametrize("instruction", ALWAYS)
def test_multiple_exclusive_and_float_accesses_trap_whatever_ccr_says(instruction: str) -> None:
    way = WAYS["known before the block"]
    assert_trapped(program("", way, instruction, DATA + 2), DATA + 2)


@pytest.mark.parametrize("instruction", SINGLE)
def test_single_accesses_trap_when_ccr_says_so(instruction: str) -> None:
    way = WAYS["known before the block"]
    assert_trapped(program(ALL_TRAP, way, instruction, DATA + 1), DATA + 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_single_access_traps_however_its_address_came_about(way: str) -> None:
    assert_trapped(program(ALL_TRAP, WAYS[way], "str r4, [r2], #4", DATA + 2), DATA + 2)


@pytest.mark.parametrize("instruction", SINGLE)
def test_single_accesses_may_be_unaligned_otherwise(instruction: str) -> None:
    way = WAYS["known before the block"]
    with finished(program("", way, instruction, DATA + 1)) as chip:
        assert registers(chip, "r6") == (1,)
        assert memory_words(chip, CFSR, 1) == [0]


@pytest.mark.parametrize("way", WAYS)
def test_aligned_accesses_never_trap(way: str) -> None:
    every = "\n".join(f"{one}\n movs r5, #8\n ldr r2, ={DATA}" for one in ALWAYS + SINGLE)
    with finished(program(ALL_TRAP, WAYS[way], every, DATA)) as chip:
        assert registers(chip, "r6") == (1,)
        assert memory_words(chip, CFSR, 1) == [0]


@pytest.mark.parametrize(
    ("instruction", "traps"), [("ldrh r4, [r2]", False), ("ldr r4, [r2]", True)]
)
def test_halfwords_need_only_even_addresses(instruction: str, traps: bool) -> None:
    source = program(ALL_TRAP, WAYS["loaded in the block"], instruction, DATA + 2)
    with finished(source) as chip:
        assert memory_words(chip, CFSR, 1) == [UNALIGNED if traps else 0]


@pytest.mark.parametrize(("way"), WAYS)
@pytest.mark.parametrize(("condition", "traps"), [("eq", True), ("ne", False)])
def test_in_an_it_block_only_what_is_executed_traps(condition: str, traps: bool, way: str) -> None:
    other = {"eq": "ne", "ne": "eq"}[condition]
    instruction = f"cmp r4, #4\n itte {condition}\n mov{condition} r3, r3\n"
    instruction += f"ldrd{condition} r4, r5, [r2]\n mov{other} r8, r5"
    source = program("", WAYS[way], instruction, DATA + 2)
    with finished(source) as chip:
        assert memory_words(chip, CFSR, 1) == [UNALIGNED if traps else 0]
        assert registers(chip, "r4", "r5") == (4, 8)
        assert registers(chip, "r8") == (0 if traps else 8,)


def test_an_address_loaded_inside_an_it_block_traps_too() -> None:
    source = program(
        "",
        WAYS["loaded in the block"],
        "cmp r4, #4\n ittt eq\n ldreq r2, [r3]\n ldmeq r2, {r4, r5}\n moveq r8, r3",
        DATA + 2,
    )
    with finished(source) as chip:
        assert memory_words(chip, CFSR, 1) == [UNALIGNED]
        assert registers(chip, "r2", "r4", "r5", "r8") == (DATA + 2, 4, 8, 0)


def test_a_handler_can_mend_the_address_and_go_on() -> None:
    source = """
    function start
     ldr r0, =0xE000ED24
     ldr r1, =0x00070000
     str r1, [r0]
     ldr r2, =0x20000102
     movs r6, #3
    again:
     ldrd r4, r5, [r2], #8
     subs r6, #1
     bne again
     bkpt 0
    function usage
     ldr r8, [sp, #8]
     add r8, #2
     str r8, [sp, #8]
     add r7, #1
     bx lr
    """
    with finished(source) as chip:
        assert registers(chip, "r2", "r7") == (0x2000_0104 + 24, 1)


def test_a_loop_that_goes_astray_traps_in_that_round() -> None:
    source = """
    function start
     ldr r2, =0x20000100
     movs r6, #0
    again:
     ldm r2, {r4, r5}
     adds r6, #1
     add r2, r2, r6, lsr #2
     b again
    function hard
     bkpt 1
    """
    with finished(source) as chip:
        assert registers(chip, "r2", "r6") == (0x2000_0101, 4)


def test_a_step_onto_an_unaligned_access_ends_in_the_handler() -> None:
    source = program("", WAYS["known before the block"], "bkpt 0\n ldm r2, {r4, r5}", DATA + 2)
    with finished(source) as chip:
        chip.core.write_register("pc", chip.core.read_register("pc") + 2)
        chip.core.resume(step=True)
        wait_until_halted(chip)
        assert registers(chip, "ipsr") == (3,)
        assert memory_words(chip, CFSR, 1) == [UNALIGNED]


def test_new_code_is_not_under_the_suspicion_that_the_old_was() -> None:
    load_multiple, two_nops = bytes.fromhex("30ca00bf"), bytes.fromhex("00bf00bf")
    with finished("function start\n bkpt 0\nfunction hard\n b .") as chip:
        chip.bus.write(DATA, load_multiple)
        chip.core.write_register("r2", DATA + 2)
        chip.core.write_register("pc", DATA)
        chip.core.resume(step=True)
        wait_until_halted(chip)
        assert registers(chip, "ipsr") == (3,)
        assert DATA in chip.clock.suspects
        chip.bus.write(DATA, two_nops)
        assert DATA not in chip.clock.suspects


def test_the_stack_pointer_has_no_low_bits() -> None:
    source = """
    function start
     movs r0, #3
     add sp, r0
     b 1f
    1: mov r4, sp
     push {r0}
     pop {r5}
     bkpt 0
    """
    with finished(source) as chip:
        assert registers(chip, "r4", "r5") == (0x2001_0000, 3)
        assert memory_words(chip, CFSR, 1) == [0]
