/*
 * Stores to flash and what a flash algorithm does around each of them, on their way to Python. A
 * controller that has nothing to say about them has them end here: for each word an algorithm
 * reads the status, chooses to program, and stores.
 */
#include <stdbool.h>
#include <stdint.h>

enum { PROGRAMMING_PAGE_BYTES = 4096, PROGRAMMING_CHOICES = 0x301 /* PG and PSIZE */ };

typedef uint64_t (*device_read_fn)(void *engine, uint64_t offset, unsigned size, void *context);
typedef void (*device_write_fn)(void *engine, uint64_t offset, unsigned size, uint64_t value,
                                void *context);
typedef bool (*invalidate_fn)(void *clock, uint32_t address, uint32_t length);

typedef struct {
    uint64_t control_at;      /* address of FLASH_CR */
    uint64_t status_at;       /* address of FLASH_SR, which reads as 0 while it is open */
    uint64_t first;           /* address of the flash */
    uint64_t page;            /* address of the page that is open to stores; 1 for none */
    uint8_t *memory;          /* of the flash */
    invalidate_fn invalidate; /* of the clock; null where it need not know */
    void *clock;
    uint64_t accesses; /* that ended here */
    uint32_t control;
    uint32_t open; /* whether the registers are answered here; any thread may take it back */
} programming_t;

/* A range of addresses that a device answers at. */
typedef struct {
    programming_t *programming;
    uint64_t base;
    device_read_fn read;
    device_write_fn write;
    void *read_context;
} programming_window_t;

static bool is_open(const programming_t *programming) {
    return __atomic_load_n(&programming->open, __ATOMIC_RELAXED);
}

uint64_t programming_read(void *engine, uint64_t offset, unsigned size, void *context) {
    const programming_window_t *window = context;
    programming_t *programming = window->programming;
    if (size == 4 && is_open(programming)) {
        uint64_t address = window->base + offset;
        if (address == programming->status_at || address == programming->control_at) {
            programming->accesses++;
            return address == programming->control_at ? programming->control : 0;
        }
    }
    return window->read(engine, offset, size, window->read_context);
}

void programming_write(void *engine, uint64_t offset, unsigned size, uint64_t value,
                       void *context) {
    const programming_window_t *window = context;
    programming_t *programming = window->programming;
    if (size == 4 && is_open(programming) && window->base + offset == programming->control_at &&
        !((uint32_t)value & ~(uint32_t)PROGRAMMING_CHOICES)) {
        programming->accesses++;
        programming->control = (uint32_t)value;
        return;
    }
    window->write(engine, offset, size, value, 0);
}

/* Whether a store to flash may happen and programs just what it stores; Python is asked else. */
bool programming_store(void *engine, int kind, uint64_t address, int size, int64_t value,
                       void *context) {
    programming_t *programming = context;
    (void)engine;
    (void)kind;
    uint64_t page = address & ~(uint64_t)(PROGRAMMING_PAGE_BYTES - 1);
    uint32_t control = programming->control;
    if (!is_open(programming) || page != programming->page || !(control & 1) ||
        size != 1 << (control >> 8 & 3) || address % (uint64_t)size) {
        return false;
    }
    const uint8_t *at = programming->memory + (address - programming->first);
    for (int i = 0; i < size; i++) {
        if ((uint8_t)(value >> 8 * i) & ~at[i]) {
            return false;
        }
    }
    if (programming->invalidate &&
        programming->invalidate(programming->clock, (uint32_t)address, (uint32_t)size)) {
        return false;
    }
    programming->accesses++;
    return true;
}
