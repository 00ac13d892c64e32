/*
 * The core's pipeline: what a block of code costs when the flash never makes it wait.
 *
 * Cycle 0 is the earliest at which the block's first instruction can issue. An instruction issues
 * once the one before it is done, its code has been fetched and its address registers are ready.
 * What is still under way at the block's end is its successor's state; the successor is costed once
 * for each state it is entered with, so that it makes no difference where the emulator cuts code
 * into blocks.
 */
#ifndef HIL_TIMING_PIPELINE_H
#define HIL_TIMING_PIPELINE_H

#include "cost.h"
#include "rules.h"

#include <string.h>

enum {
    LONG_AGO = -8,    /* cycles: nothing asks what was before */
    WIDE_RUN = 3,     /* unaligned 32-bit instructions that lose a cycle with the cache on */
    ISSUE_CYCLES = 3, /* from when a word is asked for to when it can issue */
};

/* The pipeline while a block is being costed; its state's times are the block's. */
typedef struct {
    const rules_t *rules;
    cost_t *cost;
    uint32_t line_bytes;
    int32_t queue; /* words that the fetch unit holds */
    bool cached;
    bool behind_load; /* the load or store goes on from a load without waiting for a base */
    int32_t now;      /* earliest next issue */
    uint32_t by_cause[CAUSES];
    state_t state;
} run_t;

enum {
    SINGLE_LOADS = SET(KIND_LOAD) | SET(KIND_FLOAT_LOAD),
    SINGLE_STORES = SET(KIND_STORE) | SET(KIND_FLOAT_STORE),
    LOADS = SINGLE_LOADS | SET(KIND_LOAD_MULTIPLE) | SET(KIND_TABLE_BRANCH),
    PAIRED = SINGLE_LOADS | SET(KIND_FLOAT_STORE),
    FLOAT_RESULTS = SET(KIND_FLOAT) | SET(KIND_FLOAT_MULTIPLY_ADD) | SET(KIND_FLOAT_DIVIDE),
    FLOATS = FLOAT_RESULTS | FLOAT_MEMORY | SET(KIND_FLOAT_MOVE),
    LONG = SET(KIND_LOAD) | MULTIPLE | SET(KIND_DIVIDE) | FLOAT_MEMORY |
        SET(KIND_FLOAT_MULTIPLY_ADD),             /* instructions of more than a cycle */
    ALIKE = SET(KIND_SIMPLE) | SET(KIND_BARRIER), /* executed or skipped */
};

