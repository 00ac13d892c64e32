/*
 * Which memories a block's accesses go to for some registers, how they are aligned, and for which
 * other registers that is the same: the places that addresses have to be at.
 */
#ifndef HIL_TIMING_CASES_H
#define HIL_TIMING_CASES_H

#include "addresses.h"
#include "pipeline.h"

enum {
    MOST_MEMORIES = 64,
    CASE_PLACES = 4 * MOST_INSTRUCTIONS,
    CASE_TERMS = 1 << 16,
    /* What is loaded leaves room for a place of every access. */
    LOADS_PLACES = CASE_PLACES - MOST_INSTRUCTIONS,
    LOADS_TERMS = CASE_TERMS / 2
};

/* A range of addresses with its own bus slave, or without any. */
typedef struct {
    uint32_t begin;
    uint32_t length;
    const uint8_t *host; /* what can be loaded from beforehand; NULL for a device or nothing */
    uint32_t number;     /* of its name */
    uint32_t unused;
} memory_t;

/* All addresses, by ranges, in order. */
typedef struct {
    uint32_t count;
    uint32_t unused;
    memory_t all[MOST_MEMORIES];
} memories_t;

/* A block's accesses for some registers, and for which others they are the same. */
typedef struct {
    uint32_t count; /* places, in the order in which they are to be looked at */
    uint32_t term_count;
    uint32_t hook;         /* where the block is first to be cut so that an address can be told */
    uint32_t hook_decides; /* an IT stands there */
    uint32_t is_full;      /* there were more places than fit */
    uint32_t unused;
    access_t accesses[MOST_INSTRUCTIONS];
    place_t places[CASE_PLACES];
    term_t terms[CASE_TERMS];
} case_t;

/* A block's registers, and what it loads. */
typedef struct {
    uint32_t values[FIRST_LOADED + MOST_LOADS];
    uint32_t numbers[FIRST_LOADED + MOST_LOADS]; /* of values that are told; else NOT_TOLD */
    uint32_t told;                               /* how many */
} values_t;

static const uint32_t NOT_TOLD = UINT32_MAX;

static const memory_t *memory_at(const memories_t *memories, uint32_t address) {
    const memory_t *memory = memories->all;
    while (address - memory->begin >= memory->length) {
        memory++;
    }
    return memory;
}

static bool is_told(const values_t *values, uint32_t term) {
    return term < FIRST_OPAQUE && values->numbers[term] != NOT_TOLD;
}

static bool all_told(const terms_t *t, sum_t sum, const values_t *values) {
    for (uint32_t i = 0; i < sum.count; i++) {
        if (!is_told(values, t->all[sum.first + i].value)) {
            return false;
        }
    }
    return true;
}

/* Add a place of a case. Its terms are numbered as they are told. */
static void add_place(case_t *found, const terms_t *t, sum_t sum, const values_t *values,
                      place_t place) {
    if (found->count == CASE_PLACES || found->term_count + sum.count > CASE_TERMS) {
        found->is_full = true;
        return;
    }
    place.first_term = found->term_count;
    place.terms = sum.count;
    place.constant = sum.constant;
    for (uint32_t i = 0; i < sum.count; i++) {
        const term_t *term = &t->all[sum.first + i];
        found->terms[found->term_count++] = (term_t){values->numbers[term->value], term->times};
    }
    found->places[found->count++] = place;
}

/* What has to hold for a store not to change what is loaded; false if it does change it. */
static bool apart(plan_t *plan, const transfer_t *load, const transfer_t *store,
                  const values_t *values, sum_t *between, place_t *place) {
    *between = sum_of(0);
    if (!all_told(&plan->terms, store->at, values)) {
        return true; /* nothing is known of it: taken to go elsewhere */
    }
    if (!terms_have_room(&plan->terms, load->at.count + store->at.count)) {
        return false;
    }
    *between = sum_plus(&plan->terms, load->at, store->at, UINT32_MAX);
    *place = (place_t){.begin = store->bytes, .length = 1 - store->bytes - load->bytes};
    uint32_t value = sum_value(&plan->terms, *between, values->values);
    return value - store->bytes < place->length;
}

/* What memory holds there, where it can be looked at. */
static bool load_from(const memory_t *memory, uint32_t address, const transfer_t *load,
                      uint32_t *value) {
    uint32_t offset = address - memory->begin;
    if (!memory->host || offset > memory->length - load->bytes) {
        return false;
    }
    const place_t place = {
        .bytes = load->bytes, .is_signed = load->is_signed, .host = memory->host};
    *value = places_load(&place, offset);
    return true;
}

