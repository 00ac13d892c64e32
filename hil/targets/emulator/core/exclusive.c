/* The local exclusive monitor, as far as exceptions clear it: Unicorn keeps its own open. */
#include "run_control.h"

typedef struct {
    engine_stop_fn emu_stop;
    uint32_t cleared; /* an exception was taken, or returned from, since the last LDREX */
} exclusive_t;

void exclusive_on_load(void *engine, uint64_t address, uint32_t size, void *context) {
    exclusive_t *exclusive = context;
    (void)engine;
    (void)address;
    (void)size;
    exclusive->cleared = 0;
}

/* Ends the run before a store that has to fail. */
void exclusive_on_store(void *engine, uint64_t address, uint32_t size, void *context) {
    const exclusive_t *exclusive = context;
    (void)address;
    (void)size;
    if (exclusive->cleared) {
        exclusive->emu_stop(engine);
    }
}
