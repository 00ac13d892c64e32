"""Rules of the ARMv7-M manual, one by one, each by a small program. docs/emulator.md lists them."""

import pytest
from emulated import chip_with, finished, memory_words, registers, set_ccr

from hil.targets.emulator.core.decode import decode

CFSR, BFAR = 0xE000_ED28, 0xE000_ED38
ENABLE_FAULTS = """
 ldr r0, =0xE000ED24
 ldr r1, =0x70000
 str r1, [r0]
"""
SKIP_AND_NOTE = """
 ldr r0, =0xE000ED28
 ldr r7, [r0]
 ldr r1, [sp, #24]
 adds r1, #4
 str r1, [sp, #24]
 adds r6, #1
 bx lr
"""


def test_systick_holds_its_value_while_it_stands_and_goes_on_from_there() -> None:
    """ARM DDI 0403E B3.3.1: clearing ENABLE stops the counter, its value stays."""
    program = """
    function start
     ldr r0, =0xE000E010
     ldr r1, =50000
     str r1, [r0, #4]
     str r1, [r0, #8]
     movs r1, #5
     str r1, [r0]
     ldr r3, =1000
    1: subs r3, #1
     bne 1b
     movs r1, #4
     str r1, [r0]
     ldr r4, [r0, #8]
     ldr r3, =1000
    1: subs r3, #1
     bne 1b
     ldr r5, [r0, #8]
     movs r1, #5
     str r1, [r0]
     ldr r6, [r0, #8]
     bkpt 0
    """
    with finished(program) as chip:
        held, later, going = registers(chip, "r4", "r5", "r6")
        assert 40_000 < held < 49_000
        assert later == held
        assert held - 100 < going <= held


def test_systick_takes_a_new_reload_value_when_it_reloads() -> None:
    """ARM DDI 0403E B3.3.4: LOAD is what the counter starts from when it next reaches zero."""
    program = """
    function start
     ldr r0, =0xE000E010
     ldr r1, =50000
     str r1, [r0, #4]
     str r1, [r0, #8]
     movs r1, #5
     str r1, [r0]
     ldr r3, =100
    1: subs r3, #1
     bne 1b
     ldr r1, =999
     str r1, [r0, #4]
     ldr r4, [r0, #8]
    1: ldr r2, [r0]
     lsls r2, r2, #15
     bpl 1b
     ldr r5, [r0, #8]
     bkpt 0
    """
    with finished(program) as chip:
        before, after = registers(chip, "r4", "r5")
        assert 49_000 < before < 50_000
        assert 900 < after < 1000
        assert chip.clock.run.cycles == pytest.approx(50_000, abs=100)


def test_systick_stands_at_zero_with_a_reload_value_of_zero() -> None:
    """ARM DDI 0403E B3.3.4: a reload value of 0 has the counter stop when it next gets to zero."""
    program = """
    function start
     ldr r0, =0xE000E010
     ldr r1, =300
     str r1, [r0, #4]
     str r1, [r0, #8]
     movs r1, #5
     str r1, [r0]
     movs r1, #0
     str r1, [r0, #4]
     ldr r3, =2000
    1: subs r3, #1
     bne 1b
     ldr r4, [r0]
     ldr r5, [r0, #8]
     ldr r3, =2000
    1: subs r3, #1
     bne 1b
     ldr r6, [r0]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5", "r6") == (0x1_0005, 0, 5)


PENDED = """
function start
 ldr r0, =0xE000E200
 movs r1, #32
 cpsid i
 {first}
 str r1, [r0]
 dsb
 ldr r2, =0xE000ED04
 ldr r4, [r2]
 bkpt 0
function irq
 bx lr
"""
ENABLE = "ldr r2, =0xE000E100\n str r1, [r2]"
MASK = "movs r2, #16\n msr basepri, r2"


@pytest.mark.parametrize(
    ("first", "shown"),
    [("", 0), (ENABLE, 21), (ENABLE + "\n" + MASK, 21), (ENABLE + "\n cpsid f", 0)],
    ids=["disabled", "primask", "basepri that lets it through", "faultmask"],
)
def test_vectpending_shows_what_is_enabled_and_not_masked(first: str, shown: int) -> None:
    """ARM DDI 0403E B3.2.4, Cortex-M4 Devices Generic User Guide 4.3.3."""
    with finished(PENDED.format(first=first)) as chip:
        assert registers(chip, "r4")[0] >> 12 & 0x1FF == shown


@pytest.mark.parametrize("it", ["", "movs r2, #0\n itt eq"], ids=["plain", "in an IT block"])
@pytest.mark.parametrize(
    "access", ["ldr{c}.w r4, [r0]", "str{c}.w r4, [r0]", "ldrd{c} r4, r5, [r0]"]
)
def test_bfhfnmign_lets_a_probe_under_faultmask_go_on(access: str, it: str) -> None:
    """ARM DDI 0403E B3.2.8: at priority -1 or -2 a data bus fault is noted, and ignored."""
    program = f"""
    function start
     {set_ccr(1 << 8)}
     movs r4, #1
     movs r5, #1
     movs r6, #0
     cpsid f
     ldr r0, =0x60000000
     {it}
     {access.format(c="eq" if it else "")}
     add{"eq" if it else "s"} r6, #1
     cpsie f
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r6") == (1,)
        assert memory_words(chip, CFSR, 1) == [0x8200]
        assert memory_words(chip, BFAR, 1) == [0x6000_0000]


