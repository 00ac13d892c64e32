/* Frames in and out; the receiver takes constant memory whatever comes. */
#include "link.h"

#include <stddef.h>

#include "contract.h"
#include "port.h"

enum { BLOCK_BYTES = 254 }; /* the longest run without a zero that one COBS code covers */

/* CRC-32 as zlib's, four bits at a time: 64 bytes of table for 12 cycles per byte. */
static uint32_t crc32_add(uint32_t crc, uint8_t byte) {
    static const uint32_t nibbles[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc ^= byte;
    crc = crc >> 4 ^ nibbles[crc & 15u];
    return crc >> 4 ^ nibbles[crc & 15u];
}

/* Of bytes and their CRC behind them, whatever they are: zlib's, not yet inverted. */
#define CRC_OF_WHOLE_FRAME 0xDEBB20E3u

/* `frame`: of LINK_LARGEST_FRAME_BYTES; NULL to keep nothing. */
static void keep(link_watch_t *watch, uint8_t *frame, uint8_t byte) {
    if (watch->count < LINK_LARGEST_FRAME_BYTES) {
        if (frame != NULL) {
            frame[watch->count] = byte;
        }
        watch->crc = crc32_add(watch->crc, byte);
        watch->count++;
    } else {
        watch->crc = 0; /* too long: no end of it is believed */
    }
}

static link_event_t end_of_frame(link_watch_t *watch) {
    const bool anything = watch->anything;
    const bool whole = watch->left == 0 && watch->count >= LINK_HEADER_BYTES + LINK_CRC_BYTES &&
                       watch->crc == CRC_OF_WHOLE_FRAME;
    watch->left = 0;
    watch->zero_due = watch->anything = false;
    if (!anything) {
        return LINK_NOTHING_YET; /* two delimiters in a row */
    }
    return whole ? LINK_FRAME : LINK_DAMAGED;
}

static link_event_t take(link_watch_t *watch, uint8_t *frame, uint8_t byte) {
    if (byte == 0) {
        return end_of_frame(watch);
    }
    if (!watch->anything) {
        watch->anything = true;
        watch->count = 0;
        watch->crc = ~0u;
    }
    if (watch->left > 0) {
        watch->left--;
        keep(watch, frame, byte);
        return LINK_NOTHING_YET;
    }
    if (watch->zero_due) {
        keep(watch, frame, 0);
    }
    watch->left = (uint8_t)(byte - 1);
    watch->zero_due = byte <= BLOCK_BYTES;
    return LINK_NOTHING_YET;
}

link_event_t link_receive(link_receiver_t *receiver, uint8_t byte) {
    return take(&receiver->watch, receiver->frame, byte);
}

link_event_t link_overhear(link_watch_t *watch, uint8_t byte) {
    return take(watch, NULL, byte);
}

/* A frame on its way out: a block's length goes ahead of its bytes, so they wait here for it. */
typedef struct {
    uint8_t block[BLOCK_BYTES];
    uint32_t count;
    uint32_t crc;
} sender_t;

static void send_block(sender_t *sender) {
    port_send((uint8_t)(sender->count + 1));
    for (uint32_t i = 0; i < sender->count; i++) {
        port_send(sender->block[i]);
    }
    sender->count = 0;
}

static void send_stuffed(sender_t *sender, uint8_t byte) {
    if (sender->count == BLOCK_BYTES) {
        send_block(sender);
    }
    if (byte == 0) {
        send_block(sender);
    } else {
        sender->block[sender->count++] = byte;
    }
}

static void send_covered(sender_t *sender, uint8_t byte) {
    sender->crc = crc32_add(sender->crc, byte);
    send_stuffed(sender, byte);
}

void link_send(const link_report_t *report) {
    REQUIRES(report->head_bytes <= LINK_HEAD_BYTES);
    REQUIRES(report->head_bytes + report->tail_bytes <= LINK_LARGEST_BODY_BYTES);
    REQUIRES(report->tail_bytes == 0 || report->tail != 0);
    static sender_t sender;
    sender.count = 0;
    sender.crc = ~0u;
    port_send(0);
    send_covered(&sender, report->kind);
    send_covered(&sender, report->sequence);
    for (uint32_t i = 0; i < report->head_bytes; i++) {
        send_covered(&sender, report->head[i]);
    }
    for (uint32_t i = 0; i < report->tail_bytes; i++) {
        send_covered(&sender, report->tail[i]);
    }
    const uint32_t crc = ~sender.crc;
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        send_stuffed(&sender, (uint8_t)(crc >> shift));
    }
    send_block(&sender);
    port_send(0);
}
