"""A block costs by where its accesses go in this very run, and by how they are aligned."""

from itertools import pairwise

import pytest
import timing_machine as machine
from timing_machine import CCM, FLASH, SRAM1, SRAM2, Machine

POINTERS = 120
SOURCE = machine.loop_source(
    {
        "pointers": "\n".join(
            f"ldr r0, [r4, #{4 * number}]\nstr r1, [r0]" for number in range(POINTERS)
        ),
        # The words lie at +0, +7 and +14 of a pointer that walks by two.
        "walk": "ldr r0, [r4], #2\nldr r1, [r4, #5]\nldr r2, [r4, #12]\nnop",
        "pair": "ldr r0, [r4]\nldr r1, [r5]\nnop",
        "through_stack": "ldr r0, [sp, #8]\nldr r1, [r0]\nnop\nadds r0, #1\nstr r0, [sp, #8]",
        "stored_before": "adds r4, #1\nstr r4, [sp, #8]\nldr r0, [sp, #8]\nldr r1, [r0]\nnop",
        "through_float": "vmov r0, s4\nldr r1, [r0]\nadds r0, #1\nvmov s4, r0",
        "multiplied": "mul r0, r4, r7\nldr r1, [r0]\nnop",
        "indexed": "ldrb r0, [r4]\nldr r1, [r5, r0, lsl #2]\nnop",
        "conditional": "lsls r1, r7, #31\nitt mi\naddmi r4, #1\naddmi r4, #1\nldr r0, [r4]\nnop",
        "between_doubles": """
                strd r3, r4, [sp, #36]
                ldr r6, [sp, #176]
                nop
                nop
                ldr r0, [r6], #4
                nop
            """,
        "between_multiples": """
                stm sp, {r0, r1}
                ldr r6, [sp, #176]
                nop
                nop
                ldr r0, [r6], #4
                nop
            """,
    }
)


def counted(name: str, rounds: int, *, memory_is_known: bool = True, **registers: int) -> Machine:
    """Run rounds of a loop; the count is in `timing.cycles`."""
    built = machine.program(SOURCE)
    core = Machine(built.code, memory_is_known=memory_is_known)
    core.write("r7", rounds)
    for register, value in registers.items():
        core.write(register, value)
    core.run(built.labels[name], built.labels[f"{name}_end"])
    return core


def again(core: Machine, name: str, rounds: int, **registers: int) -> int:
    """Run a loop once more on the same core; return its cycles."""
    built = machine.program(SOURCE)
    core.write("r7", rounds)
    for register, value in registers.items():
        core.write(register, value)
    return core.run(built.labels[name], built.labels[f"{name}_end"])


def round_of(core: Machine, name: str, **registers: int) -> int:
    """Return the cycles of a single round in a warm loop."""
    again(core, name, 1, **registers)
    return again(core, name, 1, **registers)


def test_a_block_of_more_pointers_than_a_case_holds_is_cut() -> None:
    """Each pointer that is loaded has to be apart from all that was stored before it."""
    cycles = set()
    for known in (True, False):
        core = Machine(machine.program(SOURCE).code, memory_is_known=known)
        for number in range(POINTERS):
            machine.store_word(core, SRAM1 + 4 * number, SRAM1 + 0x1000 + 64 * number)
        core.write("r7", 1)
        core.write("r4", SRAM1)
        labels = machine.program(SOURCE).labels
        cycles.add(core.run(labels["pointers"], labels["pointers_end"]))
    assert len(cycles) == 1


@pytest.mark.parametrize(("name", "offset"), [("between_doubles", 168), ("between_multiples", 168)])
def test_an_access_of_the_stack_that_leaves_sp_alone_moves_no_address(
    name: str, offset: int
) -> None:
    cycles = []
    for wrong in (SRAM1 + 0x1000, FLASH + 0x1235):
        built = machine.program(SOURCE)
        core = Machine(built.code)
        machine.store_word(core, SRAM1 + 0x8000 + 176, SRAM1 + 0x1000)
        machine.store_word(core, SRAM1 + 0x8000 + offset, wrong)
        core.write("r7", 1)
        cycles.append(core.run(built.labels[name], built.labels[f"{name}_end"]))
    assert cycles[0] == cycles[1]


