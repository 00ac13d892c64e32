/*
 * Who called whom, worked out from the blocks that end in calls and returns: a tree of functions
 * with the cycles spent in each, by the chain of calls that led there.
 */
#ifndef HIL_TIMING_CALLS_H
#define HIL_TIMING_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum { CONTEXTS = 1 << 14, CALL_DEPTH = 256 };

/* How a block ends. */
enum { CALLS = 1, RETURNS = 2 };

/* A function as called from a chain of others; the first is the root. */
typedef struct {
    uint32_t function;
    uint32_t parent;
    uint32_t child;   /* first of those called from here, or 0 */
    uint32_t sibling; /* next with the same parent, or 0 */
    uint64_t calls;
    uint64_t cycles; /* its own */
} context_t;

typedef struct {
    uint32_t return_address;
    uint32_t context;
} frame_t;

typedef struct {
    uint32_t context;
    uint32_t context_count;
    uint32_t depth;
    uint64_t since; /* cycles when the context was entered */
    frame_t frames[CALL_DEPTH];
    context_t contexts[CONTEXTS];
} calls_t;

static void calls_leave(calls_t *c, uint32_t next, uint64_t now) {
    c->contexts[c->context].cycles += now - c->since;
    c->since = now;
    c->context = next;
}

static uint32_t calls_below(calls_t *c, uint32_t function) {
    context_t *here = &c->contexts[c->context];
    for (uint32_t i = here->child; i; i = c->contexts[i].sibling) {
        if (c->contexts[i].function == function) {
            return i;
        }
    }
    if (c->context_count == CONTEXTS) {
        return c->context;
    }
    uint32_t added = c->context_count++;
    c->contexts[added] =
        (context_t){.function = function, .parent = c->context, .sibling = here->child};
    here->child = added;
    return added;
}

static void calls_enter(calls_t *c, uint32_t function, uint32_t return_address, uint64_t now) {
    if (c->depth == CALL_DEPTH) {
        return;
    }
    c->frames[c->depth++] = (frame_t){return_address, c->context};
    calls_leave(c, calls_below(c, function), now);
    c->contexts[c->context].calls++;
}

/* Go back to the innermost caller that is to go on at an address, if there is one. */
static bool calls_return(calls_t *c, uint32_t address, uint64_t now) {
    for (uint32_t i = c->depth; i-- > 0;) {
        if (c->frames[i].return_address == address) {
            c->depth = i;
            calls_leave(c, c->frames[i].context, now);
            return true;
        }
    }
    return false;
}

static void calls_forget(calls_t *c, uint64_t now) {
    if (c->context_count == 0) {
        c->context_count = 1; /* the root */
    }
    c->depth = 0;
    calls_leave(c, 0, now);
}

static bool calls_context(calls_t *c, uint32_t number, uint64_t now, context_t *out) {
    if (number >= c->context_count) {
        return false;
    }
    calls_leave(c, c->context, now);
    *out = c->contexts[number];
    return true;
}

#endif
