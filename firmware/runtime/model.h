/* What an emitted model provides to the runtime: its memory, its layers in order, and where input
 * and output stand. */
#ifndef HIL_MODEL_H
#define HIL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory that the linker script places: `.bss.arena` in SRAM, `.bss.scratch` in CCM. */
#if defined(__arm__)
#define MODEL_SRAM __attribute__((section(".bss.arena"), aligned(16)))
#define MODEL_CCM __attribute__((section(".bss.scratch"), aligned(16)))
#else
#define MODEL_SRAM __attribute__((aligned(16)))
#define MODEL_CCM __attribute__((aligned(16)))
#endif

typedef struct {
    const char *name;  /* the operator's, or the fused block's */
    uint32_t macs;     /* as the model states them: dense, unshared */
    void (*run)(void); /* NULL: a later layer's runs it row by row with its own, and says when */
} model_layer_t;

extern const char model_name[];
extern const model_layer_t model_layers[]; /* run in order; cycles are counted around each */
extern const uint32_t model_layer_count;

/* The planned activation memory, in SRAM, and the kernels' working memory, in CCM. */
extern uint8_t model_arena[];
extern const uint32_t model_arena_bytes;
extern uint8_t model_scratch[];
extern const uint32_t model_scratch_bytes;

/* Within the arena. */
extern const uint32_t model_input_offset, model_input_bytes;
extern const uint32_t model_output_offset, model_output_bytes;
extern const bool model_input_survives; /* false when a run overwrites the input */

extern const bool model_streams; /* rows of the input are taken while it runs, outputs given */

void model_init(void); /* once after reset, before the first run */

/* What a streaming model asks of the runtime. Taking and giving wait for the host, which is counted
 * apart. They return false when the run is abandoned, from then on at once and without a word to
 * the host; a layer that has more to compute returns then. A lap charges what has been counted
 * since the one before to a layer. */
bool model_take(uint32_t offset, int8_t *to, uint32_t bytes);
bool model_give(uint32_t offset, const int8_t *from, uint32_t bytes);
void model_lap(uint32_t layer);

#endif