static int32_t later(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static void charge(run_t *run, int cause, int32_t cycles) {
    run->by_cause[cause] += (uint32_t)cycles;
}

static void wait_until(run_t *run, int32_t cycle, int cause) {
    if (cycle > run->now) {
        charge(run, cause, cycle - run->now);
        run->now = cycle;
    }
}

static bool is_indexed_store(const instruction_t *one) {
    return one->kind == KIND_STORE && has_index(one);
}

/* Note a line when its first word is taken. */
static void note_line(run_t *run, uint32_t line, int32_t needed, int32_t ahead) {
    cost_t *cost = run->cost;
    if (cost->lines == 0 || cost->line[cost->lines - 1].line != line) {
        cost->line[cost->lines++] = (line_fetch_t){line, (uint32_t)needed, (uint32_t)ahead};
    }
}

/* Keep when a word was used up, of as many words as the queue holds. */
static void note_freed(run_t *run, int32_t when) {
    state_t *s = &run->state;
    while (s->freed_count >= run->queue) {
        memmove(s->freed, s->freed + 1, sizeof s->freed - sizeof *s->freed);
        s->freed_count--;
    }
    s->freed[s->freed_count++] = when;
}

/*
 * Take an instruction's words from the fetch unit, waiting for those that come late. A word asked
 * for in one cycle can be decoded two later and issued three later. Words are asked for one a
 * cycle, as long as the queue has room.
 */
static void fetch(run_t *run, const instruction_t *one) {
    state_t *s = &run->state;
    uint32_t first = one->address >> 2, last = (end_of(one) - 1) >> 2;
    bool begun = one->address & 2 && !s->branched;
    int32_t latest = s->previous_issue;
    s->branched = false;
    for (uint32_t word = first + begun; word <= last; word++) {
        s->fetch = later(s->fetch, run->now - run->queue);
        int32_t back = run->queue - (word > first || begun);
        int32_t freed = s->freed_count >= back ? s->freed[s->freed_count - back] : INT32_MIN;
        if (s->freed_count >= back && s->fetch - ISSUE_CYCLES < freed) {
            s->fetch = freed + ISSUE_CYCLES + 1;
        }
        int32_t needed = later(run->now, s->fetch);
        note_line(run, 4 * word / run->line_bytes, needed, needed - s->fetch);
        wait_until(run, s->fetch, BRANCH);
        latest = later(latest, s->fetch - 1);
        s->fetch += 1 + s->second_word_late;
        s->second_word_late = 0;
    }
    if (begun && run->cost->lines == 0) {
        note_line(run, one->address / run->line_bytes, run->now, 0);
    }
    if (end_of(one) >> 2 != first) {
        note_freed(run, latest);
    }
}

/* Let the fetch unit lose a cycle to the third unaligned 32-bit instruction of a run. */
static void count_wide(run_t *run, const instruction_t *one) {
    state_t *s = &run->state;
    if (one->size == 2 || !(one->address & 2)) {
        s->wide_run = -1;
    } else if (s->wide_run >= 0 && ++s->wide_run == WIDE_RUN) {
        wait_until(run, run->now + run->rules->wide_run_with_cache, BRANCH);
        s->wide_run = -1;
    }
    if (s->wide_run < 0 && (is_of(one, LONG) || is_indexed_store(one))) {
        s->wide_run = 0;
    }
}

/* Whether an instruction hides the second cycle of the load before it. */
static bool pairs(const run_t *run, const instruction_t *one, access_t access) {
    const rules_t *rules = run->rules;
    if (one->is_nop) {
        return rules->nop_in_second_cycle;
    }
    bool same = access.memory == run->state.pending || rules->load_pairs_across_blocks;
    if (one->kind == KIND_STORE) {
        if (access.memory == SRAM2_MEMORY && !rules->load_hides_under_store_to_sram2) {
            return false;
        }
        return same && (has_index(one) || rules->load_hides_under_store);
    }
    return rules->load_pairs && same && is_of(one, PAIRED);
}

static void wait_for_address(run_t *run, const instruction_t *one) {
    const address_t *access = &one->access;
    int32_t ready = 0;
    wait_until(run, run->state.bus_free, LOAD_STORE);
    if (one->has_access && access->base >= 0 && access->base != PC) {
        ready = later(ready, run->state.ready[access->base]);
    }
    if (one->has_access && access->index >= 0 && access->index != PC) {
        ready = later(ready, run->state.ready[access->index]);
    }
    run->behind_load = run->behind_load && ready <= run->now;
    wait_until(run, ready, LOAD_STORE);
}

/* Wait until an instruction can issue. */
static void issue(run_t *run, const instruction_t *one, access_t access) {
    const rules_t *rules = run->rules;
    state_t *s = &run->state;
    run->behind_load = s->pending;
    if (s->pending && !pairs(run, one, access)) {
        wait_until(run, run->now + rules->load - 1, LOAD_STORE);
    }
    s->pending = 0;
    if (s->stored && is_of(one, LOADS)) {
        wait_until(run, run->now + rules->load_after_store, LOAD_STORE);
    }
    s->stored = false;
    if (is_of(one, MEMORY)) {
        wait_for_address(run, one);
    }
    if (is_of(one, FLOATS)) {
        wait_until(run, s->float_free, FLOAT);
        if (one->float_reads & s->float_result) {
            wait_until(run, run->now + rules->float_hazard, FLOAT);
        }
    }
    s->float_result = 0;
    fetch(run, one);
    if (run->cached) {
        count_wide(run, one);
    }
}

/* Pass over an instruction whose condition fails. Returns when. */
static int32_t skip(run_t *run, const instruction_t *one) {
    state_t *s = &run->state;
    if (s->pending) {
        wait_until(run, run->now + run->rules->load - 1, LOAD_STORE);
        s->pending = 0;
    }
    s->stored = false;
    s->float_result = 0;
    fetch(run, one);
    int32_t issued = s->previous_issue = run->now;
    charge(run, ISSUE, run->rules->skipped);
    run->now += run->rules->skipped;
    s->short_before = one->size == 2;
    return issued;
}

/* For how long an instruction keeps the next one from issuing, and why. A load's last cycle may be
 * hidden by what follows it, so it is not counted here. */
static int32_t cycles_of(const run_t *run, const instruction_t *one, int *cause) {
    const rules_t *rules = run->rules;
    *cause = ISSUE;
    if (one->kind == KIND_IT) {
        return rules->it_folds && run->state.short_before ? 0 : rules->it;
    }
    if (one->is_nop && run->state.indexed_store && rules->nop_in_second_cycle) {
        return 0;
    }
    *cause = is_of(one, FLOAT_RESULTS | SET(KIND_FLOAT_MOVE)) ? FLOAT : LOAD_STORE;
    switch (one->kind) {
    case KIND_LOAD:
        return rules->load - 1;
    case KIND_STORE:
        return has_index(one) ? rules->store_register_offset : rules->store;
    case KIND_LOAD_MULTIPLE:
    case KIND_STORE_MULTIPLE:
        return rules->multiple + one->words;
    case KIND_FLOAT_LOAD:
        return rules->float_load - 1 + one->is_double;
    case KIND_FLOAT_STORE:
        return rules->float_store + one->is_double;
    case KIND_FLOAT:
        return rules->float_simple;
    case KIND_FLOAT_MULTIPLY_ADD:
        return rules->float_multiply_add;
    case KIND_FLOAT_DIVIDE:
        return rules->simple;
    case KIND_FLOAT_MOVE:
        return rules->float_move + (one->operands > 2);
    case KIND_DIVIDE:
        *cause = DIVISION;
        return rules->divide;
    case KIND_BARRIER:
    case KIND_SYNCHRONISE:
        *cause = OTHER;
        return rules->barrier;
    default:
        *cause = ISSUE;
        return rules->simple;
    }
}

static int32_t misaligned(const rules_t *rules, const instruction_t *one, access_t access) {
    if (one->access_bytes == 2) {
        return access.misalignment & 1 ? rules->unaligned_half : 0;
    }
    if (one->access_bytes == 4) {
        if (access.misalignment & 1) {
            return rules->unaligned_word_odd;
        }
        return access.misalignment & 2 ? rules->unaligned_word : 0;
    }
    return 0;
}

/* Note when the registers that an instruction writes can form an address. */
static void set_ready(run_t *run, const instruction_t *one) {
    const rules_t *rules = run->rules;
    int32_t ready = run->now + rules->address_early;
    if (one->kind == KIND_LOAD) {
        ready = run->now + rules->load - 1 + rules->address_after_load;
    } else if (one->kind == KIND_LOAD_MULTIPLE) {
        ready = run->now;
    }
    for (uint32_t left = one->writes; left; left &= left - 1) {
        run->state.ready[__builtin_ctz(left)] = ready;
    }
    int8_t base = one->access.base;
    bool early = is_of(one, SET(KIND_LOAD) | SET(KIND_STORE));
    if (one->writes_back && early && one->has_access && base >= 0 && !(one->writes >> base & 1)) {
        run->state.ready[base] =
            run->now + (run->behind_load ? rules->write_back_behind_load : rules->write_back_early);
    }
}

/* What a load or store adds by where it goes. */
static int32_t access_cycles(const run_t *run, const instruction_t *one, access_t access) {
    int32_t cycles = misaligned(run->rules, one, access);
    if (access.memory == SDRAM_MEMORY) {
        int32_t each = is_of(one, LOADS) ? run->rules->sdram_load : run->rules->sdram_store;
        cycles += each * later(one->words, 1);
    }
    return cycles;
}

/* Note for how long a load or store keeps memory from others. */
static void occupy(run_t *run, const instruction_t *one, access_t access, int32_t issued) {
    const rules_t *rules = run->rules;
    state_t *s = &run->state;
    if (one->kind == KIND_STORE && access.memory == SRAM2_MEMORY) {
        s->bus_free =
            run->now + (run->cached ? rules->sram2_busy_with_cache : rules->sram2_busy_after_store);
    }
    if (access.memory == FLASH_MEMORY && is_of(one, LOADS)) {
        int32_t slot = run->cached ? rules->flash_data_takes_slot_with_cache
                                   : rules->flash_data_takes_fetch_slot;
        s->fetch = later(s->fetch, issued - run->queue) + slot * later(one->words, 1);
    }
}

/* Let an instruction that goes on to the next one take its cycles. */
static void execute(run_t *run, const instruction_t *one, access_t access) {
    const rules_t *rules = run->rules;
    state_t *s = &run->state;
    int cause;
    int32_t cycles = cycles_of(run, one, &cause);
    cycles += is_of(one, MEMORY) ? access_cycles(run, one, access) : 0;
    int32_t issued = s->previous_issue = run->now;
    charge(run, ISSUE, cycles < 1 ? cycles : 1);
    charge(run, cause, later(cycles - 1, 0));
    run->now += cycles;
    s->pending = is_of(one, SINGLE_LOADS) ? access.memory : s->pending;
    s->stored = is_of(one, SINGLE_STORES);
    s->indexed_store = is_indexed_store(one);
    occupy(run, one, access, issued);
    set_ready(run, one);
    s->float_result = is_of(one, FLOAT_RESULTS) ? one->float_writes : s->float_result;
    s->float_free = one->kind == KIND_FLOAT_DIVIDE ? issued + rules->float_divide : s->float_free;
    s->short_before = one->size == 2;
    if (one->kind == KIND_SYNCHRONISE) {
        s->fetch = run->now + rules->indirect_refill;
        s->branched = true;
    }
}

/* What is still under way at the end of a block, by times from there. */
static exit_t exit_of(const run_t *run, bool branched) {
    exit_t end = {.cost = (uint32_t)run->now, .state = run->state};
    state_t *s = &end.state;
    memcpy(end.by_cause, run->by_cause, sizeof end.by_cause);
    s->fetch = later(s->fetch, run->now - run->queue) - run->now;
    s->previous_issue = later(s->previous_issue - run->now, LONG_AGO);
    s->bus_free = later(s->bus_free - run->now, 0);
    s->float_free = later(s->float_free - run->now, 0);
    s->freed_count = branched ? 0 : s->freed_count;
    for (uint32_t i = 0; i < MOST_QUEUE; i++) {
        s->freed[i] = i < s->freed_count ? later(s->freed[i] - run->now, LONG_AGO) : 0;
    }
    for (uint32_t i = 0; i < CORE_REGISTERS; i++) {
        s->ready[i] = later(s->ready[i] - run->now, 0);
    }
    s->branched = branched || s->branched;
    s->short_before = s->short_before && !branched;
    s->indexed_store = s->indexed_store && !branched;
    s->wide_run = branched ? -1 : s->wide_run;
    return end;
}

/* End a block with its last instruction writing PC. */
static exit_t branch(run_t run, const instruction_t *end) {
    const rules_t *rules = run.rules;
    int32_t cycles = rules->simple, refill = rules->branch_refill;
    switch (end->kind) {
    case KIND_LOAD_MULTIPLE:
        cycles = rules->multiple + end->words;
        refill = rules->load_pc_refill;
        break;
    case KIND_LOAD:
        cycles = rules->load;
        refill = rules->load_pc_refill;
        break;
    case KIND_TABLE_BRANCH:
        cycles = rules->load;
        refill = rules->table_refill;
        break;
    case KIND_INDIRECT:
        refill = rules->indirect_refill;
        break;
    default:
        break;
    }
    charge(&run, ISSUE, 1);
    charge(&run, LOAD_STORE, cycles - 1);
    run.state.previous_issue = run.now;
    run.now += cycles;
    run.state.fetch = run.now + refill;
    bool forward = end->has_target && end->target > end->address;
    bool late = forward && (is_predicated(end) || end->kind == KIND_COMPARE_BRANCH);
    run.state.second_word_late = late ? rules->forward_branch_second_word : 0;
    return exit_of(&run, true);
}

/* End a block with its last instruction, a conditional one, not writing PC. */
static exit_t not_taken(run_t run, const instruction_t *end) {
    charge(&run, ISSUE, run.rules->skipped);
    run.state.previous_issue = run.now;
    run.now += run.rules->skipped;
    run.state.short_before = end->size == 2;
    return exit_of(&run, false);
}

/* The conditions of an IT block that the code's end leaves open go on in the state behind it. */
static void leave_open(const instruction_t *block, uint32_t count, const state_t *entered,
                       uint8_t outcome, state_t *behind) {
    const uint8_t *conditions = entered->conditions;
    uint8_t left = entered->condition_count;
    for (const instruction_t *one = block; one < block + count; one++) {
        conditions += left > 0;
        left = (uint8_t)(left - (left > 0));
        if (one->it_count) {
            conditions = one->it_conditions;
            left = one->it_count;
        }
    }
    behind->condition_count = left;
    memset(behind->conditions, 0, sizeof behind->conditions);
    memcpy(behind->conditions, conditions, left);
    behind->outcome = left ? outcome : NOBODY_KNOWS;
}

static bool is_skipped(const instruction_t *one, uint8_t outcome, uint8_t first_condition) {
    if (outcome == NOBODY_KNOWS || leaves(one) || !is_predicated(one)) {
        return false;
    }
    return (outcome == HOLDS) != (one->condition == first_condition);
}

/* Take a block's instructions through the pipeline, the last one up to where it issues if it leaves
 * the block. Returns the outcome of the IT that came last. */
static uint8_t walk(run_t *run, const instruction_t *block, uint32_t count, const state_t *entered,
                    const access_t *accesses) {
    uint8_t outcome = entered->outcome;
    uint8_t first_condition = entered->condition_count ? entered->conditions[0] : ALWAYS;
    for (uint32_t i = 0; i < count; i++) {
        const instruction_t *one = &block[i];
        if (one->kind == KIND_IT) {
            first_condition = one->it_conditions[0];
            outcome = i == 0 ? entered->outcome : NOBODY_KNOWS;
        } else if (is_skipped(one, outcome, first_condition)) {
            run->cost->issues[i] = (uint32_t)skip(run, one);
            continue;
        }
        issue(run, one, accesses[i]);
        run->cost->issues[i] = (uint32_t)run->now;
        if (i + 1 < count || !leaves(one)) {
            execute(run, one, accesses[i]);
        }
    }
    return outcome;
}

/* Cost a block entered in a state, by what its loads and stores reach. */
void pipeline_cost(const instruction_t *block, uint32_t count, const state_t *entered,
                   const rules_t *rules, const access_t *accesses, bool cached, uint32_t line_bytes,
                   cost_t *cost) {
    const instruction_t *end = &block[count - 1];
    run_t run = {
        .rules = rules,
        .cost = cost,
        .line_bytes = line_bytes,
        .queue = cached ? rules->fetch_queue_with_cache : rules->fetch_queue,
        .cached = cached,
        .state = *entered,
    };
    cost->lines = 0;
    run.state.condition_count = run.state.outcome = 0;
    memset(run.state.conditions, 0, sizeof run.state.conditions);
    uint8_t outcome = walk(&run, block, count, entered, accesses);
    if (leaves(end)) {
        cost->taken = branch(run, end);
        cost->fall_through = is_predicated(end) ? not_taken(run, end) : cost->taken;
    } else {
        cost->fall_through = exit_of(&run, false);
        leave_open(block, count, entered, outcome, &cost->fall_through.state);
        cost->taken = cost->fall_through;
    }
}

/* Whether an instruction in an IT block takes another time when it is skipped. */
bool pipeline_depends_on_outcome(const instruction_t *one) {
    return !is_of(one, ALIKE) && !leaves(one);
}

#endif
