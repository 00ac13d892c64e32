/*
 * One instruction, as the timing rules and the checks of alignment see it; decode.h fills it in and
 * instructions.py has it too.
 */
#ifndef HIL_INSTRUCTION_H
#define HIL_INSTRUCTION_H

#include <capstone/capstone.h> /* the numbers of mnemonics */
#include <stdbool.h>
#include <stdint.h>

enum {
    SP = 13,
    LR = 14,
    PC = 15,
    CORE_REGISTERS = 16,
    ALWAYS = 14,             /* the condition that always holds */
    MOST_SOURCES = 4,        /* nothing of more than two is followed */
    MOST_COVERED = 4,        /* instructions under an IT */
    MOST_INSTRUCTIONS = 1024 /* more than a block has */
};

/* What decides an instruction's cost. */
enum {
    KIND_SIMPLE,
    KIND_LOAD,
    KIND_STORE,
    KIND_LOAD_MULTIPLE, /* LDM, POP, LDRD, VLDM, VPOP */
    KIND_STORE_MULTIPLE,
    KIND_BRANCH, /* B, BL: the target is in the code */
    KIND_COMPARE_BRANCH,
    KIND_INDIRECT, /* BX, BLX, data processing that writes PC */
    KIND_TABLE_BRANCH,
    KIND_IT,
    KIND_DIVIDE,
    KIND_BARRIER,
    KIND_SYNCHRONISE, /* ISB */
    KIND_FLOAT,
    KIND_FLOAT_MULTIPLY_ADD,
    KIND_FLOAT_DIVIDE,
    KIND_FLOAT_MOVE,
    KIND_FLOAT_LOAD,
    KIND_FLOAT_STORE,
};

/* A set of kinds. */
#define SET(kind) (1u << (kind))
enum {
    MULTIPLE = SET(KIND_LOAD_MULTIPLE) | SET(KIND_STORE_MULTIPLE),
    FLOAT_MEMORY = SET(KIND_FLOAT_LOAD) | SET(KIND_FLOAT_STORE),
    MEMORY = SET(KIND_LOAD) | SET(KIND_STORE) | MULTIPLE | SET(KIND_TABLE_BRANCH) | FLOAT_MEMORY,
    STORES = SET(KIND_STORE) | SET(KIND_STORE_MULTIPLE) | SET(KIND_FLOAT_STORE),
    BRANCHES = SET(KIND_BRANCH) | SET(KIND_COMPARE_BRANCH) | SET(KIND_INDIRECT) |
        SET(KIND_TABLE_BRANCH),
};

/* How a load or store forms its address; registers by number, -1 for none. */
typedef struct {
    int32_t offset;
    int8_t base;
    int8_t index;
    uint8_t shift; /* of the index, to the left */
    uint8_t post_indexed;
} address_t;

/* A source of data processing: a register, shifted left, or without one, -1, a constant. */
typedef struct {
    uint32_t constant;
    int8_t number;
    uint8_t shift;
} source_t;

typedef struct {
    uint32_t address;
    uint32_t target;   /* of a direct branch */
    uint32_t mnemonic; /* capstone's number, without condition, width and flags suffix */
    uint32_t writes;   /* core registers written by data processing or loaded; bit 0 is r0 */
    uint32_t float_reads;
    uint32_t float_writes; /* single registers; bit 0 is s0 */
    address_t access;
    uint8_t size;
    uint8_t kind;
    uint8_t condition;    /* 0 to 13 in an IT block or of a conditional branch, else 14 */
    uint8_t words;        /* how many a multiple load or store moves */
    uint8_t access_bytes; /* of one memory access */
    uint8_t operands;
    uint8_t has_access;
    uint8_t has_target;
    uint8_t writes_back;
    uint8_t loads_pc;
    uint8_t is_double;
    uint8_t is_nop;
    uint8_t is_float;     /* for the FPU */
    uint8_t is_foreign;   /* another core's */
    uint8_t is_unknown;   /* to the decoder */
    uint8_t writes_masks; /* MSR, CPS */
    uint8_t is_signed;    /* loads with a sign */
    uint8_t is_call;      /* BL, BLX */
    uint8_t is_return;    /* BX LR, POP and LDM with PC */
    uint8_t is_suspect;   /* looked at on its own, so without checks */
    uint8_t it_count;
    uint8_t it_conditions[MOST_COVERED]; /* of the instructions that an IT covers */
    uint8_t load_count;
    int8_t loads[CORE_REGISTERS]; /* core registers loaded, in the order of their words */
    uint8_t source_count;
    source_t sources[MOST_SOURCES]; /* of data processing and moves */
} instruction_t;

/* The word of constant data at an address; false where it may change. */
typedef bool (*literal_fn)(uint32_t address, uint32_t *word);

static inline bool is_of(const instruction_t *one, uint32_t kinds) {
    return kinds >> one->kind & 1;
}

static inline uint32_t end_of(const instruction_t *one) {
    return one->address + one->size;
}

/* Whether its address is a sum of two registers. */
static inline bool has_index(const instruction_t *one) {
    return one->has_access && one->access.index >= 0;
}

/* Whether it may be skipped or not taken. */
static inline bool is_predicated(const instruction_t *one) {
    return one->condition != ALWAYS;
}

/* Whether it writes PC when it executes. */
static inline bool leaves(const instruction_t *one) {
    return one->loads_pc || is_of(one, BRANCHES);
}

#endif
