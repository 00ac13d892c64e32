"""Wait states, caches and prefetch of the flash. Source: RM0090 section 3.5.

Loops cost what they do without wait states and, beside that, whole waits for lines of 16 bytes.
"""

import random
from collections.abc import Sequence

import pytest
import timing_machine as machine
from timing_machine import FLASH, LOOP_OVERHEAD, SRAM1, Machine

WAIT_STATES = 5
ICACHE, DCACHE, PREFETCH = 1 << 9, 1 << 10, 1 << 8
RESET_ICACHE, RESET_DCACHE = 1 << 11, 1 << 12

LINE_BYTES = 16
DATA_AT = 0x8000
SOURCE = machine.loop_source(
    {
        "narrow": "adds r0, #1\n" * 2,
        "straight": "adds r0, #1\n" * 126,
        "too_long": "adds r0, #1\n" * (64 * 8),
        "data": "ldr r0, [r4]\nldr r1, [r5]\n",
        "walk": "ldr r0, [r4], #16\ncmp r4, r6\nit eq\nmoveq r4, r8\n",
    }
)

CACHE_LINES = 64
FUNCTION_LINES = (1, 2, 3, 5, 8, 13, 21, 34, 40, 55)
CALLER = "ldr r0, [r4], #4\nblx r0\n"


def _function(lines: int) -> str:
    body = "adds r1, #1\n" * (8 * lines - 1)
    return f".balign 16\n.global f{lines}\nf{lines}:\n{body}bx lr\n"


FUNCTIONS = "\n".join([machine.loop_source({"caller": CALLER}), *map(_function, FUNCTION_LINES)])


def cost(name: str, acr: int, **registers: int) -> int:
    """Return the cycles of a loop's body, in the steady state."""
    return machine.cycles_per_round(SOURCE, name, acr=acr, registers=registers) - LOOP_OVERHEAD


def fill_then_cost(name: str, acr: int, rounds: int) -> tuple[int, int]:
    """Return (flash stalls of the first round, stalls of all the later ones)."""
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=acr)
    core.write(machine.COUNTER, 1)
    core.run(built.labels[name], built.labels[f"{name}_end"])
    first = core.timing.stalls().flash_instruction
    core.write(machine.COUNTER, rounds)
    core.run(built.labels[name], built.labels[f"{name}_end"])
    return first, core.timing.stalls().flash_instruction - first


def test_a_cached_loop_runs_as_without_wait_states() -> None:
    assert cost("narrow", ICACHE | WAIT_STATES) == 2


def test_a_loop_within_the_line_buffer_needs_no_cache() -> None:
    assert cost("narrow", WAIT_STATES) == 2


def test_uncached_lines_cost_their_wait_states_less_what_the_queue_is_ahead() -> None:
    # 126 + 2 halfwords are 16 lines. The branch back waits for the first one in full; the fetch
    # of each later one begins up to three cycles before its code is needed.
    waits = cost("straight", WAIT_STATES) - 126
    assert WAIT_STATES + 15 * (WAIT_STATES - 3) <= waits < 16 * WAIT_STATES


def test_prefetch_hides_the_waits_of_straight_code_of_16_bit_instructions() -> None:
    # Eight cycles of execution a line, six to read the next one: only the jump back waits.
    assert cost("straight", PREFETCH | WAIT_STATES) == 126 + WAIT_STATES


def test_the_first_pass_misses_and_the_second_hits() -> None:
    first, later = fill_then_cost("straight", ICACHE | WAIT_STATES, rounds=5)
    assert first > 0
    assert later == 0


def test_a_loop_longer_than_the_cache_misses_always() -> None:
    # 64 lines of body and one of branch: least recently used is what comes next.
    first, later = fill_then_cost("too_long", ICACHE | WAIT_STATES, rounds=4)
    assert later >= 4 * (first - WAIT_STATES)


def stalls_of_calls(functions: Sequence[int]) -> int:
    """Return the waits for code when functions of so many lines are called in turn."""
    built = machine.program(FUNCTIONS)
    core = Machine(built.code, acr=ICACHE | WAIT_STATES)
    for i, lines in enumerate(functions):
        machine.store_word(core, SRAM1 + 4 * i, built.labels[f"f{lines}"] | 1)
    core.write("r4", SRAM1)
    core.write(machine.COUNTER, len(functions))
    core.run(built.labels["caller"], built.labels["caller_end"])
    return core.timing.stalls().flash_instruction


