"""The core's pipeline: what a block of code costs when the flash never makes it wait.

Cycle 0 is the earliest at which the block's first instruction can issue. An instruction issues once
the one before it is done, its code has been fetched and its address registers are ready. What is
still under way at the block's end is its successor's `State`; the successor is costed once for each
state it is entered with, so that it makes no difference where the emulator cuts code into blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self

from hil.targets.emulator.core.decode import MEMORY, Instruction, Kind
from hil.targets.emulator.timing.rules import Rules


class Cause(IntEnum):
    """What a cycle was spent on."""

    ISSUE = 0  # one cycle of every instruction that takes any
    LOAD_STORE = 1  # further cycles of loads and stores, and waiting for addresses
    BRANCH = 2  # refill after a taken branch, and fetches that come late
    DIVISION = 3
    FLOAT = 4
    OTHER = 5  # barriers


@dataclass(frozen=True)
class State:
    """What the pipeline still has under way between two instructions.

    Times are in cycles from the earliest next issue.

    Attributes:
        fetch: when the next word of code, and so an instruction in it, can issue.
        second_word_late: added once, to the word after that.
        freed: when each of the last words was used up, oldest first.
        previous_issue: when the last instruction issued.
        branched: nothing of the next instruction has been fetched, also when it starts in the
            middle of a word.
        pending: memory of a load whose second cycle may yet be hidden; None without one.
        stored: the last instruction was a store.
        bus_free: when the next load or store can go ahead.
        ready: (core register, cycles) of those not ready yet as an address.
        float_result: registers written by the last instruction, when that was a float operation.
        float_free: when the float unit is done with a division.
        short_before: the last instruction was a 16-bit one, and no branch.
        indexed_store: the last instruction was STR [Rn, Rm].
        wide_run: how many unaligned 32-bit instructions have come behind one of more than a cycle;
            -1 where nothing is counted.
        conditions: of the remaining instructions of an IT block.
        outcome: whether the condition of the IT that comes next, or just came, holds; where nobody
            knows, its instructions are taken to execute.
    """

    fetch: int = 0
    second_word_late: int = 0
    freed: tuple[int, ...] = ()
    previous_issue: int = 0
    branched: bool = False
    pending: str | None = None
    stored: bool = False
    bus_free: int = 0
    ready: tuple[tuple[int, int], ...] = ()
    float_result: frozenset[int] = frozenset()
    float_free: int = 0
    short_before: bool = False
    indexed_store: bool = False
    wide_run: int = -1
    conditions: tuple[int, ...] = ()
    outcome: bool | None = None


@dataclass(frozen=True)
class Access:
    """What is known of a load's or store's address: its memory and its misalignment in bytes."""

    memory: str = "unknown"
    misalignment: int = 0


NO_ACCESS = Access()
"""Nothing is known, or nothing is reached."""


@dataclass(frozen=True)
class LineFetch:
    """A line of code, which the flash reads at once.

    Attributes:
        needed: when it is first needed. ahead: how much earlier it is asked for.
    """

    line: int
    needed: int
    ahead: int


@dataclass(frozen=True)
class Exit:
    """The end of a block one way: its cost in all and by cause, and what goes on behind it."""

    cost: int
    by_cause: tuple[int, ...]
    state: State


@dataclass(frozen=True)
class BlockTiming:
    """A block's cost.

    Attributes:
        issues: cycle at which each instruction issues.
        fall_through, taken: the end of the block when the next one follows it in memory, or not.
    """

    issues: tuple[int, ...]
    lines: tuple[LineFetch, ...]
    fall_through: Exit
    taken: Exit


@dataclass
class _Run:
    """The pipeline while a block is being costed."""

    rules: Rules
    line_bytes: int
    queue: int  # words that the fetch unit holds
    now: int  # earliest next issue
    fetch: int
    second_word_late: int
    freed: list[int]
    previous_issue: int
    branched: bool
    pending: str | None
    stored: bool
    bus_free: int
    ready: dict[int, int]
    float_result: frozenset[int]
    float_free: int
    short_before: bool
    indexed_store: bool
    wide_run: int
    cached: bool
    behind_load: bool = False  # the load or store goes on from a load without waiting for a base
    by_cause: list[int] = field(default_factory=lambda: [0] * len(Cause))
    lines: list[LineFetch] = field(default_factory=list)

    @classmethod
    def enter(cls, state: State, rules: Rules, *, cached: bool, line_bytes: int) -> Self:
        """Go on from a state."""
        return cls(
            rules=rules,
            line_bytes=line_bytes,
            queue=rules.fetch_queue_with_cache if cached else rules.fetch_queue,
            now=0,
            fetch=state.fetch,
            second_word_late=state.second_word_late,
            freed=list(state.freed),
            previous_issue=state.previous_issue,
            branched=state.branched,
            pending=state.pending,
            stored=state.stored,
            bus_free=state.bus_free,
            ready=dict(state.ready),
            float_result=state.float_result,
            float_free=state.float_free,
            short_before=state.short_before,
            indexed_store=state.indexed_store,
            wide_run=state.wide_run,
            cached=cached,
        )

    def charge(self, cause: Cause, cycles: int) -> None:
        self.by_cause[cause] += cycles

    def wait_until(self, cycle: int, cause: Cause) -> None:
        if cycle > self.now:
            self.charge(cause, cycle - self.now)
            self.now = cycle


def cost_block(
    instructions: Sequence[Instruction],
    state: State,
    rules: Rules,
    access_of: Callable[[Instruction], Access],
    *,
    cached: bool,
    line_bytes: int = 16,
) -> BlockTiming:
    """Cost a block entered in a state.

    Args:
        instructions: of the block.
        state: of the pipeline before it.
        rules: by which to cost it.
        access_of: what a load or store reaches.
        cached: whether the flash's instruction cache is on.
        line_bytes: of a line of the flash.
    """
    run = _Run.enter(state, rules, cached=cached, line_bytes=line_bytes)
    issues = []
    last = len(instructions) - 1
    outcome = state.outcome
    first_condition = (state.conditions or (14,))[0]
    for index, instruction in enumerate(instructions):
        if instruction.kind is Kind.IT:
            first_condition = instruction.it_conditions[0]
            outcome = state.outcome if index == 0 else None
        elif _is_skipped(instruction, outcome, first_condition):
            issues.append(_skip(run, instruction))
            continue
        access = access_of(instruction) if instruction.kind in MEMORY else NO_ACCESS
        _issue(run, instruction, access)
        issues.append(run.now)
        if index < last or not instruction.leaves:
            _execute(run, instruction, access)
    open_conditions = _open_conditions(instructions, state.conditions)
    end = instructions[-1]
    if not end.leaves:
        only = _exit(run, conditions=open_conditions)
        if open_conditions:
            only = replace(only, state=replace(only.state, outcome=outcome))
        return BlockTiming(tuple(issues), tuple(run.lines), only, only)
    taken = _branch(run, end)
    fall = _not_taken(run, end) if end.predicated else taken
    return BlockTiming(tuple(issues), tuple(run.lines), fall, taken)


def depends_on_outcome(instruction: Instruction) -> bool:
    """Whether an instruction in an IT block takes another time when it is skipped."""
    return instruction.kind not in _ALIKE and not instruction.leaves


def _is_skipped(instruction: Instruction, outcome: bool | None, first_condition: int) -> bool:
    if outcome is None or instruction.leaves or not instruction.predicated:
        return False
    return outcome != (instruction.condition == first_condition)


def _skip(run: _Run, instruction: Instruction) -> int:
    """Pass over an instruction whose condition fails; return when."""
    if run.pending is not None:
        run.wait_until(run.now + run.rules.load - 1, Cause.LOAD_STORE)
        run.pending = None
    run.stored = False
    run.float_result = frozenset()
    _fetch(run, instruction)
    issued = run.previous_issue = run.now
    run.charge(Cause.ISSUE, run.rules.skipped)
    run.now += run.rules.skipped
    run.short_before = instruction.size == 2
    return issued


def _issue(run: _Run, instruction: Instruction, access: Access) -> None:
    """Wait until an instruction can issue."""
    rules = run.rules
    run.behind_load = run.pending is not None
    if run.pending is not None:
        if not _pairs(run, instruction, access):
            run.wait_until(run.now + rules.load - 1, Cause.LOAD_STORE)
        run.pending = None
    if run.stored and instruction.kind in _LOADS:
        run.wait_until(run.now + rules.load_after_store, Cause.LOAD_STORE)
    run.stored = False
    if instruction.kind in MEMORY:
        run.wait_until(run.bus_free, Cause.LOAD_STORE)
        ready = 0
        for register in instruction.address_registers:
            ready = max(ready, run.ready.get(register, 0))
        run.behind_load &= ready <= run.now
        run.wait_until(ready, Cause.LOAD_STORE)
    if instruction.kind in _FLOATS:
        run.wait_until(run.float_free, Cause.FLOAT)
        if instruction.float_reads & run.float_result:
            run.wait_until(run.now + rules.float_hazard, Cause.FLOAT)
    run.float_result = frozenset()
    _fetch(run, instruction)
    if run.cached:
        _count_wide(run, instruction)


def _count_wide(run: _Run, instruction: Instruction) -> None:
    """Let the fetch unit lose a cycle to the third unaligned 32-bit instruction of a run."""
    if instruction.size == 2 or not instruction.address & 2:
        run.wide_run = -1
    elif run.wide_run >= 0:
        run.wide_run += 1
        if run.wide_run == _WIDE_RUN:
            run.wait_until(run.now + run.rules.wide_run_with_cache, Cause.BRANCH)
            run.wide_run = -1
    if run.wide_run < 0 and (instruction.kind in _LONG or _is_indexed_store(instruction)):
        run.wide_run = 0


def _is_nop(instruction: Instruction) -> bool:
    return instruction.text.startswith("nop")


def _is_indexed_store(instruction: Instruction) -> bool:
    return instruction.kind is Kind.STORE and instruction.has_index


def _fetch(run: _Run, instruction: Instruction) -> None:
    """Take an instruction's words from the fetch unit, waiting for those that come late.

    A word asked for in one cycle can be decoded two later and issued three later. Words are asked
    for one a cycle, as long as the queue has room.
    """
    queue = run.queue
    first = instruction.address >> 2
    begun = bool(instruction.address & 2) and not run.branched
    run.branched = False
    latest = run.previous_issue
    for word in range(first + begun, (instruction.end - 1 >> 2) + 1):
        run.fetch = max(run.fetch, run.now - queue)
        held = word > first or begun
        back = queue - held
        if len(run.freed) >= back and run.fetch - 3 < run.freed[-back]:
            run.fetch = run.freed[-back] + 4
        line = 4 * word // run.line_bytes
        if not run.lines or run.lines[-1].line != line:
            needed = max(run.now, run.fetch)
            run.lines.append(LineFetch(line, needed, needed - run.fetch))
        run.wait_until(run.fetch, Cause.BRANCH)
        latest = max(latest, run.fetch - 1)
        run.fetch += 1 + run.second_word_late
        run.second_word_late = 0
    if begun and not run.lines:
        run.lines.append(LineFetch(instruction.address // run.line_bytes, run.now, 0))
    used_up = (instruction.end >> 2) - first
    if used_up:
        run.freed = (run.freed + [latest] * used_up)[-queue:]


def _pairs(run: _Run, instruction: Instruction, access: Access) -> bool:
    """Whether an instruction hides the second cycle of the load before it."""
    rules, kind = run.rules, instruction.kind
    if _is_nop(instruction):
        return rules.nop_in_second_cycle
    same = access.memory == run.pending or rules.load_pairs_across_blocks
    if kind is Kind.STORE:
        if access.memory == "sram2" and not rules.load_hides_under_store_to_sram2:
            return False
        return same and (instruction.has_index or rules.load_hides_under_store)
    return rules.load_pairs and same and kind in _PAIRED


def _execute(run: _Run, instruction: Instruction, access: Access) -> None:
    """Let an instruction that goes on to the next one take its cycles."""
    rules, kind = run.rules, instruction.kind
    cycles, cause = _cycles(run, instruction)
    if kind in MEMORY:
        cycles += _misaligned(rules, instruction, access)
        if access.memory == "sdram":
            each = rules.sdram_load if kind in _LOADS else rules.sdram_store
            cycles += each * max(instruction.words, 1)
    issued = run.previous_issue = run.now
    run.charge(Cause.ISSUE, min(cycles, 1))
    run.charge(cause, max(cycles - 1, 0))
    run.now += cycles
    if kind in _SINGLE_LOADS:
        run.pending = access.memory
    run.stored = kind in _SINGLE_STORES
    run.indexed_store = _is_indexed_store(instruction)
    if kind is Kind.STORE and access.memory == "sram2":
        busy = rules.sram2_busy_with_cache if run.cached else rules.sram2_busy_after_store
        run.bus_free = run.now + busy
    if access.memory == "flash" and kind in _LOADS:
        run.fetch = max(run.fetch, issued - run.queue)
        slot = rules.flash_data_takes_fetch_slot
        if run.cached:
            slot = rules.flash_data_takes_slot_with_cache
        run.fetch += slot * max(instruction.words, 1)
    _set_ready(run, instruction)
    if kind in _FLOAT_RESULTS:
        run.float_result = instruction.float_writes
    if kind is Kind.FLOAT_DIVIDE:
        run.float_free = issued + rules.float_divide
    run.short_before = instruction.size == 2
    if kind is Kind.SYNCHRONISE:
        run.fetch, run.branched = run.now + rules.indirect_refill, True


def _cycles(run: _Run, instruction: Instruction) -> tuple[int, Cause]:
    """Return for how long an instruction keeps the next one from issuing, and why."""
    rules = run.rules
    if instruction.kind is Kind.IT:
        folded = rules.it_folds and run.short_before
        return 0 if folded else rules.it, Cause.ISSUE
    if _is_nop(instruction) and run.indexed_store and rules.nop_in_second_cycle:
        return 0, Cause.ISSUE
    cycles, cause = _COSTS.get(instruction.kind, _SIMPLE)
    return cycles(rules, instruction), cause


_Cost = tuple[Callable[[Rules, Instruction], int], Cause]
_SIMPLE: _Cost = (lambda r, _: r.simple, Cause.ISSUE)
# A load's last cycle may be hidden by what follows it, so it is not counted here.
_COSTS: dict[Kind, _Cost] = {
    Kind.LOAD: (lambda r, _: r.load - 1, Cause.LOAD_STORE),
    Kind.STORE: (
        lambda r, i: r.store_register_offset if i.has_index else r.store,
        Cause.LOAD_STORE,
    ),
    Kind.LOAD_MULTIPLE: (lambda r, i: r.multiple + i.words, Cause.LOAD_STORE),
    Kind.STORE_MULTIPLE: (lambda r, i: r.multiple + i.words, Cause.LOAD_STORE),
    Kind.DIVIDE: (lambda r, _: r.divide, Cause.DIVISION),
    Kind.BARRIER: (lambda r, _: r.barrier, Cause.OTHER),
    Kind.SYNCHRONISE: (lambda r, _: r.barrier, Cause.OTHER),
    Kind.FLOAT: (lambda r, _: r.float_simple, Cause.FLOAT),
    Kind.FLOAT_MULTIPLY_ADD: (lambda r, _: r.float_multiply_add, Cause.FLOAT),
    Kind.FLOAT_DIVIDE: (lambda r, _: r.simple, Cause.FLOAT),
    Kind.FLOAT_MOVE: (lambda r, i: r.float_move + (i.operands > 2), Cause.FLOAT),
    Kind.FLOAT_LOAD: (lambda r, i: r.float_load - 1 + i.double, Cause.LOAD_STORE),
    Kind.FLOAT_STORE: (lambda r, i: r.float_store + i.double, Cause.LOAD_STORE),
}


def _misaligned(rules: Rules, instruction: Instruction, access: Access) -> int:
    if instruction.access_bytes == 2:
        return rules.unaligned_half if access.misalignment & 1 else 0
    if instruction.access_bytes == 4:
        if access.misalignment & 1:
            return rules.unaligned_word_odd
        return rules.unaligned_word if access.misalignment & 2 else 0
    return 0


def _set_ready(run: _Run, instruction: Instruction) -> None:
    """Note when the registers that an instruction writes can form an address."""
    rules, kind = run.rules, instruction.kind
    early = run.now + rules.address_early
    for register in instruction.writes:
        if kind is Kind.LOAD:
            run.ready[register] = run.now + rules.load - 1 + rules.address_after_load
        elif kind is Kind.LOAD_MULTIPLE:
            run.ready[register] = run.now
        else:
            run.ready[register] = early
    if instruction.writes_back and kind in _WRITES_BACK_EARLY and instruction.access:
        base = instruction.access.base
        if base not in instruction.writes:
            early = rules.write_back_behind_load if run.behind_load else rules.write_back_early
            run.ready[base] = run.now + early


def _branch(run: _Run, end: Instruction) -> Exit:
    """End a block with its last instruction writing PC."""
    rules, kind = run.rules, end.kind
    run = replace(run, by_cause=list(run.by_cause), ready=dict(run.ready))
    cycles, refill = rules.simple, rules.branch_refill
    if kind is Kind.LOAD_MULTIPLE:
        cycles, refill = rules.multiple + end.words, rules.load_pc_refill
    elif kind is Kind.LOAD:
        cycles, refill = rules.load, rules.load_pc_refill
    elif kind is Kind.TABLE_BRANCH:
        cycles, refill = rules.load, rules.table_refill
    elif kind is Kind.INDIRECT:
        refill = rules.indirect_refill
    run.charge(Cause.ISSUE, 1)
    run.charge(Cause.LOAD_STORE, cycles - 1)
    run.previous_issue = run.now
    run.now += cycles
    run.fetch = run.now + refill
    forward = end.target is not None and end.target > end.address
    late = forward and (end.predicated or kind is Kind.COMPARE_BRANCH)
    run.second_word_late = rules.forward_branch_second_word if late else 0
    return _exit(run, branched=True)


def _not_taken(run: _Run, end: Instruction) -> Exit:
    """End a block with its last instruction, a conditional one, not writing PC."""
    run = replace(run, by_cause=list(run.by_cause), ready=dict(run.ready))
    run.charge(Cause.ISSUE, run.rules.skipped)
    run.previous_issue = run.now
    run.now += run.rules.skipped
    run.short_before = end.size == 2
    return _exit(run)


def _exit(run: _Run, *, branched: bool = False, conditions: tuple[int, ...] = ()) -> Exit:
    earliest = run.now - run.queue
    state = State(
        fetch=max(run.fetch, earliest) - run.now,
        second_word_late=run.second_word_late,
        freed=() if branched else tuple(max(f - run.now, -8) for f in run.freed),
        previous_issue=max(run.previous_issue - run.now, -8),
        branched=branched or run.branched,
        pending=run.pending,
        stored=run.stored,
        bus_free=max(run.bus_free - run.now, 0),
        ready=tuple(sorted((r, t - run.now) for r, t in run.ready.items() if t > run.now)),
        float_result=run.float_result,
        float_free=max(run.float_free - run.now, 0),
        short_before=run.short_before and not branched,
        indexed_store=run.indexed_store and not branched,
        wide_run=-1 if branched else run.wide_run,
        conditions=conditions,
    )
    return Exit(run.now, tuple(run.by_cause), state)


def _open_conditions(
    instructions: Sequence[Instruction], entered_with: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the conditions of an IT block that the code's end leaves open."""
    conditions = entered_with
    for instruction in instructions:
        conditions = instruction.it_conditions or conditions[1:]
    return conditions


