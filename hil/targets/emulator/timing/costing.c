/* What a block costs, worked out when it is first met: the cold path of the timing core. */
#include "cases.h"
#include "facts.h"
#include "pipeline.h"

/* What a block is looked at with, and what is found. */
typedef struct {
    literal_fn literal;
    memories_t memories;
    uint32_t registers[VALUE_REGISTERS]; /* that the block is entered with */
    facts_t facts;
    case_t found;
    plan_t plan;
} look_t;

size_t look_size(void) {
    return sizeof(look_t);
}

/* Find what a block reaches, and all else of it that is no cost. */
void look_at(look_t *look, const instruction_t *block, uint32_t count) {
    const instruction_t *end = &block[count - 1];
    bool loops = end->has_target && end->target == block->address;
    look->facts = facts_of(block, count);
    follow(block, count, look->literal, &look->plan);
    find_case(&look->plan, block, count, look->registers, loops, &look->memories, &look->found);
}

static const uint8_t *host_of(const memories_t *memories, uint32_t begin) {
    return memory_at(memories, begin)->host;
}

/* Whether the registers are those of a case. */
bool look_holds(const look_t *look, const place_t *places, uint32_t count, const term_t *terms) {
    uint32_t values[VALUES], offset;
    memcpy(values, look->registers, sizeof look->registers);
    for (const place_t *place = places; place < places + count; place++) {
        place_t here = *place;
        here.host = place->loads ? host_of(&look->memories, place->begin) : NULL;
        if ((place->loads && !here.host) ||
            !place_holds(&here, &terms[place->first_term], values, &offset)) {
            return false;
        }
    }
    return true;
}

/* Tell the hot path for which registers a block's costs hold. False when there is no room. */
bool look_place(const look_t *look, const place_t *places, uint32_t count, const term_t *terms,
                places_t *all, placed_t *placed) {
    bool room = true;
    for (const place_t *place = places; place < places + count; place++) {
        place_t here = *place;
        const term_t *term = &terms[place->first_term];
        for (const term_t *last = term + place->terms; term < last; term++) {
            room = room && places_add_term(all, term->value, term->times);
            placed->registers |= term->value < VALUE_REGISTERS ? 1ull << term->value : 0;
        }
        here.host = place->loads ? host_of(&look->memories, place->begin) : NULL;
        room = room && places_add(all, placed, &here);
    }
    return room;
}

/* Whether a sum is told by registers alone; if so, its value. */
static bool value_of(const look_t *look, sum_t sum, uint32_t *value) {
    const terms_t *terms = &look->plan.terms;
    bool told = sum.count == 0 || terms->all[sum.first + sum.count - 1].value < FIRST_LOADED;
    *value = told ? sum_value(terms, sum, look->registers) : 0;
    return told;
}

/* How many accesses were found. */
uint32_t look_reaches(const look_t *look) {
    return look->plan.reach_count;
}

/* Whether an access's address is told; if so, for the registers as they are. */
bool look_reached(const look_t *look, uint32_t number, uint32_t *index, uint32_t *address) {
    const reach_t *reach = &look->plan.reaches[number];
    *index = reach->index;
    return value_of(look, reach->at, address);
}

/* Whether it is told what a register holds behind the block; if so, what. */
bool look_left(const look_t *look, uint32_t number, uint32_t *value) {
    return value_of(look, look->plan.after[number], value);
}