def missed_lines(functions: Sequence[int]) -> tuple[int, int]:
    """Return how many first lines and how many later ones a least-recently-used cache misses."""
    cache: list[tuple[int, int]] = []
    missed = [0, 0]
    for lines in functions:
        for line in [(0, 0), *((lines, i) for i in range(lines))]:
            if line in cache:
                cache.remove(line)
            else:
                missed[line[1] > 0] += line[0] > 0
            cache.append(line)
            del cache[:-CACHE_LINES]
    return missed[0], missed[1]


@pytest.mark.parametrize("seed", range(6))
def test_the_line_not_used_for_longest_gives_way(seed: int) -> None:
    one = stalls_of_calls([1])
    later = stalls_of_calls([2]) - one
    first = stalls_of_calls([1, 2]) - one - later
    generator = random.Random(seed)  # noqa: S311 - a reproducible choice
    called = [
        lines
        for lines in generator.choices(FUNCTION_LINES[: 8 + seed % 3], k=400)
        for _ in range(generator.choice((1, 1, 2, 5)))
    ]
    first_lines, later_lines = missed_lines(called)
    assert first_lines + later_lines > 100
    assert stalls_of_calls(called) == one - first + first * first_lines + later * later_lines


def test_resetting_the_instruction_cache_empties_it() -> None:
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=ICACHE | WAIT_STATES)
    stalls = []
    for acr in (ICACHE, 0, RESET_ICACHE, ICACHE):
        core.timing.set_acr(acr | WAIT_STATES)
        if acr == ICACHE:
            core.write(machine.COUNTER, 3)
            core.run(built.labels["straight"], built.labels["straight_end"])
            stalls.append(core.timing.stalls().flash_instruction)
    assert stalls[1] - stalls[0] >= stalls[0] - WAIT_STATES


# Slow code, of which the queue asks for the next line as early as it is deep: three words, and four
# with the cache; a store that switches the cache; an IT, which begins a block of its own.
_SLOW = " ldrd r8, r9, [r6]\n" * 8
SWITCHING = f"""
function start
.balign 16
.global around
around:
{_SLOW}
 and r1, r7, #2
 mul r1, r1, r5
 eors r1, r0
 str r1, [r4]
{_SLOW}
 cmp r2, #0
 it eq
 ldrdeq r8, r9, [r6]
{_SLOW}
 subs r7, #1
 bne around
.global around_end
around_end: b .
"""
ACR = 0x4002_3C00


def switched(acr: int, toggled: int, rounds: int, *, forgetful: bool = False) -> list[int]:
    """Cycles of five laps of so many rounds, where two of four have other bits in FLASH_ACR.

    A forgetful machine knows of no block what it has cost in the round before.
    """
    built = machine.program(SWITCHING)
    core = Machine(built.code, acr=acr)

    def write(_uc: object, _at: int, _size: int, value: int, _data: object) -> None:
        core.timing.set_acr(value)
        if forgetful:
            core.timing.invalidate(FLASH, len(built.code))

    core.uc.mmio_map(ACR & ~0xFFF, 0x1000, lambda *_: 0, None, write, None)
    for register, value in {"r0": acr, "r4": ACR, "r5": toggled // 2, "r6": SRAM1}.items():
        core.write(register, value)
    found = []
    for _ in range(5):
        core.write(machine.COUNTER, rounds)
        found.append(core.run(built.labels["around"], built.labels["around_end"]))
    return found


@pytest.mark.parametrize("prefetch", [0, PREFETCH])
def test_blocks_cost_in_each_state_of_the_cache_what_a_chip_says_that_never_saw_them(
    prefetch: int,
) -> None:
    on = prefetch | ICACHE | WAIT_STATES
    fresh = {acr: switched(acr, 0, 4, forgetful=True) for acr in (on, on & ~ICACHE)}
    assert fresh[on][-1] < fresh[on & ~ICACHE][-1]
    for acr, cycles in fresh.items():
        assert switched(acr, 0, 4) == cycles
    assert switched(on, ICACHE, 12) == switched(on, ICACHE, 12, forgetful=True)


def test_an_emptied_cache_leaves_the_costs_of_blocks_as_they_were() -> None:
    acr = ICACHE | WAIT_STATES
    kept, core = [], Machine(machine.program(SWITCHING).code, acr=acr)
    labels = machine.program(SWITCHING).labels
    core.write("r4", SRAM1)
    core.write("r6", SRAM1)
    for _ in range(40):
        for value in (WAIT_STATES, WAIT_STATES | RESET_ICACHE, WAIT_STATES, acr):
            core.timing.set_acr(value)
            core.write(machine.COUNTER, 3)
            core.run(labels["around"], labels["around_end"])
        kept.append(len(core.timing._timings))
    assert len(set(kept[1:])) == 1


def test_the_instruction_cache_cannot_be_reset_while_it_is_on() -> None:
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=ICACHE | WAIT_STATES)
    core.write(machine.COUNTER, 1)
    core.run(built.labels["straight"], built.labels["straight_end"])
    before = core.timing.stalls().flash_instruction
    core.timing.set_acr(ICACHE | RESET_ICACHE | WAIT_STATES)
    core.write(machine.COUNTER, 3)
    core.run(built.labels["straight"], built.labels["straight_end"])
    assert core.timing.stalls().flash_instruction == before


