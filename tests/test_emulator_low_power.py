"""Stop and Standby, and what ends them: RM0090 sections 5.3.4 to 5.3.6."""

from collections.abc import Iterator

import pytest
import thumb

from hil.emulator import Emulator, Reason

START = """
function start
 cpsid i                     @ what wakes the core has no handler
 ldr r0, =0x40023840
 mov r1, #0x10000000         @ PWR
 str r1, [r0]
 ldr r7, =0x40007000
 ldr r6, =0x20000000
 ldr r5, =0xE000ED10
 {0}
"""
TIMER = """
 orr r1, #1
 str r1, [r0]
 mov r4, #0x40000000         @ TIM2, in cycles
 movs r1, #1
 str r1, [r4]
"""
SYSTICK = """
 ldr r3, =0xE000E010
 ldr r1, =0xFFFFFF
 str r1, [r3, #4]
 str r1, [r3, #8]
 movs r1, #5
 str r1, [r3]
"""
EXTI_0 = """
 ldr r2, =0x40013C00
 movs r1, #1
 str r1, [r2]
 str r1, [r2, #8]
 ldr r2, =0xE000E100
 movs r1, #64
 str r1, [r2]
"""
PLL = """
 ldr r2, =0x40023C00
 movs r1, #5
 str r1, [r2]
 ldr r2, =0x40023800
 ldr r1, =0x9400
 str r1, [r2, #8]
 ldr r1, =0x07005410
 str r1, [r2, #4]
 ldr r1, =0x01000081
 str r1, [r2]
1: ldr r1, [r2]
 lsls r1, r1, #6
 bpl 1b
 ldr r1, =0x9402
 str r1, [r2, #8]
"""
STOP = " movs r1, #4\n str r1, [r5]\n wfi\n"
STANDBY = f"""
 movs r1, #2                 @ PDDS
 orr r1, #0x100
 str r1, [r7]
 mov r1, #0x100              @ EWUP
 str r1, [r7, #4]
 {STOP}
"""
END = "\n movs r0, #0x18\n ldr r1, =0x20026\n bkpt 0xAB\n"


@pytest.fixture
def boards() -> Iterator[list[Emulator]]:
    made: list[Emulator] = []
    yield made
    for one in made:
        one.close()


def _board(boards: list[Emulator], body: str) -> Emulator:
    boards.append(Emulator(thumb.assemble(START.format(body))))
    return boards[-1]


def test_stop_ends_by_a_pin_and_leaves_the_core_on_hsi(boards: list[Emulator]) -> None:
    told: list[str] = []
    board = _board(boards, f"{PLL}{EXTI_0}{STOP}{END}")
    board.on_event = told.append
    board.at(0.5, lambda: board.drive("PA0", level=True))
    assert board.run(seconds=2).reason is Reason.ENDED
    assert 0.5 <= board.seconds < 0.51
    assert board.chip.rcc.core_hz == 16_000_000
    assert not board.chip.rcc.pll_is_on
    assert "Stop begins" in told
    assert any(one.startswith("Stop ends, after 7,99") for one in told)


def test_timers_and_systick_stand_in_stop(boards: list[Emulator]) -> None:
    read = " ldr r1, [r4, #0x24]\n ldr r2, [r3, #8]\n str r1, [r6]\n str r2, [r6, #4]\n"
    board = _board(boards, f"{TIMER}{SYSTICK}{EXTI_0}{STOP}{read}{END}")
    board.at(0.5, lambda: board.drive("PA0", level=True))
    assert board.run(seconds=2).reason is Reason.ENDED
    assert board.seconds >= 0.5
    assert 0 < board.word(0x2000_0000) < 200
    assert 0xFFFFFF - 200 < board.word(0x2000_0004) < 0xFFFFFF


def test_without_sleepdeep_they_go_on(boards: list[Emulator]) -> None:
    read = " ldr r1, [r4, #0x24]\n str r1, [r6]\n"
    board = _board(boards, f"{TIMER}{EXTI_0} wfi\n{read}{END}")
    board.at(0.5, lambda: board.drive("PA0", level=True))
    assert board.run(seconds=2).reason is Reason.ENDED
    assert 7_999_000 <= board.word(0x2000_0000) < 8_001_000


RESTARTED = """
 ldr r1, [r7, #4]
 tst r1, #2
 bne 9f
 ldr r1, =0x12345678
 str r1, [r6, #16]
"""


def test_standby_ends_in_a_reset_by_the_wake_up_pin(boards: list[Emulator]) -> None:
    after = f" b .\n9: and r1, #3\n str r1, [r6]\n{END}"
    board = _board(boards, f"{RESTARTED}{STANDBY}{after}")
    board.at(0.25, lambda: board.drive("PA0", level=True))
    assert board.run(seconds=2).reason is Reason.ENDED
    assert board.word(0x2000_0000) == 0b11  # SBF, WUF
    assert board.word(0x2000_0010) == 0  # RAM is lost
    assert 0.25 <= board.seconds < 0.26


def test_a_wake_up_flag_that_is_set_already_ends_standby_at_once(boards: list[Emulator]) -> None:
    early = " mov r1, #0x100\n str r1, [r7, #4]\n movs r1, #50\n1: subs r1, #1\n bne 1b\n"
    board = _board(boards, f"{RESTARTED}{early}{STANDBY}9: nop\n{END}")
    board.at(5e-6, lambda: board.drive("PA0", level=True))
    assert board.run(seconds=1).reason is Reason.ENDED
    assert board.seconds < 0.001


def test_the_rtc_s_wake_up_timer_ends_standby(boards: list[Emulator]) -> None:
    rtc = """
     mov r1, #0x100
     str r1, [r7]
     ldr r2, =0x40023800
     movs r1, #1
     str r1, [r2, #0x74]         @ LSI
     ldr r1, =0x8200
     str r1, [r2, #0x70]
     ldr r2, =0x40002800
     movs r1, #0xCA
     str r1, [r2, #0x24]
     movs r1, #0x53
     str r1, [r2, #0x24]
    1: ldr r1, [r2, #12]
     tst r1, #4
     beq 1b
     ldr r1, =1999               @ of LSI / 16: one second
     str r1, [r2, #0x14]
     ldr r1, =0x4400
     str r1, [r2, #8]
    """
    board = _board(boards, f"{RESTARTED}{rtc}{STANDBY}9: nop\n{END}")
    assert board.run(seconds=3).reason is Reason.ENDED
    assert 1.0 <= board.seconds < 1.001


def test_standby_without_an_end_lasts(boards: list[Emulator]) -> None:
    board = _board(boards, f"{RESTARTED}{STANDBY}9: nop\n{END}")
    assert board.run(seconds=5).reason is Reason.TIME
