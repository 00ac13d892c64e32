/*
 * What a block's loads and stores reach, as sums of the registers that it is entered with.
 *
 * Whether two accesses overlap depends on the memories they go to, and an unaligned one takes
 * longer. So what was found for one run of a block is known to hold for another by looking at a few
 * registers.
 */
#ifndef HIL_TIMING_ADDRESSES_H
#define HIL_TIMING_ADDRESSES_H

#include "../core/alignment.h"
#include "sums.h"

/* What a load or store reaches. */
typedef struct {
    uint32_t index; /* of the instruction in the block */
    uint32_t mask;  /* the low bits of its address on which its cost depends */
    sum_t at;       /* the lowest address accessed */
} reach_t;

/* What a block stores, or a value that it loads: load i is the term FIRST_LOADED + i. */
typedef struct {
    sum_t at;
    uint32_t bytes;
    uint32_t is_signed;
    uint32_t stores; /* how many of the block's stores come before */
} transfer_t;

/* What can be told of a block's addresses. */
typedef struct {
    uint32_t reach_count;
    uint32_t load_count;
    uint32_t store_count;
    reach_t reaches[MOST_INSTRUCTIONS];
    transfer_t loads[MOST_LOADS];
    transfer_t stores[MOST_INSTRUCTIONS];
    sum_t after[VALUE_REGISTERS]; /* the registers behind the block */
    terms_t terms;
} plan_t;

/* Registers that an instruction changes; bit 0 is r0, bit 16 is s0. */
typedef struct {
    uint64_t which;
    sum_t values[VALUE_REGISTERS];
} changes_t;

static void change(changes_t *changes, uint32_t number, sum_t value) {
    changes->which |= 1ull << number;
    changes->values[number] = value;
}

static bool moves_down(uint32_t mnemonic) {
    switch (mnemonic) {
    case ARM_INS_PUSH:
    case ARM_INS_VPUSH:
    case ARM_INS_STMDB:
    case ARM_INS_LDMDB:
    case ARM_INS_VSTMDB:
    case ARM_INS_VLDMDB:
        return true;
    default:
        return false;
    }
}

static bool moves_base(const instruction_t *one) {
    switch (one->mnemonic) {
    case ARM_INS_PUSH:
    case ARM_INS_POP:
    case ARM_INS_VPUSH:
    case ARM_INS_VPOP:
        return true;
    default:
        return is_of(one, MEMORY) && one->writes_back;
    }
}

/* By how much a base is moved; LDRD and STRD have an offset, as single ones. */
static uint32_t base_step(const instruction_t *one) {
    bool has_offset = one->mnemonic == ARM_INS_LDRD || one->mnemonic == ARM_INS_STRD;
    if (!is_of(one, MULTIPLE) || has_offset) {
        return (uint32_t)one->access.offset;
    }
    uint32_t bytes = 4u * one->words;
    return moves_down(one->mnemonic) ? 0 - bytes : bytes;
}

/* How much memory a load or store reaches. */
static uint32_t bytes_of(const instruction_t *one) {
    if (is_of(one, FLOAT_MEMORY)) {
        return one->is_double ? 8 : 4;
    }
    return is_of(one, MULTIPLE) ? 4u * one->words : one->access_bytes;
}

/* The low bits of an address on which the instruction's cost depends: others go by bytes, or trap
 * when they are unaligned. */
static uint32_t cost_mask(const instruction_t *one) {
    return is_of(one, SET(KIND_LOAD) | SET(KIND_STORE)) ? one->access_bytes - 1u : 0;
}

static bool is_exclusive_store(const instruction_t *one) {
    uint32_t name = one->mnemonic;
    return name == ARM_INS_STREX || name == ARM_INS_STREXB || name == ARM_INS_STREXH ||
           name == ARM_INS_STREXD;
}

static bool is_exclusive_load(const instruction_t *one) {
    uint32_t name = one->mnemonic;
    return name == ARM_INS_LDREX || name == ARM_INS_LDREXB || name == ARM_INS_LDREXH;
}

