/* One cycle per instruction: the block hook of the emulated core when no timing is modelled. */
#include "run_control.h"

#include <stddef.h>

enum { SLOTS = 1 << 14, MAX_BLOCK_BYTES = 4096 };

typedef struct {
    uint32_t address;
    uint32_t size;
    uint32_t instructions;
} block_t;

typedef struct {
    run_control_t run;
    engine_mem_read_fn mem_read;
    block_t blocks[SLOTS];
} instruction_clock_t;

size_t instruction_clock_size(void) {
    return sizeof(instruction_clock_t);
}

/* Halfwords that start an instruction: those of 32-bit ones begin with 0b11101, 0b11110, 0b11111.
 */
static uint32_t count_instructions(instruction_clock_t *clock, void *engine, uint32_t address,
                                   uint32_t size) {
    uint16_t code[MAX_BLOCK_BYTES / 2];
    uint32_t halfwords = (size < MAX_BLOCK_BYTES ? size : MAX_BLOCK_BYTES) / 2;
    if (clock->mem_read(engine, address, code, halfwords * 2) != 0) {
        return 1;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < halfwords; i += (code[i] >> 11) >= 0x1d ? 2 : 1) {
        count++;
    }
    return count;
}

void instruction_clock_forget(instruction_clock_t *clock) {
    for (size_t i = 0; i < SLOTS; i++) {
        clock->blocks[i].size = 0;
    }
}

void instruction_clock_on_block(void *engine, uint64_t address, uint32_t size, void *context) {
    instruction_clock_t *clock = context;
    if (run_control_leaves(&clock->run, engine, true)) {
        return;
    }
    uint32_t start = (uint32_t)address;
    block_t *block = &clock->blocks[(start >> 1) & (SLOTS - 1)];
    if (block->address != start || block->size != size) {
        block->address = start;
        block->size = size;
        block->instructions = count_instructions(clock, engine, start, size);
    }
    clock->run.cycles += block->instructions;
    clock->run.instructions += block->instructions;
}
