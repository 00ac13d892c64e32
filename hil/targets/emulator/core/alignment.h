/*
 * Loads and stores that trap when their address is unaligned, and how that is seen beforehand.
 *
 * The two lowest bits of an address are worked out as a sum of the registers that a block is
 * entered with. Where an address depends on what the block itself loads, a check stands further on,
 * at an instruction from which it can be told.
 *
 * Source: ARM DDI 0403E A3.2.1 (which accesses trap), B3.2.8 (CCR.UNALIGN_TRP).
 */
#ifndef HIL_ALIGNMENT_H
#define HIL_ALIGNMENT_H

#include "instruction.h"

#include <string.h>

/* The two lowest bits of a value: an offset and registers, each so many times, modulo 4. */
typedef struct {
    uint32_t weights; /* two bits for each register, r0 lowest */
    uint8_t offset;
    bool told; /* whether it is known at all */
} low_bits_t;

/* The access at `address` traps when its own address has a bit of `mask` set. */
typedef struct {
    uint32_t before; /* the instruction before which it is checked */
    uint32_t address;
    uint32_t weights;
    uint16_t offset;
    uint16_t mask;
} alignment_check_t;

/* Where a block has to be checked. */
typedef struct {
    uint32_t count;
    uint32_t untold_count;
    alignment_check_t checks[MOST_INSTRUCTIONS];
    uint32_t untold[MOST_INSTRUCTIONS]; /* accesses of which nothing tells before themselves */
} alignment_t;

static const low_bits_t UNTOLD_BITS = {0, 0, false};

static low_bits_t bits_of(uint32_t constant) {
    return (low_bits_t){0, constant & 3, true};
}

static low_bits_t bits_plus(low_bits_t a, low_bits_t b) {
    const uint32_t low = 0x55555555, high = 0xaaaaaaaa;
    uint32_t weights = ((a.weights & low) + (b.weights & low)) ^ ((a.weights ^ b.weights) & high);
    return (low_bits_t){weights, (a.offset + b.offset) & 3, a.told && b.told};
}

static low_bits_t bits_times(low_bits_t a, uint32_t factor) {
    low_bits_t total = {0, 0, a.told};
    for (factor &= 3; factor; factor--) {
        total = bits_plus(total, a);
    }
    return total;
}

static bool bits_are_constant(low_bits_t a) {
    return a.weights == 0;
}

static bool bits_equal(low_bits_t a, low_bits_t b) {
    return a.told == b.told && (!a.told || (a.weights == b.weights && a.offset == b.offset));
}

static low_bits_t bits_masked(low_bits_t a, low_bits_t mask) {
    if (!bits_are_constant(mask) || mask.offset % 3) {
        return UNTOLD_BITS;
    }
    return mask.offset ? a : bits_of(0);
}

static low_bits_t bits_inverted(low_bits_t a) {
    return bits_plus(bits_times(a, 3), bits_of(3));
}

static low_bits_t bits_set(low_bits_t a, low_bits_t set) {
    if (!bits_are_constant(set) || set.offset % 3) {
        return UNTOLD_BITS;
    }
    return set.offset ? bits_of(3) : a;
}

static low_bits_t bits_multiplied(low_bits_t a, low_bits_t b) {
    if (bits_are_constant(a)) {
        return bits_times(b, a.offset);
    }
    return bits_are_constant(b) ? bits_times(a, b.offset) : UNTOLD_BITS;
}

/* The result of an operation with one operand. */
static low_bits_t bits_of_one(uint32_t mnemonic, low_bits_t a) {
    switch (mnemonic) {
    case ARM_INS_MOV:
    case ARM_INS_ADR:
    case ARM_INS_UXTB:
    case ARM_INS_UXTH:
    case ARM_INS_SXTB:
    case ARM_INS_SXTH:
        return a;
    case ARM_INS_MVN:
        return bits_inverted(a);
    default:
        return UNTOLD_BITS;
    }
}

