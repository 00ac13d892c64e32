/* The timing rules' values, in the order of rules.py, which says what each is and where from. */
#ifndef HIL_TIMING_RULES_H
#define HIL_TIMING_RULES_H

#include <stdint.h>

typedef struct {
    int32_t simple;
    int32_t load;
    int32_t load_pairs;
    int32_t load_pairs_across_blocks;
    int32_t load_hides_under_store;
    int32_t load_hides_under_store_to_sram2;
    int32_t nop_in_second_cycle;
    int32_t store;
    int32_t store_register_offset;
    int32_t load_after_store;
    int32_t sram2_busy_after_store;
    int32_t sram2_busy_with_cache;
    int32_t sdram_load;
    int32_t sdram_store;
    int32_t multiple;
    int32_t address_early;
    int32_t write_back_early;
    int32_t write_back_behind_load;
    int32_t address_after_load;
    int32_t unaligned_half;
    int32_t unaligned_word;
    int32_t unaligned_word_odd;
    int32_t divide;
    int32_t branch_refill;
    int32_t indirect_refill;
    int32_t load_pc_refill;
    int32_t table_refill;
    int32_t forward_branch_second_word;
    int32_t fetch_queue;
    int32_t fetch_queue_with_cache;
    int32_t wide_run_with_cache;
    int32_t flash_data_takes_fetch_slot;
    int32_t flash_data_takes_slot_with_cache;
    int32_t it;
    int32_t it_folds;
    int32_t skipped;
    int32_t barrier;
    int32_t float_simple;
    int32_t float_multiply_add;
    int32_t float_divide;
    int32_t float_hazard;
    int32_t float_load;
    int32_t float_store;
    int32_t float_move;
    int32_t prefetch_fills_cache;
} rules_t;

#endif