def test_words_of_a_pointer_that_walks_by_two_are_costed_as_they_lie() -> None:
    core = counted("walk", 1, r4=SRAM1)
    by_start = [round_of(core, "walk", r4=SRAM1 + start) for start in (0, 2)]
    # Aligned at 0: 0, 1 at +7 (odd: 2), +14 (half: 1). From 2 on: 1, 2, 0.
    assert by_start[1] - by_start[0] == 0
    odd = [round_of(core, "walk", r4=SRAM1 + start) for start in (1, 3)]
    # From 1: 2 (odd), +7 = 8: 0, +14 = 15: 2. From 3: 2, 10: 1, 17: 2.
    assert odd[0] - by_start[0] == 1
    assert odd[1] - by_start[0] == 2


def test_rounds_of_a_loop_are_costed_one_by_one() -> None:
    core = counted("walk", 1, r4=SRAM1)
    single = [round_of(core, "walk", r4=SRAM1 + 1 + 2 * start) for start in range(8)]
    warm = [again(core, "walk", n, r4=SRAM1 + 1) for n in range(1, 9)]
    steps = [after - before for before, after in pairwise(warm)]
    assert steps[0] - steps[1] == single[1] - single[2]
    assert len(set(steps)) == 2


def test_accesses_are_costed_by_the_memories_of_each_run() -> None:
    core = counted("pair", 1, r4=SRAM1, r5=SRAM1 + 64)
    together = round_of(core, "pair", r4=SRAM1, r5=SRAM1 + 64)
    apart = round_of(core, "pair", r4=SRAM1, r5=CCM)
    assert apart == together + 1
    assert round_of(core, "pair", r4=SRAM1, r5=SRAM1 + 64) == together


def test_a_pointer_that_walks_into_another_memory_is_seen_to() -> None:
    core = counted("walk", 1, r4=SRAM1)
    rounds = 40
    inside = again(core, "walk", rounds, r4=SRAM1)
    across = again(core, "walk", rounds, r4=SRAM2 - rounds)
    # Two rounds or so have words in both memories, which do not pair.
    assert 0 < across - inside < 20


@pytest.mark.parametrize("known", [True, False], ids=["looked up", "cut"])
@pytest.mark.parametrize("name", ["through_stack", "stored_before", "through_float", "multiplied"])
def test_a_pointer_that_the_block_makes_is_costed_as_it_is(name: str, known: bool) -> None:
    core = counted(name, 1, memory_is_known=known, r4=SRAM1, sp=SRAM1 + 0x8000)

    def cycles(pointer: int) -> int:
        machine.store_word(core, SRAM1 + 0x8008, pointer)
        core.write("s4", pointer)
        r4 = pointer - 1 if name == "stored_before" else pointer
        return round_of_pointer(core, name, pointer, r4)

    aligned = cycles(SRAM1 + 0x100)
    assert cycles(SRAM1 + 0x102) == aligned + 1
    assert cycles(SRAM1 + 0x103) == aligned + 2
    assert cycles(SRAM1 + 0x100) == aligned


def round_of_pointer(core: Machine, name: str, pointer: int, r4: int) -> int:
    machine.store_word(core, SRAM1 + 0x8008, pointer)
    core.write("s4", pointer)
    again(core, name, 1, r4=r4)
    machine.store_word(core, SRAM1 + 0x8008, pointer)
    core.write("s4", pointer)
    return again(core, name, 1, r4=r4)


def test_a_pointer_that_is_moved_on_a_condition_is_costed_as_it_is() -> None:
    core = counted("conditional", 1, r4=SRAM1)
    moved = [round_of(core, "conditional", r4=SRAM1 + start) for start in (0, 2)]
    # The single round is an odd one: the pointer moves by two.
    assert moved[0] == moved[1] + 1


def test_a_table_with_an_index_from_memory_is_costed_by_its_own_memory() -> None:
    core = counted("indexed", 1, r4=SRAM1, r5=SRAM1 + 0x100)
    here = round_of(core, "indexed", r4=SRAM1, r5=SRAM1 + 0x100)
    assert round_of(core, "indexed", r4=SRAM1, r5=SRAM1 + 0x102) == here + 1