@pytest.mark.parametrize(("acr", "waits"), [(0, 2), (DCACHE, 0)])
def test_flash_data_waits_unless_cached(acr: int, waits: int) -> None:
    # Two loads of one memory: 3 cycles, and without the data cache the waits of each.
    place = {"r4": FLASH + DATA_AT, "r5": FLASH + DATA_AT + 64}
    assert cost("data", ICACHE | acr | WAIT_STATES, **place) == 3 + waits * WAIT_STATES


def test_loads_from_sram_never_wait() -> None:
    place = {"r4": SRAM1, "r5": SRAM1 + 64}
    assert cost("data", ICACHE | DCACHE | WAIT_STATES, **place) == 3


@pytest.mark.parametrize(("lines", "misses"), [(8, 0), (9, 1)])
def test_the_data_cache_keeps_the_eight_lines_used_last(lines: int, misses: int) -> None:
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=ICACHE | DCACHE | WAIT_STATES)
    start = FLASH + DATA_AT
    for register, value in {"r4": start, "r8": start, "r6": start + lines * LINE_BYTES}.items():
        core.write(register, value)
    core.write(machine.COUNTER, 10 * lines)
    core.run(built.labels["walk"], built.labels["walk_end"])
    stalls = core.timing.stalls()
    assert stalls.flash_data_reads == 10 * lines
    assert stalls.flash_data_misses == lines + misses * 9 * lines
    assert stalls.flash_data == stalls.flash_data_misses * WAIT_STATES


def test_flash_data_reads_the_bytes_that_are_there() -> None:
    built = machine.program(SOURCE)
    core = Machine(built.code, acr=WAIT_STATES)
    machine.store_word(core, FLASH + DATA_AT, 0x1234_5678)
    core.timing.invalidate(FLASH + DATA_AT, 4)
    core.write("r4", FLASH + DATA_AT)
    core.write("r5", FLASH + DATA_AT + 2)
    core.write(machine.COUNTER, 1)
    core.run(built.labels["data"], built.labels["data_end"])
    assert core.read("r0") == 0x1234_5678
    assert core.read("r1") & 0xFFFF == 0x1234


@pytest.mark.parametrize(("changed", "kept"), [(FLASH, 3 + 1), (SRAM1, 1)])
def test_code_is_forgotten_when_its_own_page_changes_and_no_other(changed: int, kept: int) -> None:
    # The first pages of two memories: they must not be taken for each other.
    built = machine.program(SOURCE)
    begin, end = built.labels["narrow"], built.labels["narrow_end"]
    core = Machine(built.code)
    core.uc.mem_write(SRAM1, built.code[begin - FLASH : end - FLASH + 2])
    core.write(machine.COUNTER, 3)
    core.run(SRAM1, SRAM1 + end - begin)
    core.timing.invalidate(changed, 4)
    core.write(machine.COUNTER, 1)
    core.run(SRAM1, SRAM1 + end - begin)
    assert sum(block.runs for block in core.timing.profile()) == kept
