"""The memory protection unit, by programs: ARM DDI 0403E B3.5."""

import pytest
from emulated import finished, memory_words, registers

CFSR, MMFAR = 0xE000_ED28, 0xE000_ED34
GUARD = 0x2000_4000
ENABLE, HFNMIENA, PRIVDEFENA = 1, 2, 4
NO_ACCESS, PRIVILEGED, READ_BY_USER, ALL, READ_ONLY = (ap << 24 for ap in (0, 1, 2, 3, 6))
XN, ON = 1 << 28, 1
BYTES_32, BYTES_256, BYTES_1K, ALL_MEMORY = 4 << 1, 7 << 1, 9 << 1, 31 << 1
MEM_MANAGE = 4
IACCVIOL, DACCVIOL, MSTKERR, MMARVALID = 1, 2, 0x10, 0x80

PROGRAM = """
function start
 ldr r0, =0xE000ED24
 ldr r1, =0x70000
 str r1, [r0]
 ldr r9, ={guard}
 ldr r2, =0x4770             @ bx lr
 str r2, [r9]
 ldr r0, =0xE000ED90
 {regions}
 movs r1, #{control}
 str r1, [r0, #4]
 movs r4, #0
 movs r5, #0
 movs r6, #0
 dsb
 isb
 {access}
 bkpt 0
function mem
 ldr r1, =0xE000ED28
 ldr r5, [r1]
 ldr r6, [r1, #12]
 adds r4, #1
 ldr r2, =over
 str r2, [sp, #24]
 bx lr
function svc
 movs r1, #0
 msr control, r1
 bx lr
function over
 svc 0
 ldr r1, =0xE000ED90
 movs r2, #0
 str r2, [r1, #4]
 bkpt 0
function hard
 ldr r7, [r9]
 bkpt 0
"""


def _program(access: str, *regions: tuple[int, int], control: int = ENABLE | PRIVDEFENA) -> str:
    lines = [
        f"""
         movs r1, #{number}
         str r1, [r0, #8]
         ldr r1, ={base}
         str r1, [r0, #12]
         ldr r1, ={attributes | ON}
         str r1, [r0, #16]
        """
        for number, (base, attributes) in enumerate(regions)
    ]
    return PROGRAM.format(guard=GUARD, regions="\n".join(lines), control=control, access=access)


def _ending_in_the_fault(program: str) -> str:
    return program.replace("function mem", "function mem\n bkpt 0")


def _faults(program: str) -> tuple[int, int, int]:
    """Return how many faults a program took, CFSR and MMFAR at the last."""
    with finished(program) as chip:
        count, status, address = registers(chip, "r4", "r5", "r6")
        return count, status, address


USER = "movs r1, #1\n msr control, r1\n isb\n"
STORE, LOAD = "str r9, [r9, #16]", "ldr r8, [r9, #16]"
HIT = (1, DACCVIOL | MMARVALID, GUARD + 16)
CLEAN = (0, 0, 0)
LARGE_CODE = (0x0800_0000, READ_ONLY | 20 << 1)
DATA = (0x2000_0000, ALL | 16 << 1)


@pytest.mark.parametrize(
    ("permission", "access", "outcome"),
    [
        (NO_ACCESS, LOAD, HIT), (NO_ACCESS, STORE, HIT),
        (PRIVILEGED, STORE, CLEAN), (PRIVILEGED, USER + LOAD, HIT),
        (READ_BY_USER, STORE, CLEAN), (READ_BY_USER, USER + STORE, HIT),
        (READ_BY_USER, USER + LOAD, CLEAN),
        (ALL, USER + STORE, CLEAN),
        (READ_ONLY, LOAD, CLEAN), (READ_ONLY, STORE, HIT), (READ_ONLY, USER + LOAD, CLEAN),
    ],
)  # fmt: skip
def test_access_permissions(permission: int, access: str, outcome: tuple[int, int, int]) -> None:
    """Table B3-15, for privileged code and for unprivileged code."""
    program = _program(access, LARGE_CODE, DATA, (GUARD, permission | BYTES_32))
    assert _faults(program) == outcome


def test_a_store_that_is_denied_leaves_memory_as_it_is() -> None:
    access = "ldr r1, =0x11111111\n str r1, [r9]\n"
    with finished(_program(access, (GUARD, READ_ONLY | BYTES_32))) as chip:
        assert memory_words(chip, GUARD, 1) == [0x4770]
        assert registers(chip, "r4", "r6") == (1, GUARD)


def test_a_load_that_is_denied_leaves_the_register_as_it_is() -> None:
    access = "movs r3, #42\n ldr r3, [r9]\n"
    with finished(_program(access, (GUARD, NO_ACCESS | BYTES_32))) as chip:
        assert registers(chip, "r3", "r4") == (42, 1)


