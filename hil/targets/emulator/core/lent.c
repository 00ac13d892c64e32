/*
 * Reads of a device's registers, on their way to Python; those of a receiver that has lent bytes
 * end here. A firmware that takes in an image reads two registers for each byte of it.
 */
#include <stdint.h>

enum { LENT_BYTES = 4096 };

typedef uint64_t (*device_read_fn)(void *engine, uint64_t offset, unsigned size, void *context);

typedef struct {
    uint64_t status_at; /* address of the register that says that a byte is there */
    uint64_t data_at;   /* address of the register that it is taken from */
    uint32_t status;    /* what the first one reads as while there are some */
    uint32_t count;     /* bytes that are lent; others may take them back, so that none is left */
    uint32_t next;      /* the first that has not been taken */
    uint32_t unused;
    uint64_t reads; /* of the second register, that were answered here */
    uint8_t bytes[LENT_BYTES];
} lent_t;

/* A range of addresses that a device answers at. */
typedef struct {
    lent_t *lent;
    uint64_t base;
    device_read_fn read;
} lent_window_t;

uint64_t lent_read(void *engine, uint64_t offset, unsigned size, void *context) {
    const lent_window_t *window = context;
    lent_t *lent = window->lent;
    if (lent->next < __atomic_load_n(&lent->count, __ATOMIC_RELAXED)) {
        uint64_t address = window->base + offset,
                 mask = size < 4 ? (1u << 8 * size) - 1 : UINT32_MAX;
        if (address == lent->status_at) {
            return lent->status & mask;
        }
        if (address == lent->data_at) {
            lent->reads++;
            return lent->bytes[lent->next++] & mask;
        }
    }
    return window->read(engine, offset, size, 0);
}
