/* Little-endian numbers in frames, at any alignment, and a report on its way out. */
#ifndef HIL_LINK_BYTES_H
#define HIL_LINK_BYTES_H

#include <stdint.h>

enum { LINK_HEAD_BYTES = 112, LINK_LONGEST_TEXT_BYTES = 200 };

/* What the device says: the fixed fields, and the rest of the frame where it stands. Both are kept
 * until the next request, so that a repeated one is answered again without doing it again. */
typedef struct {
    uint8_t kind, sequence, head_bytes;
    uint8_t head[LINK_HEAD_BYTES];
    const uint8_t *tail;
    uint32_t tail_bytes;
} link_report_t;

static inline uint32_t link_read_u32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void link_write(uint8_t *at, uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static inline uint32_t link_text_bytes(const char *text) {
    uint32_t bytes = 0;
    while (bytes < LINK_LONGEST_TEXT_BYTES && text[bytes] != '\0') {
        bytes++;
    }
    return bytes;
}

static inline void link_write_bytes(uint8_t *at, const uint8_t *from, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        at[i] = from[i];
    }
}

/* A text in `bytes` bytes, the last always NUL. */
static inline void link_write_name(uint8_t *at, const char *name, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        at[i] = i + 1 < bytes ? (uint8_t)*name : 0;
        name += *name != '\0';
    }
}

#endif