def test_a_stack_that_has_grown_into_its_guard_is_told_to_the_fault_s_own_handler() -> None:
    """Its frame falls into the guard too, which escalates nothing: PM0214 section 2.4.2."""
    access = f"ldr r1, ={GUARD + 40}\n mov sp, r1\n push {{r0-r3, r8, r9, r10, r11}}\n"
    with finished(_ending_in_the_fault(_program(access, (GUARD, READ_ONLY | BYTES_32)))) as chip:
        assert registers(chip, "xpsr")[0] & 0x1FF == MEM_MANAGE
        assert memory_words(chip, CFSR, 2) == [DACCVIOL | MSTKERR | MMARVALID, 0]
        assert memory_words(chip, GUARD, 2) == [0x4770, 0]


def test_a_thread_s_stack_that_grows_into_its_guard_faults() -> None:
    access = f"""
     ldr r1, ={GUARD + 256}
     msr psp, r1
     movs r1, #2
     msr control, r1
     isb
    1: push {{r0-r3}}
     b 1b
    """
    with finished(_ending_in_the_fault(_program(access, (GUARD, READ_ONLY | BYTES_32)))) as chip:
        # The frame of the fault begins above the guard: one push of 16 B was to go into it.
        assert registers(chip, "xpsr")[0] & 0x1FF == MEM_MANAGE
        assert memory_words(chip, GUARD, 2) == [0x4770, 0]
        assert memory_words(chip, GUARD + 32, 1) != [0]


def test_an_exception_whose_frame_falls_into_the_guard_is_a_stacking_fault() -> None:
    access = f"ldr r1, ={GUARD + 32}\n mov sp, r1\n svc 0\n"
    with finished(_program(access, (GUARD, READ_ONLY | BYTES_32))) as chip:
        assert registers(chip, "r4", "r5") == (1, MSTKERR)
        assert memory_words(chip, GUARD, 2) == [0x4770, 0]


def test_instructions_are_not_fetched_where_xn_is_set() -> None:
    access = "add r1, r9, #1\n blx r1\n"
    assert _faults(_program(access, (GUARD, ALL | XN | BYTES_32))) == (1, IACCVIOL, 0)
    assert _faults(_program(access, (GUARD, ALL | BYTES_32))) == CLEAN


def test_code_that_ran_before_it_was_closed_is_not_fetched() -> None:
    access = f"""
     add r1, r9, #1
     blx r1
     ldr r2, =0xE000EDA0
     ldr r3, ={ALL | XN | BYTES_32 | ON}
     str r3, [r2]
     dsb
     isb
     blx r1
    """
    assert _faults(_program(access, (GUARD, ALL | BYTES_32))) == (1, IACCVIOL, 0)


def test_a_subregion_that_is_off_is_none() -> None:
    second = NO_ACCESS | BYTES_256 | 1 << 9
    access = "str r9, [r9, #32]\n str r9, [r9, #64]\n"
    assert _faults(_program(access, (GUARD, second))) == (1, DACCVIOL | MMARVALID, GUARD + 64)


def test_the_region_with_the_highest_number_decides() -> None:
    inner, outer = (GUARD, ALL | BYTES_32), (GUARD, NO_ACCESS | BYTES_1K)
    assert _faults(_program(STORE, outer, inner)) == CLEAN
    assert _faults(_program(STORE, inner, outer)) == HIT


def test_without_privdefena_there_is_nothing_beside_the_regions() -> None:
    access = "ldr r1, =0x40023800\n ldr r2, [r1]\n"
    program = _program(access, LARGE_CODE, DATA, control=ENABLE)
    assert _faults(program) == (1, DACCVIOL | MMARVALID, 0x4002_3800)
    devices = (0x4000_0000, ALL | 28 << 1)
    assert _faults(_program(access, LARGE_CODE, DATA, devices, control=ENABLE)) == CLEAN


def test_unprivileged_code_has_no_background() -> None:
    """Not even for the frame of its fault, which is stacked with its privilege."""
    with finished(_ending_in_the_fault(_program(USER + LOAD, LARGE_CODE))) as chip:
        status = DACCVIOL | MSTKERR | MMARVALID
        assert memory_words(chip, CFSR, 1) + memory_words(chip, MMFAR, 1) == [status, GUARD + 16]


PROBE = "movs r7, #0\n cpsid f\n isb\n ldr r7, [r9]\n"


def test_faultmask_opens_what_the_mpu_closes() -> None:
    with finished(_program(PROBE, (GUARD, NO_ACCESS | BYTES_32))) as chip:
        assert registers(chip, "r4", "r7") == (0, 0x4770)


def test_hfnmiena_keeps_it_closed() -> None:
    program = _program(PROBE, (GUARD, NO_ACCESS | BYTES_32), control=ENABLE | HFNMIENA | PRIVDEFENA)
    with pytest.raises(AssertionError, match="no BKPT"), finished(program):
        pass


def test_a_mpu_that_is_off_protects_nothing() -> None:
    assert _faults(_program(STORE, (GUARD, NO_ACCESS | BYTES_32), control=0)) == CLEAN


def test_registers_of_the_core_are_never_the_mpu_s() -> None:
    access = "ldr r1, =0xE000E010\n ldr r2, [r1]\n"
    assert _faults(_program(access, LARGE_CODE, DATA, control=ENABLE)) == CLEAN


def test_the_mpu_has_eight_regions() -> None:
    with finished(_program("ldr r7, [r0]\n")) as chip:
        assert registers(chip, "r7") == (0x800,)