def test_without_faultmask_bfhfnmign_ignores_nothing() -> None:
    """ARM DDI 0403E B3.2.8."""
    program = f"""
    function start
     {set_ccr(1 << 8)}
     movs r6, #0
     ldr r0, =0x60000000
     ldr r4, [r0]
     bkpt 0
    function hard
     movs r6, #1
     bkpt 1
    """
    with finished(program) as chip:
        assert registers(chip, "r6") == (1,)


@pytest.mark.parametrize(
    ("bit", "trapping", "cfsr"),
    [
        (1 << 4, "udiv r4, r2, r3", 0x0200_0000),
        (1 << 3, "ldr.w r4, [r5]", 0x0100_0000),
    ],
    ids=["DIV_0_TRP", "UNALIGN_TRP"],
)
def test_a_trap_of_ccr_is_in_force_for_the_very_next_instruction(
    bit: int, trapping: str, cfsr: int
) -> None:
    """ARM DDI 0403E A3.7.3, B3.2.8: stores to the system control space take effect in order."""
    program = f"""
    function start
     {ENABLE_FAULTS}
     movs r2, #9
     movs r3, #0
     movs r6, #0
     ldr r5, =0x20000101
     ldr r0, =0xE000ED14
     ldr r1, [r0]
     orr r1, r1, #{bit}
     str r1, [r0]
     {trapping}
     bkpt 0
    function usage
     {SKIP_AND_NOTE}
    """
    with finished(program) as chip:
        assert registers(chip, "r6", "r7") == (1, cfsr)


UNPRIVILEGED = """
function start
 {enable}
 movs r6, #0
 ldr r5, =0xE000E014
 ldr r4, =12345
 str r4, [r5]
 movs r1, #1
 msr control, r1
 isb
 movs r1, #7
 {access}
 svc 0
function bus
 {note}
function svc
 ldr r3, [r5]
 bkpt 0
"""


@pytest.mark.parametrize("access", ["ldr.w r1, [r5]", "str.w r1, [r5]", "ldrb.w r1, [r5]"])
def test_unprivileged_code_may_not_touch_the_system_registers(access: str) -> None:
    """ARM DDI 0403E B3.1.1: such an access is a precise BusFault."""
    program = UNPRIVILEGED.format(enable=ENABLE_FAULTS, access=access, note=SKIP_AND_NOTE)
    with finished(program) as chip:
        assert registers(chip, "r1", "r3", "r6", "r7") == (7, 12345, 1, 0x8200)
        assert memory_words(chip, BFAR, 1) == [0xE000_E014]


@pytest.mark.parametrize("access", ["ldreq.w r1, [r5]", "streq.w r1, [r5]"])
def test_an_it_block_hides_no_unprivileged_access(access: str) -> None:
    """ARM DDI 0403E B3.1.1; the fault is taken behind the block here, not before the access."""
    access = f"cmp r6, r6\n it eq\n {access}"
    note = SKIP_AND_NOTE.replace(" adds r1, #4", "")
    program = UNPRIVILEGED.format(enable=ENABLE_FAULTS, access=access, note=note)
    with finished(program) as chip:
        assert registers(chip, "r3", "r6", "r7") == (12345, 1, 0x8200)


