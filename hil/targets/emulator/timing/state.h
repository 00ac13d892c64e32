/*
 * The timing core's state, shared with the Python side: c_side.py has the first fields too.
 */
#ifndef HIL_TIMING_STATE_H
#define HIL_TIMING_STATE_H

#include "../core/run_control.h"
#include "calls.h"
#include "checks.h"
#include "places.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    NODES = 1 << 16,
    FETCHES = 1 << 18,
    BUCKETS = 1 << 17,
    LEAST_LINE_BYTES = 8,
    MOST_FLASH_BYTES = 2 << 20,
    MOST_FLASH_LINES = MOST_FLASH_BYTES / LEAST_LINE_BYTES,
    PAGE_BYTES = 1024,
    CACHE_BYTES = 1024, /* of the instruction cache: RM0090 section 3.5.2, RM0432 section 3.3.4 */
    MOST_CACHE_LINES = CACHE_BYTES / LEAST_LINE_BYTES,
    DATA_LINES = 8,
    MEMORY_PAGES = MOST_FLASH_BYTES / PAGE_BYTES, /* of the largest memory */
    CODE_PAGES = 64 * MEMORY_PAGES,               /* of those below 0x4000_0000 */
    BLOCK_STALLS = 72,
};

static const uint32_t NO_LINE = UINT32_MAX;

typedef struct node node_t;

typedef struct {
    uint64_t count; /* how often the block ended this way */
    node_t *next;   /* where it led last */
    uint32_t cost;
    uint32_t state; /* of the pipeline then */
} edge_t;

typedef struct {
    uint32_t line;
    uint16_t needed; /* cycle of the block */
    uint16_t ahead;  /* how much earlier it is asked for */
} fetch_t;

struct node {
    uint32_t address;
    uint32_t size;
    uint32_t outcome;   /* of the IT that the block begins with: whether its condition holds */
    uint32_t end;       /* where the block ends, or an IT before that whose outcome matters */
    uint32_t transfer;  /* CALLS or RETURNS, when it ends by its last instruction */
    uint32_t may_write; /* MASKS, STACK_POINTER */
    uint32_t instructions;
    uint32_t checks;
    edge_t fall_through;
    edge_t taken;
    uint64_t resident; /* `cache_change` when its lines were in the instruction cache */
    uint64_t used;     /* `used` when it was last entered with that still so */
    uint32_t fetches;
    uint32_t last_line;
    uint32_t first_fetch;
    uint32_t first_check;
    node_t *used_before;  /* the next in `used_nodes` */
    uint32_t state;       /* of the pipeline on entry */
    uint32_t condition;   /* of the IT at the end */
    uint32_t first_float; /* address of its first FPU instruction, or 0 */
    uint32_t cached;      /* the instruction cache was on when it was costed */
    placed_t placed;
    node_t *next_case; /* the same block for other places */
    uint64_t fetch_stall;
    uint64_t data_stall;
};

typedef struct {
    uint32_t needed;
    uint32_t cycles;
} stall_t;

typedef struct timing timing_t;
/* What filling a node's costs comes to: done; failed; or the block has to be translated anew. */
enum { BUILT, FAILED, AGAIN };
typedef int (*build_fn)(uint32_t node, uint32_t address, uint32_t size);
/* Hooks the ITs of a page of code. */
typedef void (*prepare_fn)(uint32_t page);
/* Takes the nodes' counts over before they are forgotten. */
typedef void (*harvest_fn)(void);
typedef int (*write_register_fn)(void *engine, int register_id, const void *value);
typedef int (*control_fn)(void *engine, uint32_t control, ...);

struct timing {
    run_control_t run;
    build_fn build;
    prepare_fn prepare;
    harvest_fn harvest;
    engine_mem_read_fn read_memory;
    engine_read_fn read_register;
    write_register_fn write_register;
    control_fn control;
    uint32_t flush_translations; /* Unicorn's control word that empties its address translations */
    int32_t pc_id;
    int32_t flags_id;
    int32_t execution_state_id; /* EPSR */
    int32_t stack_pointer_id;

    uint32_t flash_base;
    uint32_t flash_bytes; /* at most MOST_FLASH_BYTES */
    uint32_t boot_alias;  /* second address of the flash */
    uint64_t flash_alias; /* where data reads of flash are sent; no address of the core's */
    uint32_t sees_data;   /* send them there */

    /* flash access control register */
    uint32_t wait_states;
    uint32_t prefetch;
    uint32_t instruction_cache;
    uint32_t data_cache;
    uint32_t prefetch_fills_cache;

    /* a line is what the flash reads at once */
    uint32_t line_shift;  /* 1 << line_shift bytes */
    uint32_t first_line;  /* of the flash */
    uint32_t flash_lines; /* of the largest flash */
    uint32_t cache_lines; /* of the instruction cache */

    /* where execution is */
    node_t *current;
    uint32_t expected; /* address at which a stopped run goes on */
    uint32_t state;
    uint32_t fresh; /* state after anything but the code before */
    uint32_t forget;
    uint32_t may_differ;  /* MASKS, STACK_POINTER: from when they were last looked at */
    uint32_t floats_trap; /* leave before a block with an FPU instruction */
    uint32_t suspect;     /* the instruction for which a run was left: it may trap */
    uint32_t stalls;
    stall_t stall[BLOCK_STALLS]; /* of the current block's lines */

    uint32_t access_pc;    /* instruction of the last access to a device, if no other came since */
    uint32_t flush_wanted; /* empty Unicorn's address translations at the next block */

    uint64_t fetch_stalls;
    uint64_t data_stalls;
    uint64_t data_reads;
    uint64_t data_misses;

    /* accelerator */
    uint32_t line; /* in the line buffer */
    uint32_t prefetched;
    uint64_t prefetch_ready;
    uint64_t flash_free;
    uint64_t used;         /* count of cache look-ups */
    uint64_t cache_change; /* `used` when the instruction cache's lines last changed */
    node_t *used_nodes;    /* nodes entered since, with all their lines in it */
    uint32_t tags[MOST_CACHE_LINES];
    uint64_t last_use[MOST_CACHE_LINES];
    uint32_t data_tags[DATA_LINES];
    uint64_t data_last_use[DATA_LINES];
    uint8_t slot_of[MOST_FLASH_LINES]; /* 1 + slot in the instruction cache, or 0 */

    calls_t calls;
    checks_t checks;
    places_t places;

    uint32_t node_count;
    uint32_t fetch_count;
    uint8_t code_pages[CODE_PAGES]; /* some node is there */
    uint8_t shadow_valid[MOST_FLASH_BYTES / PAGE_BYTES];
    uint8_t prepared[MOST_FLASH_BYTES / PAGE_BYTES]; /* `prepare` has seen the page as it is */
    uint8_t shadow[MOST_FLASH_BYTES];
    node_t *buckets[BUCKETS];
    node_t nodes[NODES];
    fetch_t fetches[FETCHES];
};

#endif
