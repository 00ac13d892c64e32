/*
 * When the emulated core has to leave its run, asked once per block by the clock's block hook.
 *
 * Unicorn re-executes a load or store on which a stop from elsewhere lands; a stop from the block
 * hook takes effect before the block's first instruction and leaves the registers exact.
 */
#ifndef HIL_RUN_CONTROL_H
#define HIL_RUN_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

typedef int (*engine_stop_fn)(void *engine);
typedef int (*engine_read_fn)(void *engine, int register_id, void *value);
typedef int (*engine_mem_read_fn)(void *engine, uint64_t address, void *bytes, uint64_t size);

typedef struct {
    engine_stop_fn emu_stop;
    engine_read_fn reg_read;
    int32_t mask_ids[3];  /* Unicorn's ids of PRIMASK, BASEPRI, FAULTMASK */
    uint32_t masks[3];    /* their values when the run began */
    uint32_t watch_masks; /* leave when one of them changes */
    uint32_t stop;        /* leave at the next block; written by any thread */
    uint32_t block_limit; /* leave after this many blocks; 0 for no limit */
    uint32_t blocks;      /* blocks of this run, counted only under a limit */
    uint32_t left;        /* whether the hook ended the run; cleared by who starts it */
    uint64_t cycles;
    uint64_t instructions;
    uint64_t deadline; /* leave when the cycles reach it */
} run_control_t;

static inline bool run_control_masks_changed(run_control_t *run, void *engine) {
    for (int i = 0; i < 3; i++) {
        uint32_t value = 0;
        run->reg_read(engine, run->mask_ids[i], &value);
        if (value != run->masks[i]) {
            return true;
        }
    }
    return false;
}

/* Whether the block about to run must not: then the engine has been told to stop and the hook must
 * not charge the block. A clock that knows which blocks may write the masks spares the others the
 * question. */
static inline bool run_control_leaves(run_control_t *run, void *engine, bool masks_may_differ) {
    bool leave = __atomic_load_n(&run->stop, __ATOMIC_RELAXED) || run->cycles >= run->deadline;
    if (run->block_limit && run->blocks++ >= run->block_limit) {
        leave = true;
    }
    if (run->watch_masks && masks_may_differ && run_control_masks_changed(run, engine)) {
        leave = true;
    }
    if (leave) {
        run->left = 1;
        run->emu_stop(engine);
    }
    return leave;
}

#endif