/* The address that an instruction accesses. */
static sum_t address_sum(plan_t *plan, const instruction_t *one) {
    const address_t *access = &one->access;
    terms_t *t = &plan->terms;
    sum_t base = access->base >= 0 ? plan->after[access->base] : sum_untold(t);
    if (access->index >= 0) {
        return sum_plus(t, base, plan->after[access->index], 1u << access->shift);
    }
    if (moves_down(one->mnemonic)) {
        return sum_and_constant(base, 0 - 4u * one->words);
    }
    return access->post_indexed ? base : sum_and_constant(base, (uint32_t)access->offset);
}

/* Whether it adds a constant to PC: then PC is taken as that of a word. */
static bool adds_to_pc(const instruction_t *one) {
    bool adds = one->mnemonic == ARM_INS_ADD || one->mnemonic == ARM_INS_SUB;
    return adds && one->source_count == 2 && one->sources[1].number < 0;
}

/* The result of an operation with one operand; false where it is not followed. */
static bool unary(terms_t *t, uint32_t mnemonic, sum_t a, sum_t *result) {
    switch (mnemonic) {
    case ARM_INS_MOV:
        *result = a;
        return true;
    case ARM_INS_MVN:
        *result = sum_and_constant(sum_times(t, a, UINT32_MAX), UINT32_MAX);
        return true;
    case ARM_INS_UXTB:
        *result = sum_of(a.constant & 0xff);
        return a.count == 0;
    case ARM_INS_UXTH:
        *result = sum_of(a.constant & 0xffff);
        return a.count == 0;
    default:
        return false;
    }
}

/* The result of an operation with two constants; false where it is not followed. */
static bool of_constants(uint32_t mnemonic, uint32_t a, uint32_t b, sum_t *result) {
    switch (mnemonic) {
    case ARM_INS_MOVT:
        *result = sum_of((a & 0xffff) | b << 16);
        return true;
    case ARM_INS_AND:
        *result = sum_of(a & b);
        return true;
    case ARM_INS_BIC:
        *result = sum_of(a & ~b);
        return true;
    case ARM_INS_ORR:
        *result = sum_of(a | b);
        return true;
    case ARM_INS_EOR:
        *result = sum_of(a ^ b);
        return true;
    case ARM_INS_LSR:
        *result = sum_of(b < 32 ? a >> b : 0);
        return true;
    default:
        return false;
    }
}

/* The result of an operation with two operands; false where it is not followed. */
static bool binary(terms_t *t, uint32_t mnemonic, sum_t a, sum_t b, sum_t *result) {
    switch (mnemonic) {
    case ARM_INS_ADD:
        *result = sum_plus(t, a, b, 1);
        return true;
    case ARM_INS_SUB:
        *result = sum_plus(t, a, b, UINT32_MAX);
        return true;
    case ARM_INS_RSB:
        *result = sum_plus(t, b, a, UINT32_MAX);
        return true;
    case ARM_INS_LSL:
        *result = sum_times(t, a, 1u << (b.constant & 31));
        return b.count == 0 && b.constant < 32;
    case ARM_INS_MUL:
        *result = a.count ? sum_times(t, a, b.constant) : sum_times(t, b, a.constant);
        return a.count == 0 || b.count == 0;
    default:
        return a.count == 0 && b.count == 0 &&
               of_constants(mnemonic, a.constant, b.constant, result);
    }
}

/* The result of the data processing that addresses are made with; false where it is not followed.
 */
static bool processed(plan_t *plan, const instruction_t *one, sum_t *result) {
    sum_t operands[2];
    if (one->source_count < 1 || one->source_count > 2) {
        return false;
    }
    for (uint32_t i = 0; i < one->source_count; i++) {
        const source_t *source = &one->sources[i];
        if (source->number == PC && !adds_to_pc(one)) {
            return false;
        }
        sum_t value = source->number < 0 ? sum_of(source->constant) : plan->after[source->number];
        operands[i] = sum_times(&plan->terms, value, 1u << source->shift);
    }
    return one->source_count == 1
               ? unary(&plan->terms, one->mnemonic, operands[0], result)
               : binary(&plan->terms, one->mnemonic, operands[0], operands[1], result);
}

/* What a move between core and float unit moves; false where that is not followed. */
static bool moved(const plan_t *plan, const instruction_t *one, sum_t *result) {
    uint32_t reads = one->float_reads;
    if (one->source_count == 1) {
        *result = plan->after[one->sources[0].number & (CORE_REGISTERS - 1)];
        return one->sources[0].number >= 0;
    }
    *result = plan->after[FIRST_FLOAT + (reads ? __builtin_ctz(reads) : 0)];
    return reads && !(reads & (reads - 1));
}

