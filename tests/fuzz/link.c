/* The firmware's side of the link under frames that no host sends and under plain noise; host.c is
 * what tests/native_device.py compiles, with its tiny model behind.
 *
 * An input is a list of steps: a frame with a right check, one of which a byte is damaged, or
 * noise. Whatever came, the firmware answers two greetings. */
#include "host.c"

#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_WIRE = 4 * LINK_LARGEST_FRAME_BYTES, HELLO_BYTES = 40 };

static const uint8_t *step;
static size_t steps_left;

static uint8_t next(void) {
    return steps_left > 0 ? (steps_left--, *step++) : 0;
}

/* One of the protocol's requests, or any kind at all. */
static uint8_t kind_of(uint8_t byte) {
    return byte < 200 ? byte % 12 : byte;
}

/* The bytes of a frame on the wire, as the firmware itself would send it. */
static uint32_t frame(uint8_t kind, uint8_t sequence, const uint8_t *body, uint32_t count,
                      uint8_t *wire) {
    link_report_t report = {.kind = kind, .sequence = sequence, .tail = body, .tail_bytes = count};
    said_bytes = 0;
    link_send(&report);
    memcpy(wire, said, said_bytes);
    return said_bytes;
}

static uint32_t whole_frame(uint8_t *wire) {
    static const uint16_t lengths[] = {0, 1, 2, 3, 4, 5, 8, 9, 200, 604, 1023, 1024, 1027, 1028};
    uint8_t body[LINK_LARGEST_BODY_BYTES] = {0};
    const uint8_t kind = kind_of(next());
    const uint8_t sequence = next();
    const uint32_t count = lengths[next() % (sizeof lengths / sizeof lengths[0])];
    for (uint32_t i = 0; i < count && i < 16; i++) {
        body[i] = next();
    }
    return frame(kind, sequence, body, count, wire);
}

static uint32_t noise(uint8_t *wire) {
    const uint32_t count = next();
    for (uint32_t i = 0; i < count; i++) {
        wire[i] = next();
    }
    return count;
}

static void greet(uint8_t *wire) {
    const uint32_t count = frame(LINK_ASK_HELLO, 255, NULL, 0, wire);
    for (int i = 0; i < 2; i++) {
        hear(wire, count);
    }
    if (said_bytes < HELLO_BYTES) {
        __builtin_trap(); /* it is deaf for good */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t wire[MOST_WIRE];
    step = data;
    steps_left = size;
    ticks = 0;
    boot(next() & 1);
    while (steps_left > 0) {
        const uint8_t what = next();
        uint32_t count = what % 4 == 3 ? noise(wire) : whole_frame(wire);
        if (what % 4 == 2) {
            wire[(uint32_t)(next() << 8 | next()) % count] ^= (uint8_t)(next() | 1);
        }
        if (what & 16) {
            count /= 2; /* whoever sent it was killed */
        }
        hear(wire, count);
    }
    greet(wire);
    return 0;
}
