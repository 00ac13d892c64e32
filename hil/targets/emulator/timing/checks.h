/*
 * What is looked at before a block runs: addresses that must not be unaligned. An address's low
 * bits are an offset and registers, each so many times, modulo 4 (alignment.h works them out).
 */
#ifndef HIL_TIMING_CHECKS_H
#define HIL_TIMING_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/run_control.h"

enum { CHECKS = 1 << 16, POINTS = 1 << 12 };

typedef struct {
    uint32_t weights; /* two bits for each register, r0 lowest */
    uint32_t address; /* of the instruction */
    uint16_t offset;
    uint16_t mask; /* bits of the data address that make it trap */
} check_t;

/* Checks that are made in the middle of a block. */
typedef struct {
    void *owner;
    uint32_t first_check;
    uint32_t checks;
} point_t;

typedef struct {
    void *owner;
    int32_t register_ids[16]; /* Unicorn's, of r0 to r15 */
    uint32_t count;
    check_t all[CHECKS];
    uint32_t point_count;
    point_t points[POINTS];
} checks_t;

static bool checks_meets(const checks_t *c, const check_t *check, engine_read_fn read,
                         void *engine) {
    uint32_t sum = check->offset;
    for (uint32_t weights = check->weights; weights;) {
        uint32_t number = (uint32_t)__builtin_ctz(weights) / 2, value = 0;
        read(engine, c->register_ids[number], &value);
        sum += value * (weights >> 2 * number & 3);
        weights &= ~(3u << 2 * number);
    }
    return sum & check->mask;
}

/* The first instruction whose address is unaligned, or 0. */
static uint32_t checks_find(const checks_t *c, uint32_t first, uint32_t count, engine_read_fn read,
                            void *engine) {
    for (const check_t *check = &c->all[first]; count--; check++) {
        if (checks_meets(c, check, read, engine)) {
            return check->address;
        }
    }
    return 0;
}

/* Add a check and return its number, or CHECKS when there is no room. */
uint32_t checks_add(checks_t *c, uint32_t address, uint32_t weights, uint16_t offset,
                    uint16_t mask) {
    if (c->count < CHECKS) {
        c->all[c->count] = (check_t){weights, address, offset, mask};
        return c->count++;
    }
    return CHECKS;
}

/* Add a place in the middle of a block for checks; NULL when there is no room. */
point_t *checks_add_point(checks_t *c) {
    if (c->point_count == POINTS) {
        return NULL;
    }
    point_t *point = &c->points[c->point_count++];
    *point = (point_t){.owner = c->owner};
    return point;
}

static void checks_forget(checks_t *c) {
    c->count = 0;
    for (uint32_t i = 0; i < c->point_count; i++) {
        c->points[i].checks = 0;
    }
}

#endif
