/* Frames of the link: COBS, CRC-32, byte by byte. docs/protocol.md has the format. */
#ifndef HIL_LINK_H
#define HIL_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "link_messages.h"

enum {
    LINK_HEADER_BYTES = 2,
    LINK_CRC_BYTES = 4,
    LINK_LARGEST_FRAME_BYTES = LINK_HEADER_BYTES + LINK_LARGEST_BODY_BYTES + LINK_CRC_BYTES,
};

/* A frame as it comes in: enough of it to know whether it is one. */
typedef struct {
    uint32_t count; /* bytes unstuffed so far */
    uint32_t crc;   /* of them */
    uint8_t left;   /* bytes still to come in this block */
    bool zero_due;  /* the block is followed by a zero, unless it is the last */
    bool anything;  /* since the last delimiter */
} link_watch_t;

typedef struct {
    link_watch_t watch;
    uint8_t frame[LINK_LARGEST_FRAME_BYTES];
} link_receiver_t;

typedef enum {
    LINK_NOTHING_YET,
    LINK_FRAME,   /* link_kind(), link_sequence() and link_body() hold until the next byte */
    LINK_DAMAGED, /* what came between two delimiters is no frame */
} link_event_t;

link_event_t link_receive(link_receiver_t *receiver, uint8_t byte);

/* The same of a frame that is not kept. */
link_event_t link_overhear(link_watch_t *watch, uint8_t byte);

static inline uint8_t link_kind(const link_receiver_t *receiver) {
    return receiver->frame[0];
}

static inline uint8_t link_sequence(const link_receiver_t *receiver) {
    return receiver->frame[1];
}

static inline const uint8_t *link_body(const link_receiver_t *receiver) {
    return receiver->frame + LINK_HEADER_BYTES;
}

static inline uint32_t link_body_bytes(const link_receiver_t *receiver) {
    return receiver->watch.count - LINK_HEADER_BYTES - LINK_CRC_BYTES;
}

/* Sends a frame, delimiters at both ends, by way of port_send(). */
void link_send(const link_report_t *report);

#endif
