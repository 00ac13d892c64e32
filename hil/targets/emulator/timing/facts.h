/* What the hot path is told of a block beside its cost. */
#ifndef HIL_TIMING_FACTS_H
#define HIL_TIMING_FACTS_H

#include "../core/instruction.h"

/* How a block ends; calls.h has the same. */
enum { CALLS = 1, RETURNS = 2 };

/* What a block may write that is looked at behind it. */
enum { MASKS = 1, STACK_POINTER = 2 };

typedef struct {
    uint32_t first_float; /* address of its first FPU instruction, or 0 */
    uint32_t transfer;    /* CALLS or RETURNS, by its last instruction */
    uint32_t may_write;   /* MASKS, STACK_POINTER */
} facts_t;

/* Whether SP is moved by words. */
static bool moves_by_words(const instruction_t *one) {
    bool by_words = one->mnemonic == ARM_INS_ADD || one->mnemonic == ARM_INS_SUB;
    for (uint32_t i = 0; i < one->source_count; i++) {
        const source_t *source = &one->sources[i];
        bool constant = source->number < 0 && source->constant % 4 == 0;
        by_words = by_words && (source->number == SP || constant);
    }
    return by_words;
}

static facts_t facts_of(const instruction_t *block, uint32_t count) {
    const instruction_t *end = &block[count - 1];
    facts_t facts = {.transfer = end->is_call ? CALLS : end->is_return ? RETURNS : 0};
    for (const instruction_t *one = block; one <= end; one++) {
        bool moves = one->writes >> SP & 1 && !moves_by_words(one);
        facts.may_write |= one->writes_masks ? MASKS | STACK_POINTER : 0;
        facts.may_write |= moves ? STACK_POINTER : 0;
        if (one->is_float && facts.first_float == 0) {
            facts.first_float = one->address;
        }
    }
    return facts;
}

#endif