@pytest.mark.parametrize(("allowed", "faults"), [(0, 1), (2, 0)])
def test_usersetmpend_lets_unprivileged_code_pend_an_interrupt(allowed: int, faults: int) -> None:
    """ARM DDI 0403E B3.2.26, STIR."""
    program = f"""
    function start
     {ENABLE_FAULTS}
     {set_ccr(allowed)}
     movs r6, #0
     movs r4, #0
     ldr r0, =0xE000E100
     movs r1, #32
     str r1, [r0]
     ldr r5, =0xE000EF00
     movs r1, #1
     msr control, r1
     isb
     movs r1, #5
     str.w r1, [r5]
     dsb
     isb
     svc 0
    function irq
     movs r4, #1
     bx lr
    function bus
     {SKIP_AND_NOTE}
    function svc
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r6") == (1 - faults, faults)


@pytest.mark.parametrize(
    "instruction",
    ["mcr p15, 0, r0, c1, c0, 0", "mrc p14, 0, r0, c1, c0, 0", "cdp p7, 1, c1, c2, c3, 4",
     "ldc p5, c1, [r5]", "mcrr p6, 0, r0, r1, c2", ".inst.w 0xFE010F10"],
)  # fmt: skip
def test_a_coprocessor_that_is_not_there_is_a_usage_fault(instruction: str) -> None:
    """ARM DDI 0403E B1.5.14: NOCP; A5.3.18 has the encodings, Advanced SIMD's among them."""
    program = f"""
    function start
     {ENABLE_FAULTS}
     movs r6, #0
     ldr r5, =0x20000100
     {instruction}
     bkpt 0
    function usage
     {SKIP_AND_NOTE}
    """
    with finished(program) as chip:
        assert registers(chip, "r6", "r7") == (1, 0x8_0000)


@pytest.mark.parametrize(
    "setter",
    ["sev", "svc 0", "cmp r0, r0\n ittt eq\n nopeq\n seveq\n nopeq", "bl elsewhere"],
    ids=["SEV", "exception return", "SEV in an IT block", "SEV far away"],
)
def test_wfe_goes_on_at_once_while_the_event_register_is_set(setter: str) -> None:
    """ARM DDI 0403E B1.5.18: set by SEV and by exception return, cleared by the WFE."""
    program = f"""
    function start
     {setter}
     wfe
     bkpt 0
    function svc
     bx lr
    .space 600
    function elsewhere
     sev
     bx lr
    """
    with finished(program) as chip:
        assert chip.clock.run.cycles < 200


SLEEP = """
function start
 {before}
 ldr r0, =0xE000E010
 ldr r1, =9999
 str r1, [r0, #4]
 str r1, [r0, #8]
 movs r1, #7
 str r1, [r0]
 movs r4, #0
 wfe
 mov r5, r4
 bkpt 0
function tick
 movs r4, #1
 bx lr
"""


@pytest.mark.parametrize(
    ("before", "ticked"),
    [("", 1), ("cmp r0, r0\n it ne\n sevne", 1), ("sev\n wfe", 1),
     ("cpsid i\n ldr r0, =0xE000ED10\n movs r1, #16\n str r1, [r0]", 0)],
    ids=["a tick that is taken", "no SEV", "an event used up", "SEVONPEND with PRIMASK"],
)  # fmt: skip
def test_wfe_sleeps_until_an_event(before: str, ticked: int) -> None:
    """ARM DDI 0403E B1.5.18: an exception that is taken, or with SEVONPEND a pending one."""
    with finished(SLEEP.format(before=before)) as chip:
        assert registers(chip, "r5") == (ticked,)
        assert chip.clock.run.cycles == pytest.approx(10_000, abs=150)


ITM_TEXT = """
function start
 ldr r0, =0xE000EDFC
 ldr r1, ={tracing}
 str r1, [r0]
 ldr r0, =0xE0000E80
 ldr r1, =0x10005
 str r1, [r0]
 ldr r0, =0xE0000E00
 movs r1, #{ports}
 str r1, [r0]
 ldr r0, =0xE0000000
 movs r1, #'H'
 strb r1, [r0]
 movs r1, #'!'
 strb r1, [r0, #4]
 ldr r1, =0x0A494148
 str r1, [r0]
 ldr r4, [r0]
 ldr r5, [r0, #4]
 bkpt 0
"""


@pytest.mark.parametrize(
    ("tracing", "ports", "ready", "text"),
    [(1 << 24, 1, (1, 0), b"HHAI\n"), (1 << 24, 2, (0, 1), b""), (0, 3, (0, 0), b"")],
    ids=["port 0", "port 1", "without TRCENA"],
)
def test_itm_ports_are_ready_while_they_are_enabled(
    tracing: int, ports: int, ready: tuple[int, int], text: bytes
) -> None:
    """ARM DDI 0403E C1.7.3: a port reads as 1 once it takes a word, as 0 while it is disabled."""
    source = ITM_TEXT.format(tracing=tracing, ports=ports)
    chip, written = chip_with(source), bytearray()
    chip.itm.tap = written.extend
    with finished(source, chip=chip):
        assert registers(chip, "r4", "r5") == ready
        assert bytes(written) == text


