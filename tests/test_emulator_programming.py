"""Stores to flash that end in C come out as they would in Python, and no count tells."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from emulated import chip_with, finished, registers

from hil.targets.emulator.chips.stm32f4.chip import Stm32F4
from hil.targets.emulator.core.clock import InstructionClock

START, WORDS, EVERY, TURN = 0x8000, 512, 16, 256
PROGRAM = """
function start
 ldr r7, =0x40023C00
 ldr r0, =0x45670123
 str r0, [r7, #4]
 ldr r0, =0xCDEF89AB
 str r0, [r7, #4]
 ldr r0, =0x08192A3B
 str r0, [r7, #8]
 ldr r0, =0x4C5D6E7F
 str r0, [r7, #8]
 ldr r6, =0x08008C00
 ldr r5, ={words}
 ldr r4, =0x9E3779B9
 movs r3, #0
1: ldr r0, =0x200
 str r0, [r7, #16]
 ldr r0, [r7, #16]
 orr r0, #1
 str r0, [r7, #16]
 mul r1, r5, r4
 str r1, [r6]
2: ldr r0, [r7, #12]
 tst r0, #0x10000
 bne 2b
 add r3, r0, r3, ror #3
 ldr r0, [r7, #16]
 add r3, r0, r3, ror #3
 {between}
 adds r6, #4
 subs r5, #1
 bne 1b
 bkpt 0
 .pool
"""
FAULTY = "movs r0, #0\n {} r0, [r6, #4]\n ldr r0, [r7, #12]\n add r3, r0, r3, ror #3"
CODE = """
 add r2, r6, #64
 ldr r1, =0x47703001
 str r1, [r2, #4]
 ldr r1, =0xFFFF4770
 str r1, [r2]
 movs r0, #0
 adds r2, #1
 blx r2
 add r3, r0, r3, ror #3
 ldr r1, =0x30020000
 str r1, [r2, #-1]
 blx r2
 add r3, r0, r3, ror #3
"""
SECOND = "lsr r1, r5, #8\n and r1, #1\n eor r1, #1\n"  # r1: whether it is the second turn
BETWEEN = {
    "an erased sector": "ldr r0, =0x10012\n str r0, [r7, #16]",
    "bits that are 0 stay so": "movs r1, #0\n str r1, [r6]\n mvns r1, r1\n str r1, [r6]",
    "another size": FAULTY.format("strh"),
    "not aligned": FAULTY.format("movs r2, #1\n add r6, r2\n str") + "\n subs r6, #1",
    "programming off": "movs r0, #0\n str r0, [r7, #16]\n ldr r2, [r7, #16]\n"
    " add r3, r2, r3, ror #3",
    "locked": "ldr r0, =0x80000000\n str r0, [r7, #16]\n ldr r2, [r7, #16]\n"
    " add r3, r2, r3, ror #3\n"
    " ldr r0, =0x45670123\n str r0, [r7, #4]\n ldr r0, =0xCDEF89AB\n str r0, [r7, #4]",
    "a jammed lock": "str r0, [r7, #4]",
    "an error interrupt": "ldr r0, =0x02000201\n str r0, [r7, #16]\n" + FAULTY.format("strh"),
    "an end of operation": "ldr r0, =0x01000201\n str r0, [r7, #16]\n str r1, [r6, #8]\n"
    " ldr r2, [r7, #12]\n str r2, [r7, #12]\n add r3, r2, r3, ror #3",
    "what was stored read": "ldr r2, [r6]\n add r3, r2, r3, ror #3\n str r4, [r6, #4]\n"
    " ldr r2, [r6, #4]\n add r3, r2, r3, ror #3",
    "code run": CODE,
    "protected sectors": f"{SECOND} ldr r2, =0x0FFF0000\n mul r1, r2\n ldr r0, =0x0FFFAAEC\n"
    " sub r0, r1\n str r0, [r7, #20]\n orr r0, #2\n str r0, [r7, #20]",
    "an MPU": f"{SECOND} add r1, r1, r1, lsl #2\n ldr r0, =0xE000ED94\n str r1, [r0]\n dsb\n isb",
}
COUNTER = "ldr r0, =0xE0001004\n ldr r0, [r0]"
SETTLED = "ldr r0, [r7, #12]\n add r3, r0, r3, ror #3\n movs r0, #0xF3\n str r0, [r7, #12]"


def program_with(*between: str) -> str:
    """Return a program that does some things among its stores, one behind every so many words.

    It does them in two turns, of a page each: no code is new in the second.
    """
    done = (
        f" and r0, r5, #{TURN - 1}\n cmp r0, #{TURN - EVERY * at}\n bne 3f\n {what}\n {SETTLED}\n3:"
        for at, what in enumerate(between, 1)
    )
    return PROGRAM.format(words=WORDS, between="\n".join(done))


def outcome(chip: Stm32F4, program: str) -> tuple[Any, ...]:
    with finished(program, chip=chip):
        run = chip.clock.run
        return (
            bytes(chip.memory.flash[START : START + 0x4000]),
            registers(chip, *(f"r{at}" for at in range(8))),
            chip.flash_controller._status,
            run.cycles,
            run.instructions,
        )


def outcomes(
    program: str, prepare: Callable[[Stm32F4], None] = lambda _chip: None, **settings: Any
) -> tuple[tuple[Any, ...], int]:
    """Run a program both ways; returns what came out, and how many accesses ended in C."""
    found = []
    for shared in (False, True):
        chip = chip_with(program, **settings)
        if not shared:
            chip.memory.bus.lent.allowed = lambda: False
        prepare(chip)
        found.append(outcome(chip, program))
        in_c = chip.memory.bus.programming.accesses
        assert shared or not in_c
    assert found[0] == found[1]
    return found[1], in_c


def test_programming_in_c_is_programming_in_python() -> None:
    (flash, *_), in_c = outcomes(program_with(*BETWEEN.values()))
    behind = TURN + EVERY * (1 + list(BETWEEN).index("an erased sector")) + 2
    word = ((WORDS - behind) * 0x9E3779B9 & 0xFFFF_FFFF).to_bytes(4, "little")
    assert flash[0xC00 + 4 * behind :][:4] == word
    assert in_c > 6 * (EVERY - 4) * (2 * len(BETWEEN) - 2)  # nearly each finds it open


def test_programming_in_c_counts_for_a_clock_of_instructions_too() -> None:
    _, in_c = outcomes(
        program_with(BETWEEN["code run"]),
        make_clock=lambda engine, _board: InstructionClock(engine),
    )
    assert in_c > 6 * EVERY


def test_nearly_all_that_an_algorithm_does_ends_in_c() -> None:
    (flash, *_), in_c = outcomes(program_with())
    words = [at * 0x9E3779B9 & 0xFFFF_FFFF for at in range(WORDS, 0, -1)]
    content = b"".join(word.to_bytes(4, "little") for word in words)
    assert flash[0xC00 : 0xC00 + len(content)] == content
    assert in_c > 6 * (WORDS - 8)


@pytest.mark.parametrize("what", ["stuck", "on_step", "options"])
def test_what_is_planted_in_between_takes_effect_with_the_next_store(what: str) -> None:
    steps: list[str] = []

    def prepare(chip: Stm32F4) -> None:
        reads = count(1)

        def plant() -> None:
            if next(reads) != TURN:
                return
            if what == "stuck":
                chip.flash_controller.stuck = frozenset(range(START, START + 0x4000))
            elif what == "on_step":
                chip.flash_controller.on_step = steps.append
            else:
                chip.flash_controller.options.program(0x0000_AAEC)

        steps.clear()
        chip.dwt.on_read = plant

    program = PROGRAM.format(words=WORDS, between=COUNTER)
    (flash, *_), in_c = outcomes(program, prepare)
    assert in_c > 6 * (TURN - 8)
    planted = flash[0xC00 + 4 * TURN : 0xC00 + 4 * WORDS]
    if what == "on_step":
        assert steps == ["program"] * (WORDS - TURN)
    else:
        assert set(planted) == ({0} if what == "stuck" else {0xFF})
