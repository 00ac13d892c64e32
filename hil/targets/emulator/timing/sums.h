/*
 * Values as sums: a constant and terms, each so many times, modulo 2^32. The first terms are the
 * registers that a block is entered with, r0 to r15 and s0 to s31; then comes what the block loads;
 * and then values of which nothing is told.
 */
#ifndef HIL_TIMING_SUMS_H
#define HIL_TIMING_SUMS_H

#include "places.h"

enum {
    FIRST_FLOAT = 16,
    FIRST_LOADED = VALUE_REGISTERS,
    MOST_LOADS = 4096, /* words that a block loads; what is beyond is not told */
    FIRST_OPAQUE = 1 << 16,
    MOST_TERMS = 1 << 18, /* of all sums of a block */
};

/* Terms are ordered by number, none of them zero times. */
typedef struct {
    uint32_t constant;
    uint32_t first; /* of its terms, among those of `terms_t` */
    uint32_t count;
} sum_t;

/* The terms of a block's sums; a sum's never change. */
typedef struct {
    uint32_t opaque; /* values so far of which nothing is told */
    uint32_t count;
    term_t all[MOST_TERMS];
} terms_t;

/* Begin with the registers, each being itself. */
static void terms_begin(terms_t *t) {
    t->opaque = FIRST_OPAQUE;
    for (uint32_t number = 0; number < VALUE_REGISTERS; number++) {
        t->all[number] = (term_t){number, 1};
    }
    t->count = VALUE_REGISTERS;
}

static sum_t sum_of(uint32_t constant) {
    return (sum_t){constant, 0, 0};
}

static sum_t sum_of_term(terms_t *t, uint32_t number) {
    t->all[t->count] = (term_t){number, 1};
    return (sum_t){0, t->count++, 1};
}

/* A value of its own of which nothing is told. */
static sum_t sum_untold(terms_t *t) {
    return sum_of_term(t, ++t->opaque);
}

/* Whether there is room for more terms, and for an untold value behind every instruction. */
static bool terms_have_room(const terms_t *t, uint32_t more) {
    return t->count + more < MOST_TERMS - 2 * MOST_INSTRUCTIONS * (VALUE_REGISTERS + 2);
}

static bool terms_equal(const terms_t *t, sum_t a, sum_t b) {
    const term_t *one = &t->all[a.first], *other = &t->all[b.first];
    return a.count == b.count &&
           (a.first == b.first || memcmp(one, other, a.count * sizeof *one) == 0);
}

static bool sums_equal(const terms_t *t, sum_t a, sum_t b) {
    return a.constant == b.constant && terms_equal(t, a, b);
}

static sum_t sum_and_constant(sum_t a, uint32_t constant) {
    a.constant += constant;
    return a;
}

static void add_term(terms_t *t, sum_t *total, uint32_t number, uint32_t times) {
    if (times) {
        t->all[t->count++] = (term_t){number, times};
        total->count++;
    }
}

/* Return a sum and so many times another. */
static sum_t sum_plus(terms_t *t, sum_t a, sum_t b, uint32_t factor) {
    if (b.count == 0) {
        return sum_and_constant(a, b.constant * factor);
    }
    if (!terms_have_room(t, a.count + b.count)) {
        return sum_untold(t);
    }
    sum_t total = {a.constant + b.constant * factor, t->count, 0};
    const term_t *one = &t->all[a.first], *other = &t->all[b.first];
    const term_t *one_end = one + a.count, *other_end = other + b.count;
    while (one < one_end || other < other_end) {
        if (other == other_end || (one < one_end && one->value < other->value)) {
            add_term(t, &total, one->value, one->times);
            one++;
        } else if (one == one_end || other->value < one->value) {
            add_term(t, &total, other->value, other->times * factor);
            other++;
        } else {
            add_term(t, &total, one->value, one->times + other->times * factor);
            one++;
            other++;
        }
    }
    return total;
}

static sum_t sum_times(terms_t *t, sum_t a, uint32_t factor) {
    if (factor == 1) {
        return a;
    }
    return sum_plus(t, sum_of(0), a, factor);
}

/* What a sum comes to for given values of its terms. */
static uint32_t sum_value(const terms_t *t, sum_t a, const uint32_t *values) {
    uint32_t total = a.constant;
    for (const term_t *term = &t->all[a.first], *end = term + a.count; term < end; term++) {
        total += values[term->value] * term->times;
    }
    return total;
}

#endif