@pytest.mark.parametrize("instruction", [".inst.w 0xEF4AFEA5", ".inst.w 0xEF7AB9A4"])
def test_advanced_simd_is_undefined(instruction: str) -> None:
    """ARM DDI 0403E A5.3.18, A6.4: no such instruction, and no register beyond D15."""
    program = f"""
    function start
     {ENABLE_FAULTS}
     movs r6, #0
     {instruction}
     bkpt 0
    function usage
     {SKIP_AND_NOTE}
    """
    with finished(program) as chip:
        assert registers(chip, "r6", "r7") == (1, 0x1_0000)


OTHER_CORES = {
    "SG": (0xE97F, 0xE97F), "TT": (0xE841, 0xF000), "LDA": (0xE8D1, 0x0FAF),
    "STL": (0xE8C1, 0x0FAF), "LDAEX": (0xE8D1, 0x0FEF), "LDREXD": (0xE8D1, 0x237F),
    "VSELEQ.F32": (0xFE00, 0x0A00), "VMAXNM.F32": (0xFE80, 0x0A00),
    "VRINTA.F32": (0xFEB8, 0x0A40), "VRINTR.F32": (0xEEB6, 0x0A40),
    "VRINTX.F32": (0xEEB7, 0x0A40), "VCVTA.S32.F32": (0xFEBC, 0x0AC0),
    "VADD.F64": (0xEE30, 0x0B00), "VSQRT.F64": (0xEEB1, 0x0BC0), "BLX to Arm": (0xF000, 0xE800),
    "SETEND": (0xB658,), "SMC": (0xF7F0, 0x8000), "HVC": (0xF7E1, 0x8000),
    "CRC32B": (0xFAC1, 0xF081), "RFE": (0xE991, 0xC000), "SRS": (0xE98D, 0xC013),
}  # fmt: skip
OWN = {
    "VCVT.S32.F32": (0xEEBD, 0x0AC0), "VSQRT.F32": (0xEEB1, 0x0AC0), "VFMA.F32": (0xEEA0, 0x0A00),
    "LDREX": (0xE851, 0x2F00), "STREX": (0xE841, 0x2300), "LDREXB": (0xE8D1, 0x2F4F),
    "BX": (0x4770,),
}  # fmt: skip


@pytest.mark.parametrize("code", OTHER_CORES.values(), ids=OTHER_CORES)
def test_instructions_of_other_cores_are_undefined(code: tuple[int, ...]) -> None:
    """Armv8-M's, FPv5's and Armv7-A's: ARM DDI 0403E B1.5.14."""
    listed = ", ".join(f"{half:#06x}" for half in code)
    program = f"""
    function start
     {ENABLE_FAULTS}
     ldr r0, =0xE000ED88
     ldr r1, =0xF00000
     str r1, [r0]
     dsb
     isb
     ldr r1, =0x20000100
     movs r6, #0
     .hword {listed}
     bkpt 0
    function usage
     {SKIP_AND_NOTE}
    """
    if len(code) == 1:
        program = program.replace("adds r1, #4", "adds r1, #2")
    with finished(program) as chip:
        count, status = registers(chip, "r6", "r7")
        assert (count, status) == (1, 1 << 16)


@pytest.mark.parametrize("code", OWN.values(), ids=OWN)
def test_instructions_of_its_own_are_none_of_another_core_s(code: tuple[int, ...]) -> None:
    found = decode(b"".join(half.to_bytes(2, "little") for half in code), 0)
    assert [one.is_foreign for one in found] == [False]


def test_an_exception_clears_the_exclusive_monitor() -> None:
    """ARM DDI 0403E A3.4.1, B1.5.8: a STREX behind an exception fails."""
    program = """
    function start
     ldr r1, =0x20000100
     movs r2, #7
     str r2, [r1]
     movs r2, #9
     ldrex r3, [r1]
     svc 0
     strex r4, r2, [r1]
     ldr r7, [r1]
     ldrex r3, [r1]
     strex r5, r2, [r1]
     strex r6, r2, [r1]
     ldr r3, [r1]
     bkpt 0
    function svc
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5", "r6") == (1, 0, 1)
        assert registers(chip, "r7", "r3") == (7, 9)


@pytest.mark.parametrize("width", ["b", "h"])
def test_exclusive_bytes_and_halfwords_fail_behind_an_exception_too(width: str) -> None:
    """ARM DDI 0403E A3.4.1."""
    program = f"""
    function start
     ldr r1, =0x20000100
     ldrex{width} r3, [r1]
     svc 0
     strex{width} r4, r2, [r1]
     ldrex{width} r3, [r1]
     strex{width} r5, r2, [r1]
     bkpt 0
    function svc
     bx lr
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (1, 0)
