/*
 * What has to hold of the addresses of a block's accesses for the block to cost what it was found
 * to: sums of registers, and of what the block loads, lie in a range and are aligned in a way
 * (cases.h works them out).
 */
#ifndef HIL_TIMING_PLACES_H
#define HIL_TIMING_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../core/run_control.h"

enum {
    PLACES = 1 << 17,
    TERMS = 1 << 18,
    VALUE_REGISTERS = 48,                  /* r0 to r15, s0 to s31 */
    BLOCK_PARTS = 1024,                    /* more than the instructions of a block */
    VALUES = VALUE_REGISTERS + BLOCK_PARTS /* and what a block loads */
};

typedef struct {
    uint32_t value; /* the number of a register, or of what the block loads */
    uint32_t times;
} term_t;

typedef struct {
    uint32_t first_term;
    uint32_t terms;
    uint32_t constant;
    uint32_t begin; /* the sum lies in this range */
    uint32_t length;
    uint32_t mask; /* and these of its bits are `low` */
    uint32_t low;
    uint32_t step; /* by how much the block moves it, if it is a constant */
    uint32_t moves_by_step;
    uint32_t loads; /* the number of the value that the block loads from there, or 0 */
    uint32_t bytes; /* of that */
    uint32_t is_signed;
    const uint8_t *host; /* where the range's memory is on the host */
} place_t;

/* A block's places, which come one after the other. */
typedef struct {
    uint64_t registers; /* those that they are made of: bit 0 is r0, bit 16 is s0 */
    uint32_t first;
    uint32_t count;
    uint32_t rounds; /* how often the block may go on to itself before they are looked at again */
    uint32_t unused;
} placed_t;

typedef struct {
    int32_t register_ids[VALUE_REGISTERS]; /* Unicorn's */
    uint32_t count;
    uint32_t term_count;
    place_t all[PLACES];
    term_t terms[TERMS];
} places_t;

/* How often a block may run from now on, itself moving a sum, before the sum is elsewhere. */
static uint32_t places_rounds(const place_t *place, uint32_t offset) {
    uint32_t up = place->step, down = 0 - place->step;
    if (!place->moves_by_step || place->step & place->mask) {
        return 0;
    }
    if (place->step == 0) {
        return UINT32_MAX;
    }
    return up < down ? (place->length - 1 - offset) / up : offset / down;
}

static uint32_t places_load(const place_t *place, uint32_t offset) {
    uint32_t value = 0;
    memcpy(&value, place->host + offset, place->bytes);
    uint32_t sign = place->is_signed ? 1u << (8 * place->bytes - 1) : 0;
    return (value ^ sign) - sign;
}

/* Whether a place holds for the values of its terms. If so, how far behind its beginning the sum
 * is; what the block loads from there becomes a value, too. */
static inline bool place_holds(const place_t *place, const term_t *terms, uint32_t *values,
                               uint32_t *offset) {
    uint32_t sum = place->constant;
    for (const term_t *term = terms, *last = terms + place->terms; term < last; term++) {
        sum += values[term->value] * term->times;
    }
    *offset = sum - place->begin;
    if (*offset >= place->length || (sum & place->mask) != place->low) {
        return false;
    }
    if (place->loads) {
        values[place->loads] = places_load(place, *offset);
    }
    return true;
}

/* Whether a block's places hold for the registers as they are; if so, for how many rounds of it. */
static inline bool places_hold(const places_t *p, placed_t *placed, engine_read_fn read,
                               void *engine) {
    uint32_t values[VALUES], rounds = UINT32_MAX;
    for (uint64_t left = placed->registers; left; left &= left - 1) {
        uint32_t number = (uint32_t)__builtin_ctzll(left);
        read(engine, p->register_ids[number], &values[number]);
    }
    const place_t *place = &p->all[placed->first];
    for (const place_t *end = place + placed->count; place < end; place++) {
        uint32_t offset;
        if (!place_holds(place, &p->terms[place->first_term], values, &offset)) {
            return false;
        }
        uint32_t within = places_rounds(place, offset);
        rounds = within < rounds ? within : rounds;
    }
    placed->rounds = rounds;
    return true;
}

static inline bool places_are_full(const places_t *p) {
    return p->count > PLACES - 4 * BLOCK_PARTS || p->term_count > TERMS - 8 * BLOCK_PARTS;
}

static inline void places_forget(places_t *p) {
    p->count = p->term_count = 0;
}

/* Add a term to the sum of the place that is added next. False when there is no room. */
bool places_add_term(places_t *p, uint32_t value, uint32_t times) {
    if (p->term_count >= TERMS || value >= VALUES) {
        return false;
    }
    p->terms[p->term_count++] = (term_t){value, times};
    return true;
}

/* Add a place to a block's, after its terms. False when there is no room. */
bool places_add(places_t *p, placed_t *placed, const place_t *place) {
    if (p->count >= PLACES) {
        return false;
    }
    if (placed->count == 0) {
        placed->first = p->count;
    }
    place_t *added = &p->all[p->count++];
    *added = *place;
    added->first_term = p->term_count - place->terms;
    placed->count++;
    return true;
}

/* The registers that addresses are formed of, as they are. */
void places_registers(const places_t *p, engine_read_fn read, void *engine, uint32_t *values) {
    for (uint32_t number = 0; number < VALUE_REGISTERS; number++) {
        read(engine, p->register_ids[number], &values[number]);
    }
}

#endif