_WIDE_RUN = 3
_LONG = frozenset(  # instructions of more than a cycle
    {Kind.LOAD, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.DIVIDE, Kind.FLOAT_LOAD,
     Kind.FLOAT_STORE, Kind.FLOAT_MULTIPLY_ADD}
)  # fmt: skip
_ALIKE = frozenset({Kind.SIMPLE, Kind.BARRIER})
# Sets of their own: one that is written where it is asked is made anew each time.
_SINGLE_LOADS = frozenset({Kind.LOAD, Kind.FLOAT_LOAD})
_SINGLE_STORES = frozenset({Kind.STORE, Kind.FLOAT_STORE})
_FLOAT_RESULTS = frozenset({Kind.FLOAT, Kind.FLOAT_MULTIPLY_ADD, Kind.FLOAT_DIVIDE})
_PAIRED = frozenset({Kind.LOAD, Kind.FLOAT_LOAD, Kind.FLOAT_STORE})
_WRITES_BACK_EARLY = frozenset({Kind.LOAD, Kind.STORE})
_LOADS = frozenset({Kind.LOAD, Kind.LOAD_MULTIPLE, Kind.FLOAT_LOAD, Kind.TABLE_BRANCH})
_FLOATS = frozenset(
    {Kind.FLOAT, Kind.FLOAT_MULTIPLY_ADD, Kind.FLOAT_DIVIDE, Kind.FLOAT_MOVE, Kind.FLOAT_STORE,
     Kind.FLOAT_LOAD}
)  # fmt: skip
