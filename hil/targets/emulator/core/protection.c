/* Ends a run at a load or store that the memory protection unit denies, and keeps what a denied
 * store is about to overwrite. */
#include "run_control.h"

enum { RANGES = 64, UNDONE = 32, MOST_BYTES = 8, STORE = 17 };
enum { DENIES_READ = 1, DENIES_WRITE = 2 };

typedef struct {
    uint32_t first;
    uint32_t last;
    uint32_t denies;
} denied_t;

typedef struct {
    uint32_t address;
    uint32_t size;
    uint8_t bytes[MOST_BYTES];
} undone_t;

typedef struct {
    engine_stop_fn emu_stop;
    engine_mem_read_fn mem_read;
    uint32_t count; /* of ranges that are in force */
    uint32_t violated;
    uint32_t address; /* of the first access that was denied */
    uint32_t undone_count;
    denied_t denied[RANGES];
    undone_t undone[UNDONE];
} protection_t;

/* Called before a data access in a range that some rule denies. */
void protection_on_access(void *engine, int kind, uint64_t address, int size, int64_t value,
                          void *context) {
    protection_t *p = context;
    uint32_t first = (uint32_t)address, last = first + (uint32_t)size - 1;
    uint32_t wanted = kind == STORE ? DENIES_WRITE : DENIES_READ;
    (void)value;
    for (uint32_t i = 0; i < p->count; i++) {
        const denied_t *range = &p->denied[i];
        if (last < range->first || first > range->last || !(range->denies & wanted)) {
            continue;
        }
        if (!p->violated) {
            p->violated = 1;
            p->address = first;
        }
        if (wanted == DENIES_WRITE && p->undone_count < UNDONE && size <= MOST_BYTES) {
            undone_t *undone = &p->undone[p->undone_count++];
            undone->address = first;
            undone->size = (uint32_t)size;
            p->mem_read(engine, first, undone->bytes, (uint64_t)size);
        }
        p->emu_stop(engine);
        return;
    }
}
