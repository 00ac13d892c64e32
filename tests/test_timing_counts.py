"""Counts are the same whatever cuts a run into pieces, and exact where the firmware reads them."""

import random

import pytest
import timing_machine as machine
from timing_machine import ART_OFF, ART_ON, COUNTER, FLASH, SRAM1, Machine

from hil.targets.emulator.timing import TimingCore

SOURCE = (
    machine.loop_source(
        {
            "mixed": """
            ldr r0, [r4]
            ldrb r1, [r4, r5]
            str r0, [r4, #4]
            add.w r2, r0, r1
            ldr r3, =0x01020304
            ands r1, r2, #3
            it eq
            ldreq r0, [r4, #8]
            cmp r1, #0
            beq 8f
            push {r0, r2}
            pop {r0, r2}
            b 9f
            8: udiv r2, r2, r5
            9: str r2, [r4]
        """
        }
    )
    + """
.balign 16
.global counter
counter:
    ldr r6, =0xE0001004
    nop
    ldr r0, [r6]
    adds r1, #1
    adds r1, #1
    adds r1, #1
    ldr r2, [r6]
    ldr r3, [r6]
.global counter_end
counter_end: b .
.pool
"""
)
ROUNDS = 200
WAITING = 0x705


def prepared(acr: int) -> Machine:
    core = Machine(machine.program(SOURCE).code, acr=acr)
    for register, value in {"r4": SRAM1, "r5": 3, COUNTER: ROUNDS}.items():
        core.write(register, value)
    return core


def counted(acr: int, pieces: random.Random | None = None) -> tuple[int, int, int]:
    """Run the mixed loop; with `pieces`, stop at random instructions on the way."""
    labels = machine.program(SOURCE).labels
    core, end = prepared(acr), labels["mixed_end"]
    if pieces is None:
        core.run(labels["mixed"], end)
    else:
        pc = labels["mixed"]
        core.uc.ctl_set_exits([end])
        while pc != end:
            core.uc.emu_start(pc | 1, 0, count=pieces.randint(1, 40))
            pc = core.read("pc")
            core.timing.resync(pc)
    stalls = core.timing.stalls()
    return core.timing.cycles, core.timing.instructions, stalls.flash_instruction


def test_two_runs_count_alike() -> None:
    assert counted(WAITING) == counted(WAITING)


def test_stops_after_any_number_of_instructions_change_no_count() -> None:
    assert counted(ART_OFF, random.Random(7)) == counted(ART_OFF)  # noqa: S311


def test_a_deadline_stops_the_run_and_it_goes_on_as_if_it_had_not() -> None:
    labels = machine.program(SOURCE).labels
    whole = prepared(ART_ON)
    whole.run(labels["mixed"], labels["mixed_end"])
    cut = prepared(ART_ON)
    cut.uc.ctl_set_exits([labels["mixed_end"]])
    pc, stops = labels["mixed"], 0
    while pc != labels["mixed_end"]:
        cut.timing.set_deadline(cut.timing.cycles + 17)
        cut.uc.emu_start(pc | 1, 0)
        pc = cut.read("pc")
        cut.timing.resync(pc)
        stops += 1
    assert stops > ROUNDS / 2
    assert cut.timing.cycles == whole.timing.cycles
    assert cut.timing.instructions == whole.timing.instructions


def test_a_breakpoint_in_a_block_changes_no_count() -> None:
    labels = machine.program(SOURCE).labels
    whole, cut = prepared(WAITING), prepared(WAITING)
    whole.run(labels["mixed"], labels["mixed_end"])
    middle = labels["mixed"] + 8
    pc = labels["mixed"]
    while pc != labels["mixed_end"]:
        exits = {middle, labels["mixed_end"]} - {pc}
        cut.uc.ctl_remove_cache(middle, middle + 2)
        cut.uc.ctl_set_exits(sorted(exits))
        cut.uc.emu_start(pc | 1, 0)
        pc = cut.read("pc")
        cut.timing.resync(pc)
    assert cut.timing.cycles == whole.timing.cycles


def test_a_stop_that_another_thread_asked_for_comes_before_the_next_block() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(ART_OFF)
    core.timing.request_stop()
    core.uc.ctl_set_exits([labels["mixed_end"]])
    core.uc.emu_start(labels["mixed"] | 1, 0)
    assert core.read("pc") == labels["mixed"]
    assert core.timing.cycles == 0


def test_the_counter_reads_exactly_between_instructions_of_one_block() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(ART_OFF)
    core.run(labels["counter"], labels["counter_end"])
    first, second, third = core.counter_reads
    assert second - first == 2 + 1 + 1 + 1, "the load of the counter and three additions"
    assert third - second == 1, "a load behind a load of the same bus"


def test_code_that_changes_is_costed_anew() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(ART_OFF)
    core.run(labels["counter"], labels["counter_end"])
    before = core.timing.cycles
    core.uc.mem_write(labels["counter"] + 6, b"\x90\xfb\xf1\xf0")  # SDIV r0, r0, r1
    core.uc.ctl_remove_cache(FLASH, FLASH + 0x1000)
    core.timing.invalidate(labels["counter"], 16)
    core.run(labels["counter"], labels["counter_end"])
    assert core.timing.cycles - before > before


def test_a_page_of_flash_is_looked_through_once_and_again_when_it_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    look = TimingCore._prepare

    def note(timing: TimingCore, page: int) -> None:
        seen.append(page)
        look(timing, page)

    monkeypatch.setattr(TimingCore, "_prepare", note)
    labels = machine.program(SOURCE).labels
    core = prepared(ART_OFF)
    for _ in range(3):  # each reads the counter, after which addresses are translated anew
        core.run(labels["counter"], labels["counter_end"])
    assert seen == [FLASH]
    core.timing.invalidate(labels["counter"], 4)
    core.timing.watch_flash_data(on=True)  # translates anew
    core.run(labels["counter"], labels["counter_end"])
    assert seen == [FLASH, FLASH]


def test_cycles_that_no_instruction_stands_for_are_added() -> None:
    core = prepared(ART_OFF)
    core.timing.add_cycles(12)
    assert core.timing.cycles == 12


def test_causes_add_up_to_the_cycles() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(WAITING)
    core.run(labels["mixed"], labels["mixed_end"])
    s = core.timing.stalls()
    by_cause = s.issue + s.load_store + s.branch + s.division + s.float + s.other
    assert by_cause + s.flash_instruction + s.flash_data == core.timing.cycles
    assert s.division > 0
    assert s.flash_data > 0


def test_a_reset_empties_the_caches_and_keeps_the_count() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(WAITING)
    core.run(labels["mixed"], labels["mixed_end"])
    cycles, stalls = core.timing.cycles, core.timing.stalls().flash_instruction
    core.timing.reset()
    assert core.timing.cycles == cycles
    core.timing.set_acr(WAITING)
    core.write(COUNTER, ROUNDS)
    core.run(labels["mixed"], labels["mixed_end"])
    assert core.timing.stalls().flash_instruction > stalls


def test_cycles_keep_their_cause_when_code_changes() -> None:
    labels = machine.program(SOURCE).labels
    core = prepared(ART_OFF)
    for _ in range(2):
        core.write(COUNTER, ROUNDS)
        core.run(labels["mixed"], labels["mixed_end"])
        core.timing.invalidate(labels["mixed"], 4)
    core.timing.set_acr(ART_ON)
    core.write(COUNTER, ROUNDS)
    core.run(labels["mixed"], labels["mixed_end"])
    s = core.timing.stalls()
    by_cause = s.issue + s.load_store + s.branch + s.division + s.float + s.other
    assert by_cause == core.timing.cycles