/* The result of an operation with two operands. */
static low_bits_t bits_of_two(const instruction_t *one, low_bits_t a, low_bits_t b) {
    switch (one->mnemonic) {
    case ARM_INS_MOVT:
        return a;
    case ARM_INS_ADD:
        return bits_plus(a, b);
    case ARM_INS_SUB:
        return bits_plus(a, bits_times(b, 3));
    case ARM_INS_RSB:
        return bits_plus(b, bits_times(a, 3));
    case ARM_INS_AND:
        return bits_masked(a, b);
    case ARM_INS_BIC:
        return bits_masked(a, bits_inverted(b));
    case ARM_INS_ORR:
        return bits_set(a, b);
    case ARM_INS_EOR:
        return bits_are_constant(b) && b.offset == 0 ? a : UNTOLD_BITS;
    case ARM_INS_MUL:
        return bits_multiplied(a, b);
    case ARM_INS_LSL:
        return one->sources[1].number < 0 ? bits_times(a, 1u << (one->sources[1].constant & 31))
                                          : UNTOLD_BITS;
    default:
        return UNTOLD_BITS;
    }
}

/* The low bits of what an instruction writes. */
static low_bits_t bits_written(const instruction_t *one, const low_bits_t *values,
                               literal_fn literal) {
    if (one->mnemonic == ARM_INS_LDR && one->has_access && one->access.base == PC &&
        one->access.index < 0) {
        uint32_t word = 0;
        uint32_t at = ((one->address + 4) & ~3u) + (uint32_t)one->access.offset;
        return literal(at, &word) ? bits_of(word) : UNTOLD_BITS;
    }
    low_bits_t operands[2] = {UNTOLD_BITS, UNTOLD_BITS};
    if (one->kind != KIND_SIMPLE || one->source_count < 1 || one->source_count > 2) {
        return UNTOLD_BITS;
    }
    for (uint32_t i = 0; i < one->source_count; i++) {
        const source_t *source = &one->sources[i];
        low_bits_t value = source->number < 0 ? bits_of(source->constant) : values[source->number];
        operands[i] = bits_times(value, 1u << source->shift);
        if (!value.told) {
            return UNTOLD_BITS;
        }
    }
    return one->source_count == 1 ? bits_of_one(one->mnemonic, operands[0])
                                  : bits_of_two(one, operands[0], operands[1]);
}

/* Registers of which nothing is known but that SP and PC are those of words. */
static void bits_at_entry(low_bits_t *values) {
    for (uint32_t number = 0; number < CORE_REGISTERS; number++) {
        values[number] = (low_bits_t){1u << 2 * number, 0, true};
    }
    values[SP] = values[PC] = bits_of(0);
}

static low_bits_t bits_of_address(const instruction_t *one, const low_bits_t *values) {
    const address_t *access = &one->access;
    if (!one->has_access || access->base < 0) {
        return UNTOLD_BITS;
    }
    low_bits_t base = values[access->base];
    if (access->index >= 0) {
        return bits_plus(base, bits_times(values[access->index], 1u << access->shift));
    }
    return access->post_indexed ? base : bits_plus(base, bits_of((uint32_t)access->offset));
}

/* Bring the registers' low bits up to date with an instruction. */
static void bits_follow(const instruction_t *one, low_bits_t *values, literal_fn literal) {
    low_bits_t changed[CORE_REGISTERS];
    low_bits_t result = bits_written(one, values, literal);
    uint32_t written = one->writes;
    for (uint32_t number = 0; number < CORE_REGISTERS; number++) {
        changed[number] = written & (written - 1) ? UNTOLD_BITS : result;
    }
    int8_t base = one->access.base;
    bool loads_base = one->kind == KIND_LOAD_MULTIPLE && base >= 0 && written >> base & 1;
    if (one->writes_back && one->has_access && base >= 0 && !loads_base) {
        changed[base] = bits_plus(values[base], bits_of((uint32_t)one->access.offset));
        written |= 1u << base;
    }
    if (one->mnemonic == ARM_INS_STREX || one->mnemonic == ARM_INS_STREXB ||
        one->mnemonic == ARM_INS_STREXH || one->mnemonic == ARM_INS_STREXD) {
        /* capstone does not say where its result goes */
        written = (1u << CORE_REGISTERS) - 1;
        memset(changed, 0, sizeof changed);
    }
    for (uint32_t number = 0; number < CORE_REGISTERS; number++) {
        bool sure = one->condition == ALWAYS || bits_equal(changed[number], values[number]);
        if (written >> number & 1) {
            values[number] = sure ? changed[number] : UNTOLD_BITS;
        }
    }
    values[SP] = values[PC] = bits_of(0);
}