/* Whether no store of the block changes what is loaded. Adds what has to hold for that. */
static bool stays(plan_t *plan, const transfer_t *load, const values_t *values, case_t *found) {
    uint32_t places = found->count, terms = found->term_count;
    for (uint32_t i = 0; i < load->stores; i++) {
        sum_t between;
        place_t place;
        bool has_room = found->count < LOADS_PLACES && found->term_count < LOADS_TERMS;
        if (!has_room || !apart(plan, load, &plan->stores[i], values, &between, &place)) {
            found->count = places;
            found->term_count = terms;
            return false;
        }
        if (between.count) {
            add_place(found, &plan->terms, between, values, place);
        }
    }
    return true;
}

/* Load a value that addresses are made of, if it can be told. Where too much would have to hold for
 * that, it is not told, and the block is cut where the value is there. */
static void load_one(plan_t *plan, uint32_t index, const memories_t *memories, values_t *values,
                     case_t *found) {
    const transfer_t *load = &plan->loads[index];
    if (!all_told(&plan->terms, load->at, values) || values->told == VALUES) {
        return;
    }
    uint32_t value, address = sum_value(&plan->terms, load->at, values->values);
    const memory_t *memory = memory_at(memories, address);
    if (!load_from(memory, address, load, &value) || !stays(plan, load, values, found)) {
        return;
    }
    uint32_t number = values->told++;
    add_place(found, &plan->terms, load->at, values,
              (place_t){.begin = memory->begin,
                        .length = memory->length - load->bytes + 1,
                        .loads = number,
                        .bytes = load->bytes,
                        .is_signed = load->is_signed});
    values->values[FIRST_LOADED + index] = value;
    values->numbers[FIRST_LOADED + index] = number;
}

static void need(const terms_t *t, sum_t sum, bool *needed) {
    for (uint32_t i = 0; i < sum.count; i++) {
        uint32_t term = t->all[sum.first + i].value;
        if (term >= FIRST_LOADED && term < FIRST_OPAQUE) {
            needed[term - FIRST_LOADED] = true;
        }
    }
}

/* Load what addresses are made of; add what has to hold for that to be right. */
static void load_needed(plan_t *plan, const memories_t *memories, values_t *values, case_t *found) {
    bool needed[MOST_LOADS];
    memset(needed, 0, plan->load_count * sizeof *needed);
    for (uint32_t i = 0; i < plan->reach_count; i++) {
        need(&plan->terms, plan->reaches[i].at, needed);
    }
    for (uint32_t i = plan->load_count; i--;) {
        if (needed[i]) {
            need(&plan->terms, plan->loads[i].at, needed);
        }
    }
    for (uint32_t i = 0; i < plan->load_count; i++) {
        if (needed[i]) {
            load_one(plan, i, memories, values, found);
        }
    }
}

/* An access's address, or that of what it is an index into: an index of which nothing is told is
 * taken to stay in its table's memory. False where nothing is told. */
static bool told_address(plan_t *plan, const reach_t *reach, const memories_t *memories,
                         const values_t *values, sum_t *told) {
    terms_t *t = &plan->terms;
    *told = reach->at;
    if (all_told(t, reach->at, values)) {
        return true;
    }
    if (!terms_have_room(t, reach->at.count)) {
        return false;
    }
    bool aligned = true;
    *told = (sum_t){reach->at.constant, t->count, 0};
    for (uint32_t i = 0; i < reach->at.count; i++) {
        term_t term = t->all[reach->at.first + i];
        if (is_told(values, term.value)) {
            add_term(t, told, term.value, term.times);
        } else {
            aligned = aligned && !(term.times & reach->mask);
        }
    }
    const memory_t *memory = memory_at(memories, sum_value(t, *told, values->values));
    return aligned && memory->number != UNKNOWN_MEMORY && memory->begin != 0;
}

/* By how much a value is another one behind the block; false where that is no constant. */
static bool step_of(plan_t *plan, sum_t value, uint32_t *by) {
    terms_t *t = &plan->terms;
    sum_t moved = sum_of(value.constant);
    for (uint32_t i = 0; i < value.count; i++) {
        term_t term = t->all[value.first + i];
        if (term.value >= FIRST_LOADED) {
            return false;
        }
        moved = sum_plus(t, moved, plan->after[term.value], term.times);
    }
    *by = moved.constant - value.constant;
    return terms_equal(t, moved, value);
}

