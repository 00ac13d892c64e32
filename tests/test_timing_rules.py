"""Every timing rule on a short loop of its own, its count derived from the manual.

TRM: Arm DDI 0439D, Cortex-M4 r0p0 Technical Reference Manual. A loop's SUBS and BNE take three
cycles more than the body that is counted here. Code is in flash without wait states.
"""

from dataclasses import dataclass, field

import pytest
import timing_machine as machine
from timing_machine import ART_OFF, ART_ON, CCM, FLASH, LOOP_OVERHEAD, SRAM1, SRAM2


@dataclass(frozen=True)
class Case:
    """A loop body, its cycles, and why so many."""

    body: str
    cycles: int
    why: str
    acr: int = ART_OFF
    registers: dict[str, int] = field(default_factory=dict)


SECOND_SRAM = {"r4": SRAM2 + 0x100}
CASES = {
    "data_processing": Case("adds r0, #1\neors r0, r1", 1 + 1, "TRM table 3-1"),
    "multiply": Case("mul r0, r1, r2\nsmlal r0, r1, r2, r3", 1 + 1, "TRM table 3-1"),
    "saturate": Case("ssat r0, #8, r1\nsmlad r0, r1, r2, r3", 1 + 1, "TRM table 3-1"),
    "load": Case("ldr r0, [r4]", 2, "TRM table 3-1"),
    "load_then_nop": Case("ldr r0, [r4]\nnop", 2, "jnk0le: the NOP is in the second cycle"),
    "indexed_store_then_nop": Case(
        "str r0, [r4, r5]\nnop\nnop", 2 + 1, "jnk0le: one NOP is in the second cycle"
    ),
    "two_loads": Case("ldr r0, [r4]\nldr r1, [r4, #4]", 3, "TRM 3.3: N loads take N + 1"),
    "three_loads": Case(
        "ldr r0, [r4, r5]\nldr r1, [r4]\nldr r2, [r4, #4]", 4, "TRM 3.3: N loads take N + 1"
    ),
    "loads_of_two_memories": Case(
        "ldr r0, [r4]\nldr r1, [r6]", 2 + 2, "no overlap across memories", registers={"r6": CCM}
    ),
    "load_then_store": Case(
        "ldr r0, [r4]\nstr r1, [r4, #4]", 2 + 1 - 1, "TRM 3.3: a cycle less after a load"
    ),
    "load_then_indexed_store": Case(
        "ldr r0, [r4]\nstr r1, [r4, r5]", 2 + 2 - 1, "TRM 3.3: three cycles"
    ),
    "store": Case("str r0, [r4]", 1, "TRM 3.3: always one cycle"),
    "two_stores": Case("str r0, [r4]\nstrb r1, [r4, #4]", 1 + 1, "TRM 3.3"),
    "indexed_store": Case("str r0, [r4, r5]", 2, "TRM 3.3: nothing pipelines after it"),
    "store_then_load": Case(
        "str r0, [r4]\nldr r1, [r4, #4]", 1 + 1 + 2, "the load waits for the store's data"
    ),
    "store_to_sram2_then_load": Case(
        "str r0, [r4]\nadds r2, #1\nldr r1, [r4, #4]",
        1 + 1 + 2 + 2,
        "issued 4 cycles after the store",
        registers=SECOND_SRAM,
    ),
    "store_to_sram2_then_load_with_cache": Case(
        "str r0, [r4]\nadds r2, #1\nldr r1, [r4, #4]",
        1 + 1 + 1 + 2,
        "issued 3 cycles after the store",
        registers=SECOND_SRAM,
        acr=ART_ON,
    ),
    "store_to_sram2_alone": Case(
        "str r0, [r4]\nadds r2, #1\nadds r2, #1", 1 + 1 + 1, "nothing waits",
        registers=SECOND_SRAM,
    ),
    "address_from_data_processing": Case(
        "mov r3, r4\nldr r0, [r3]", 1 + 1 + 2, "TRM 3.3: no forwarding to addresses"
    ),
    "address_two_instructions_ahead": Case(
        "mov r3, r4\nadds r1, #1\nldr r0, [r3]", 1 + 1 + 2, "the address is there"
    ),
    "address_from_load": Case(
        "ldr r3, [r4]\nldr r0, [r3]",
        2 + 1 + 2,
        "no overlap, and one cycle until it is an address",
        registers={"r4": SRAM1},
    ),
    "address_from_write_back": Case(
        "str r0, [r6], #4\nsubs r6, #4\nadds r1, #1\nldr r1, [r6]", 1 + 1 + 1 + 2,
        "no wait", registers={"r6": SRAM1},
    ),
    "chained_loads": Case(
        "ldr r0, [r6], #4\nldr r1, [r6], #4\nldr r2, [r6], #-8", 3 * 2,
        "each waits for the base that the one before it writes back", registers={"r6": SRAM1},
    ),
    "chained_loads_behind_a_load": Case(
        "ldr r3, [r4]\nldr r0, [r6], #4\nldr r1, [r6], #4\nldr r2, [r6], #-8", 4 + 1,
        "loads that go on from a load have their base at once", registers={"r6": SRAM1},
    ),
    "chained_loads_behind_a_load_elsewhere": Case(
        "ldr r3, [r5]\nldr r0, [r6], #4\nldr r1, [r6], #-4", 2 + 2 + 1,
        "also where that load is of another memory", registers={"r6": SRAM1, "r5": FLASH},
    ),
    "chained_stores": Case(
        "str r0, [r6, #4]!\nstr r1, [r6, #4]!\nstr r2, [r6, #-8]!", 1 + 2 * 2,
        "as with loads", registers={"r6": SRAM1},
    ),
    "loads_of_a_table_in_flash": Case(
        "ldr.w r0, [r5]\n" * 4 + "add.w r0, r0, #1\n" * 4,
        5 + 4 + 3, "TRM 3.3: each delays the fetch of a word", registers={"r5": FLASH},
    ),
    "loads_of_a_table_in_flash_cached": Case(
        "ldr.w r0, [r5]\n" * 4 + "add.w r0, r0, #1\n" * 4,
        5 + 4, "the cache serves the fetch meanwhile", acr=ART_ON, registers={"r5": FLASH},
    ),
    "load_then_store_to_sram2": Case(
        "ldr r0, [r6]\nstr r0, [r6, #4]\nnop\nnop\nnop", 2 + 1 + 3,
        "a store to SRAM2 hides no load's second cycle", registers={"r6": SRAM2},
    ),
    "double_load": Case("ldrd r0, r1, [r4]", 1 + 2, "TRM table 3-1: 1 + N"),
    "double_store": Case("strd r0, r1, [r4]", 1 + 2, "TRM table 3-1: 1 + N"),
    "load_multiple": Case("ldm r4, {r0-r3}", 1 + 4, "TRM table 3-1: 1 + N"),
    "store_multiple": Case("stm.w r4, {r0-r2}", 1 + 3, "TRM table 3-1: 1 + N"),
    "push_and_pop": Case("push {r0-r3}\npop {r0-r3}", 5 + 1 + 5 - 1, "TRM table 3-1: 1 + N each"),
    "unaligned_half": Case("ldrh r0, [r4, #1]", 2 + 1, "TRM 3.3: two bus accesses"),
    "unaligned_word": Case("ldr r0, [r4, #2]", 2 + 1, "TRM 3.3: two bus accesses"),
    "unaligned_word_on_odd_address": Case("ldr r0, [r4, #1]", 2 + 2, "TRM 3.3: three accesses"),
    "divide": Case("udiv r0, r1, r2", 7, "TRM: 2 to 12", registers={"r1": 99, "r2": 7}),
    "branch_not_taken": Case("cmp r0, r0\nbne 9f\n9:", 1 + 1, "TRM table 3-1"),
    "branch": Case("b 9f\nnop\n9: nop", 2 + 1, "TRM: 1 + P, P = 1"),
    "branch_to_unaligned_wide": Case(
        "b 9f\n.balign 4\nnop\n9: add.w r0, r0, #1\nnop", 2 + 1 + 1 + 1, "both words are fetched"
    ),
    "forward_conditional_branch": Case(
        "cmp r0, r0\nbeq 9f\nnop\nnop\n9: add.w r0, r0, #1\nadd.w r0, r0, #1",
        1 + 2 + 1 + 1 + 1,
        "the second word comes a cycle late",
    ),
    "compare_and_branch": Case(
        "movs r0, #0\ncbz r0, 9f\nnop\nnop\n9: nop\nnop", 1 + 2 + 1 + 1, "TRM: 1 + P, P = 1"
    ),
    "call_and_return": Case("bl 8f\nb 9f\n8: bx lr\n9: nop", 2 + 3 + 2 + 1, "BX: P = 2"),
    "pop_pc": Case(
        "adr r0, 9f\nadds r0, #1\npush {r0}\npop {pc}\n.balign 4\n9: nop",
        1 + 1 + 2 + (1 + 1 + 3) + 1,
        "1 + N + P, P = 3",
    ),
    "load_pc": Case(
        "adr r0, 9f\nadds r0, #1\nstr r0, [r4]\nnop\nldr pc, [r4]\n.balign 4\n9: nop",
        1 + 1 + 1 + 1 + (2 + 3) + 1,
        "TRM 3.3: at least five",
    ),
    "table_branch": Case(
        "movs r0, #0\nnop\ntbb [pc, r0]\n8: .byte (9f - 8b) / 2, 0\n9: nop\nnop",
        1 + 1 + 6 + 1 + 1,
        "TRM 3.3: at least six",
    ),
    "it_folded": Case("cmp r0, r0\nit eq\nmoveq r1, #1", 1 + 0 + 1, "TRM: folded, 16-bit ahead"),
    "it_not_folded": Case(
        "cmp.w r0, r0\nit eq\nmoveq r1, #1", 1 + 1 + 1, "a 32-bit instruction ahead"
    ),
    "load_executed_in_it": Case("cmp r0, r0\nit eq\nldreq r1, [r4]", 1 + 0 + 2, "as without IT"),
    "load_skipped_in_it": Case("cmp r0, r0\nit ne\nldrne r1, [r4]", 1 + 0 + 1, "one cycle"),
    "return_skipped_in_it": Case(
        "cmp r0, r0\nit ne\nbxne lr", 1 + 0 + 1, "one cycle"
    ),
    "barrier": Case("dmb", 1, "TRM: 1 + B, the bus is idle"),
    "float_add": Case("vadd.f32 s0, s1, s2\nvmul.f32 s3, s4, s5", 1 + 1, "TRM table 7-1"),
    "float_result_used_next": Case(
        "vadd.f32 s0, s1, s2\nvmul.f32 s3, s0, s5", 1 + 1 + 1, "TRM chapter 7"
    ),
    "float_multiply_add": Case("vmla.f32 s0, s1, s2", 3 , "TRM table 7-1"),
    "float_divide": Case(
        "vdiv.f32 s0, s1, s2\nvadd.f32 s3, s4, s5", 14 + 1, "TRM table 7-1"
    ),
    "integers_beside_float_divide": Case(
        "vdiv.f32 s0, s1, s2\n" + "adds r0, #1\n" * 13, 1 + 13, "TRM table 7-1, note"
    ),
    "float_load": Case("vldr s0, [r4]", 2, "TRM table 7-1"),
    "float_double_load": Case("vldr d0, [r4]", 3, "TRM table 7-1"),
    "float_store": Case("vstr s0, [r4]", 2, "TRM table 7-1"),
    "float_move": Case("vmov r0, s0\nvmov r0, r1, s2, s3", 1 + 2, "TRM table 7-1"),
    "wide_aligned": Case("add.w r0, r0, #1\n" * 6, 6, "a word of code for each"),
    "wide_unaligned_pair": Case(
        "nop\n" + "add.w r0, r0, #1\n" * 2 + "nop", 1 + 2 + 1, "the queue is ahead"
    ),
    "wide_unaligned_run": Case(
        "nop\nadds r1, #1\nadds r1, #1\n" + "add.w r0, r0, #1\n" * 3 + "nop",
        3 + 3 + 1 + 1,
        "three in a row find the queue full once",
    ),
    "wide_unaligned_run_cached": Case(
        "nop\nadds r1, #1\nadds r1, #1\n" + "add.w r0, r0, #1\n" * 3 + "nop",
        3 + 3 + 1,
        "no loss with the instruction cache",
        acr=ART_ON,
    ),
    "wide_run_behind_a_load": Case(
        "nop\nldr.w r1, [r4]\n" + "add.w r0, r0, #1\n" * 3 + "nop",
        1 + 2 + 3 + 1 + 1,
        "three behind an instruction of two cycles lose one",
        acr=ART_ON,
    ),
    "wide_pair_behind_a_load": Case(
        "nop\nldr.w r1, [r4]\n" + "add.w r0, r0, #1\n" * 2 + "nop",
        1 + 2 + 2 + 1,
        "two lose none",
        acr=ART_ON,
    ),
    "wide_loads_among_multiplications": Case(
        "nop\n" + "ldr.w r1, [r4]\numaal r0, r2, r1, r3\n" * 4 + "nop",
        1 + 4 * (2 + 1) + 2 + 1,
        "eprint 2025/523: seven behind the first load hold two runs of three",
        acr=ART_ON,
    ),
    "literal_load": Case(
        "ldr r0, =0x12345678\nadds r1, #1\nadds r1, #1", 2 + 1 + 1, "as a load; a slot is free"
    ),
}  # fmt: skip
SOURCE = machine.loop_source({name: case.body for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_a_loop_takes_the_cycles_the_manual_gives(name: str) -> None:
    case = CASES[name]
    counted = machine.cycles_per_round(SOURCE, name, acr=case.acr, registers=case.registers)
    assert counted - LOOP_OVERHEAD == case.cycles, case.why
