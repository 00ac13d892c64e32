/*
 * Bytes that a transmitter is given, on their way to Python; those of one that C answers for end
 * here, in a buffer that the host empties. A firmware that answers reads the status and writes the
 * data of its transmitter for each byte.
 */
#include <stdint.h>
#include <string.h>

enum { SENT_BYTES = 4096 };

typedef uint64_t (*device_read_fn)(void *engine, uint64_t offset, unsigned size, void *context);
typedef void (*device_write_fn)(void *engine, uint64_t offset, unsigned size, uint64_t value,
                                void *context);

/* One thread puts, another takes; both count from the beginning of the line. */
typedef struct {
    uint64_t put;
    uint64_t taken;
    uint64_t wake_at; /* count of put bytes from which on somebody is to be woken */
    void (*wake)(void);
    uint8_t bytes[SENT_BYTES];
} sent_t;

typedef struct {
    uint64_t status_at; /* address of the register that says that there is room */
    uint64_t data_at;   /* address of the register that bytes are written to */
    sent_t *sent;
    const uint64_t *cycles; /* at the last block's end */
    uint64_t looked_at;     /* those of the last read of the status that was answered */
    uint64_t writes;        /* bytes that ended here so far */
    uint32_t status;        /* what the first register reads as */
    uint32_t mask;          /* the bits of a byte that are sent */
    uint32_t open;          /* whether anything ends here; any thread may take it back */
    uint32_t fresh;         /* whether a byte came since the status was read */
} sending_t;

/* A range of addresses that a device answers at. */
typedef struct {
    sending_t *sending;
    uint64_t base;
    device_read_fn read;
    device_write_fn write;
    void *context;
} sending_window_t;

static uint32_t is_open(const sending_t *sending) {
    return __atomic_load_n(&sending->open, __ATOMIC_RELAXED);
}

/* Only the first read behind a byte ends here: what asks again waits for something else. */
uint64_t sending_read(void *engine, uint64_t offset, unsigned size, void *context) {
    const sending_window_t *window = context;
    sending_t *sending = window->sending;
    if (is_open(sending) && sending->fresh && window->base + offset == sending->status_at) {
        sending->fresh = 0;
        sending->looked_at = *sending->cycles;
        return sending->status & (size < 4 ? (1u << 8 * size) - 1 : UINT32_MAX);
    }
    return window->read(engine, offset, size, window->context);
}

void sending_write(void *engine, uint64_t offset, unsigned size, uint64_t value, void *context) {
    const sending_window_t *window = context;
    sending_t *sending = window->sending;
    if (size == 4 && is_open(sending) && window->base + offset == sending->data_at) {
        sent_t *sent = sending->sent;
        uint64_t put = sent->put;
        if (put - __atomic_load_n(&sent->taken, __ATOMIC_ACQUIRE) < SENT_BYTES) {
            sent->bytes[put % SENT_BYTES] = (uint8_t)(value & sending->mask);
            sending->writes++;
            sending->fresh = 1;
            __atomic_store_n(&sent->put, put + 1, __ATOMIC_SEQ_CST);
            if (put + 1 >= __atomic_load_n(&sent->wake_at, __ATOMIC_SEQ_CST)) {
                sent->wake();
            }
            return;
        }
    }
    window->write(engine, offset, size, value, window->context);
}

/* Take all bytes; one thread at a time. */
uint32_t sent_take(sent_t *sent, uint8_t *bytes) {
    uint64_t taken = sent->taken, put = __atomic_load_n(&sent->put, __ATOMIC_ACQUIRE);
    uint32_t count = (uint32_t)(put - taken), first = (uint32_t)(taken % SENT_BYTES),
             behind = count < SENT_BYTES - first ? count : SENT_BYTES - first;
    memcpy(bytes, sent->bytes + first, behind);
    memcpy(bytes + behind, sent->bytes, count - behind);
    __atomic_store_n(&sent->taken, put, __ATOMIC_RELEASE);
    return count;
}

/* Have somebody woken when so many more bytes are there than were taken; 0 for not at all.
 * Returns how many are there: whoever asked first sees the other's word. */
uint64_t sent_wake_after(sent_t *sent, uint64_t count) {
    __atomic_store_n(&sent->wake_at, count ? sent->taken + count : UINT64_MAX, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&sent->put, __ATOMIC_SEQ_CST) - sent->taken;
}