/* Accesses that are told. */
typedef struct {
    uint32_t address;
    uint32_t mask;
    sum_t at;
} told_t;

static place_t place_in(const memory_t *memory, uint32_t span, uint32_t mask, uint32_t address) {
    return (place_t){.begin = memory->begin,
                     .length = memory->length - span,
                     .mask = mask,
                     .low = address & mask};
}

/* Add what has to hold of accesses that differ by constants, in the order of their addresses: once
 * for all, if it can. */
static void add_alike(plan_t *plan, const told_t *alike, uint32_t count, bool loops,
                      const memories_t *memories, const values_t *values, case_t *found) {
    const told_t *first = alike, *last = &alike[count - 1];
    const memory_t *memory = memory_at(memories, first->address);
    uint32_t span = last->address - first->address, by = 0, mask = 0;
    bool moves = loops && step_of(plan, first->at, &by);
    for (uint32_t i = 0; i < count; i++) {
        mask = alike[i].mask > mask ? alike[i].mask : mask;
    }
    bool together = first->address - memory->begin + (uint64_t)span < memory->length;
    for (const told_t *one = first; one <= (together ? first : last); one++) {
        memory = memory_at(memories, one->address);
        place_t place =
            place_in(memory, together ? span : 0, together ? mask : one->mask, one->address);
        place.step = moves ? by : 0;
        place.moves_by_step = moves;
        add_place(found, &plan->terms, one->at, values, place);
    }
}

/* Take the told accesses that differ from the first by constants out of the others, in the order of
 * their addresses. Returns how many. */
static uint32_t take_alike(const terms_t *t, told_t *told, uint32_t *left, told_t *alike) {
    uint32_t count = 0, others = 0;
    sum_t first = told[0].at;
    for (uint32_t i = 0; i < *left; i++) {
        told_t one = told[i];
        if (!terms_equal(t, first, one.at)) {
            told[others++] = one;
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && alike[at - 1].address > one.address; at--) {
            alike[at] = alike[at - 1];
        }
        alike[at] = one;
    }
    *left = others;
    return count;
}

/* Note where a block is to be cut so that the first untold address can be told. */
static void note_hook(const instruction_t *block, uint32_t index, case_t *found) {
    uint32_t at = index;
    /* A block cannot be cut inside an IT block, so it is cut before that. */
    while (is_predicated(&block[index]) && block[at].kind != KIND_IT && at > 0) {
        at--;
    }
    if (found->hook == 0 && at > 0) {
        found->hook = block[at].address;
        found->hook_decides = block[at].it_count > 0;
    }
}

static void values_begin(values_t *values, const uint32_t *registers, uint32_t loads) {
    memcpy(values->values, registers, VALUE_REGISTERS * sizeof *registers);
    for (uint32_t number = 0; number < FIRST_LOADED + loads; number++) {
        values->numbers[number] = number < FIRST_LOADED ? number : NOT_TOLD;
    }
    values->told = FIRST_LOADED;
}

/* Find the case of a block that is entered with these registers. `loops`: it may go on to itself.
 */
static void find_case(plan_t *plan, const instruction_t *block, uint32_t count,
                      const uint32_t *registers, bool loops, const memories_t *memories,
                      case_t *found) {
    values_t values;
    told_t told[MOST_INSTRUCTIONS], alike[MOST_INSTRUCTIONS];
    uint32_t left = 0;
    found->count = found->term_count = found->hook = found->hook_decides = found->is_full = 0;
    for (uint32_t i = 0; i < count; i++) {
        found->accesses[i] = (access_t){UNKNOWN_MEMORY, 0};
    }
    values_begin(&values, registers, plan->load_count);
    load_needed(plan, memories, &values, found);
    for (uint32_t i = 0; i < plan->reach_count; i++) {
        const reach_t *reach = &plan->reaches[i];
        sum_t at;
        if (!told_address(plan, reach, memories, &values, &at)) {
            note_hook(block, reach->index, found);
            continue;
        }
        uint32_t address = sum_value(&plan->terms, at, values.values);
        const memory_t *memory = memory_at(memories, address);
        found->accesses[reach->index] = (access_t){(uint8_t)memory->number, address & 3};
        if (at.count) {
            told[left++] = (told_t){address, reach->mask, at};
        }
    }
    while (left) {
        uint32_t alikes = take_alike(&plan->terms, told, &left, alike);
        add_alike(plan, alike, alikes, loops, memories, &values, found);
    }
}

#endif