/* Note what an instruction computes. */
static void note_results(plan_t *plan, const instruction_t *one, changes_t *changes) {
    uint64_t written = one->writes | (uint64_t)one->float_writes << FIRST_FLOAT;
    bool told = false;
    sum_t result = sum_of(0);
    if (one->kind == KIND_SIMPLE && one->writes && !(one->writes & (one->writes - 1))) {
        told = processed(plan, one, &result);
    }
    if (one->kind == KIND_FLOAT_MOVE && written && !(written & (written - 1)) &&
        one->operands == 2) {
        told = moved(plan, one, &result);
    }
    for (; written; written &= written - 1) {
        uint32_t number = (uint32_t)__builtin_ctzll(written);
        change(changes, number, told ? result : sum_untold(&plan->terms));
    }
}

/* Note what an instruction loads: constants as such. */
static void note_loads(plan_t *plan, const instruction_t *one, sum_t at, literal_fn literal,
                       changes_t *changes) {
    if (one->condition != ALWAYS || is_exclusive_load(one)) {
        return;
    }
    for (uint32_t i = 0; i < one->load_count; i++) {
        sum_t address = sum_and_constant(at, 4 * i);
        uint32_t word = 0;
        if (one->loads[i] < 0) {
            continue;
        }
        bool constant = address.count == 0 && literal(address.constant, &word);
        if (constant && one->access_bytes == 4) {
            change(changes, (uint32_t)one->loads[i], sum_of(word));
        } else if (plan->load_count < MOST_LOADS) {
            uint32_t term = FIRST_LOADED + plan->load_count;
            plan->loads[plan->load_count++] =
                (transfer_t){address, one->access_bytes, one->is_signed, plan->store_count};
            change(changes, (uint32_t)one->loads[i], sum_of_term(&plan->terms, term));
        }
    }
    changes->which &= ~(1ull << PC);
}

/* Bring the registers up to date with an instruction. */
static void step(plan_t *plan, const instruction_t *one, const sum_t *at, literal_fn literal) {
    terms_t *t = &plan->terms;
    changes_t changes = {.which = 0};
    if (one->has_access && one->access.base >= 0 && moves_base(one)) {
        uint32_t base = (uint32_t)one->access.base;
        change(&changes, base, sum_and_constant(plan->after[base], base_step(one)));
    }
    note_results(plan, one, &changes);
    if (at && one->load_count) {
        note_loads(plan, one, *at, literal, &changes);
    }
    if (is_exclusive_store(one) || one->is_unknown) {
        for (uint32_t number = 0; number < VALUE_REGISTERS; number++) {
            change(&changes, number, sum_untold(t)); /* the decoder does not say what it writes */
        }
    }
    if (one->mnemonic == ARM_INS_MSR) {
        change(&changes, SP, sum_untold(t));
    }
    for (uint64_t left = changes.which; left; left &= left - 1) {
        uint32_t number = (uint32_t)__builtin_ctzll(left);
        sum_t value = changes.values[number];
        bool sure = one->condition == ALWAYS || sums_equal(t, value, plan->after[number]);
        plan->after[number] = sure ? value : sum_untold(t);
    }
    if (at && is_of(one, STORES)) {
        plan->stores[plan->store_count++] = (transfer_t){*at, bytes_of(one), 0, 0};
    }
}

/* Follow the registers through a block. */
static void follow(const instruction_t *block, uint32_t count, literal_fn literal, plan_t *plan) {
    terms_begin(&plan->terms);
    plan->reach_count = plan->load_count = plan->store_count = 0;
    for (uint32_t number = 0; number < VALUE_REGISTERS; number++) {
        plan->after[number] = (sum_t){0, number, 1};
    }
    for (uint32_t i = 0; i < count; i++) {
        const instruction_t *one = &block[i];
        plan->after[PC] = sum_of((one->address + 4) & ~3u);
        sum_t at = sum_of(0);
        bool reaches = is_of(one, MEMORY) && one->has_access;
        if (reaches) {
            at = address_sum(plan, one);
            plan->reaches[plan->reach_count++] = (reach_t){i, cost_mask(one), at};
        }
        step(plan, one, reaches ? &at : NULL, literal);
    }
}

#endif
