/* What a block costs, and what the pipeline has under way before and behind it; desk.py has both.
 */
#ifndef HIL_TIMING_COST_H
#define HIL_TIMING_COST_H

#include "../core/instruction.h"

enum {
    MOST_QUEUE = 8, /* words of code that any rule lets the fetch unit hold */
};

/* What a cycle was spent on. */
enum {
    ISSUE,      /* one cycle of every instruction that takes any */
    LOAD_STORE, /* further cycles of loads and stores, and waiting for addresses */
    BRANCH,     /* refill after a taken branch, and fetches that come late */
    DIVISION,
    FLOAT,
    OTHER, /* barriers */
    CAUSES
};

/* Memories that rules name; a board's others have numbers behind these. 0 is none. */
enum { UNKNOWN_MEMORY = 1, FLASH_MEMORY, SRAM2_MEMORY, SDRAM_MEMORY, OTHER_MEMORIES };

/* Whether the condition of an IT holds, where that is known. */
enum { NOBODY_KNOWS, HOLDS, FAILS };

/* What is known of a load's or store's address. */
typedef struct {
    uint8_t memory;
    uint8_t misalignment; /* bytes */
} access_t;

/*
 * What the pipeline still has under way between two instructions. Times are in cycles from the
 * earliest next issue. All of its bytes count: two states are the same where these are.
 */
typedef struct {
    int32_t fetch;             /* when the next word of code, and so an instruction, can issue */
    int32_t second_word_late;  /* added once, to the word after that */
    int32_t freed[MOST_QUEUE]; /* when each of the last words was used up, oldest first */
    int32_t previous_issue;    /* when the last instruction issued */
    int32_t bus_free;          /* when the next load or store can go ahead */
    int32_t ready[CORE_REGISTERS]; /* when a register can form an address, if not yet */
    uint32_t float_result; /* registers written by the last instruction, if a float operation */
    int32_t float_free;    /* when the float unit is done with a division */
    int32_t wide_run; /* how many unaligned 32-bit instructions have come behind one of more than a
                         cycle; -1 where nothing is counted */
    uint8_t freed_count;
    uint8_t branched;      /* nothing of the next instruction has been fetched */
    uint8_t pending;       /* memory of a load whose second cycle may yet be hidden */
    uint8_t stored;        /* the last instruction was a store */
    uint8_t short_before;  /* the last instruction was a 16-bit one, and no branch */
    uint8_t indexed_store; /* the last instruction was STR [Rn, Rm] */
    uint8_t outcome;       /* of the IT that comes next, or just came; where nobody knows, its
                              instructions are taken to execute */
    uint8_t condition_count;
    uint8_t conditions[MOST_COVERED]; /* of the remaining instructions of an IT block */
} state_t;

/* A line of code, which the flash reads at once. */
typedef struct {
    uint32_t line;
    uint32_t needed; /* when it is first needed */
    uint32_t ahead;  /* how much earlier it is asked for */
} line_fetch_t;

/* The end of a block one way: its cost in all and by cause, and what goes on behind it. */
typedef struct {
    uint32_t cost;
    uint32_t by_cause[CAUSES];
    state_t state;
} exit_t;

/* A block's cost. */
typedef struct {
    exit_t fall_through; /* the next one follows it in memory */
    exit_t taken;
    uint32_t lines;
    line_fetch_t line[MOST_INSTRUCTIONS];
    uint32_t issues[MOST_INSTRUCTIONS]; /* cycle at which each instruction issues */
} cost_t;

#endif