/* Which low bits of an instruction's data address make it trap. */
static uint32_t forbidden_bits(const instruction_t *one, bool all_trap) {
    if (!one->has_access) {
        return 0;
    }
    if (is_of(one, MULTIPLE | FLOAT_MEMORY)) {
        return 3;
    }
    switch (one->mnemonic) {
    case ARM_INS_LDREX:
    case ARM_INS_STREX:
        return 3;
    case ARM_INS_LDREXH:
    case ARM_INS_STREXH:
        return 1;
    default:
        break;
    }
    if (all_trap && is_of(one, SET(KIND_LOAD) | SET(KIND_STORE))) {
        return one->access_bytes - 1u;
    }
    return all_trap && one->mnemonic == ARM_INS_TBH;
}

/* Whether the bits of a mask are clear whatever the registers hold. */
static bool never_meets(low_bits_t low, uint32_t mask) {
    return !(low.weights & mask * 0x55555555u) && !(low.offset & mask);
}

static void add_check(alignment_t *plan, const alignment_check_t *check) {
    for (uint32_t i = plan->count; i--;) {
        const alignment_check_t *known = &plan->checks[i];
        if (known->before == check->before && known->weights == check->weights &&
            known->offset == check->offset && known->mask == check->mask) {
            return;
        }
    }
    if (plan->count < MOST_INSTRUCTIONS) {
        plan->checks[plan->count++] = *check;
    }
}

/* Say what to check where, so that no access of a block is unaligned unseen. */
void alignment_plan(const instruction_t *block, uint32_t count, bool all_trap, literal_fn literal,
                    alignment_t *plan) {
    low_bits_t values[CORE_REGISTERS];
    uint32_t begin = 0, index = 0, covering = count;
    plan->count = plan->untold_count = 0;
    bits_at_entry(values);
    while (index < count) {
        const instruction_t *one = &block[index];
        covering = one->kind == KIND_IT ? index : covering;
        uint32_t mask = one->is_suspect ? 0 : forbidden_bits(one, all_trap);
        low_bits_t low = mask ? bits_of_address(one, values) : UNTOLD_BITS;
        if (mask && !low.told) {
            /* A run cannot be stopped inside an IT block, so the check goes before it. */
            uint32_t again = one->condition == ALWAYS ? index : covering;
            if (again < count && again > begin) {
                begin = index = again;
                bits_at_entry(values);
                continue;
            }
            plan->untold[plan->untold_count++] = one->address;
        } else if (mask && !never_meets(low, mask)) {
            add_check(plan, &(alignment_check_t){block[begin].address, one->address, low.weights,
                                                 low.offset, (uint16_t)mask});
        }
        bits_follow(one, values, literal);
        index++;
    }
}

/* Whether an instruction about to execute would trap, by r0 to r15 as they are. */
bool alignment_traps(const instruction_t *one, const uint32_t *registers, bool all_trap) {
    low_bits_t values[CORE_REGISTERS];
    bits_at_entry(values);
    uint32_t mask = forbidden_bits(one, all_trap);
    low_bits_t low = bits_of_address(one, values);
    uint32_t sum = low.offset;
    for (uint32_t number = 0; number < CORE_REGISTERS; number++) {
        sum += registers[number] * (low.weights >> 2 * number & 3);
    }
    return mask && low.told && (sum & mask);
}

#endif
