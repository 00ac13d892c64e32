/* The messages of the link. Generated: change hil/link/messages.py, then run
 * python -m hil.link.header. */
#ifndef HIL_LINK_MESSAGES_H
#define HIL_LINK_MESSAGES_H
/* clang-format off */

#include <stdbool.h>
#include <stdint.h>

#include "link_bytes.h"

enum {
    LINK_PROTOCOL_VERSION = 3,
    LINK_DATA_BYTES = 1024,
    LINK_LARGEST_BODY_BYTES = 1028,
};

enum {
    LINK_REFUSED_UNKNOWN_REQUEST = 1,
    LINK_REFUSED_NOT_GREETED = 2,
    LINK_REFUSED_OUT_OF_RANGE = 3,
    LINK_REFUSED_NO_INPUT = 4,
    LINK_REFUSED_NO_RUN = 5,
    LINK_REFUSED_TOO_MANY_LAYERS = 6,
    LINK_REFUSED_STREAMS = 7,
    LINK_REFUSED_NOT_WAITING = 8,
    LINK_REFUSED_BUSY = 9,
};

enum {
    LINK_START_CRYSTAL = 4097,
    LINK_START_PLL = 4098,
    LINK_START_WAIT_STATES = 4099,
    LINK_START_SWITCH = 4100,
    LINK_START_SDRAM = 4101,
};

/* Who is there? Begins a conversation: forgets what was sent before and any recorded fault. */
enum { LINK_ASK_HELLO = 0x01 };

/* Put a piece of the input into memory. Pieces come in order, the first at offset 0. */
enum { LINK_LOAD = 0x02 };
typedef struct {
    uint32_t offset;
    const uint8_t *data;
    uint32_t data_bytes;
} link_load_t;
static inline bool link_load_unpack(const uint8_t *body, uint32_t bytes, link_load_t *m) {
    if (bytes < 4u) {
        return false;
    }
    m->offset = link_read_u32(body + 0);
    m->data = body + 4;
    m->data_bytes = bytes - 4;
    return true;
}

/* Run inference. Answered twice: by Started at once, by Done when it is over. A streaming model's
 * run pauses in between: it answers Wants or Outputs instead of Done, and goes on when Feed or
 * Proceed has come, which are answered likewise. */
enum { LINK_ASK_RUN = 0x03 };
typedef struct {
    uint32_t iterations;
    bool per_layer;
} link_ask_run_t;
static inline bool link_ask_run_unpack(const uint8_t *body, uint32_t bytes, link_ask_run_t *m) {
    if (bytes != 5u) {
        return false;
    }
    m->iterations = link_read_u32(body + 0);
    m->per_layer = body[4] != 0;
    return true;
}

/* What did a layer take in the last run that counted layers? */
enum { LINK_ASK_LAYER = 0x04 };
typedef struct {
    uint32_t index;
} link_ask_layer_t;
static inline bool link_ask_layer_unpack(const uint8_t *body, uint32_t bytes, link_ask_layer_t *m) {
    if (bytes != 4u) {
        return false;
    }
    m->index = link_read_u32(body + 0);
    return true;
}

/* Send a piece of the outputs. */
enum { LINK_ASK_OUTPUTS = 0x05 };
typedef struct {
    uint32_t offset;
    uint32_t count;
} link_ask_outputs_t;
static inline bool link_ask_outputs_unpack(const uint8_t *body, uint32_t bytes, link_ask_outputs_t *m) {
    if (bytes != 8u) {
        return false;
    }
    m->offset = link_read_u32(body + 0);
    m->count = link_read_u32(body + 4);
    return true;
}

/* How much memory is set aside and used? */
enum { LINK_ASK_MEMORY = 0x06 };

/* What has gone wrong on the line? */
enum { LINK_ASK_STATISTICS = 0x07 };

/* The piece of the input that the run wants. */
enum { LINK_FEED = 0x08 };
typedef struct {
    uint32_t offset;
    const uint8_t *data;
    uint32_t data_bytes;
} link_feed_t;
static inline bool link_feed_unpack(const uint8_t *body, uint32_t bytes, link_feed_t *m) {
    if (bytes < 4u) {
        return false;
    }
    m->offset = link_read_u32(body + 0);
    m->data = body + 4;
    m->data_bytes = bytes - 4;
    return true;
}

/* The piece of the outputs has arrived; the run goes on. */
enum { LINK_PROCEED = 0x09 };

/* Send these bytes back: how the line is. */
enum { LINK_ASK_ECHO = 0x0A };
typedef struct {
    const uint8_t *data;
    uint32_t data_bytes;
} link_ask_echo_t;
static inline bool link_ask_echo_unpack(const uint8_t *body, uint32_t bytes, link_ask_echo_t *m) {
    m->data = body + 0;
    m->data_bytes = bytes - 0;
    return true;
}

/* Go on at another speed, which is none above the board's; the answer still has the old one. The
 * first whole frame at the new speed confirms it. Where none comes, the one before is in force
 * again. */
enum { LINK_SET_BAUD = 0x0B };
typedef struct {
    uint32_t baud;
} link_set_baud_t;
static inline bool link_set_baud_unpack(const uint8_t *body, uint32_t bytes, link_set_baud_t *m) {
    if (bytes != 4u) {
        return false;
    }
    m->baud = link_read_u32(body + 0);
    return true;
}

/* Which firmware this is, and what its model takes and gives. */
enum { LINK_HELLO = 0x81 };
typedef struct {
    uint16_t protocol;
    const uint8_t *build_id;
    uint32_t clock_hz;
    uint32_t input_bytes;
    uint32_t output_bytes;
    bool input_survives;
    bool streams;
    uint32_t layer_count;
    const char *board;
    const char *model;
} link_hello_t;
_Static_assert(104 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_hello_pack(link_report_t *report, const link_hello_t *m) {
    *report = (link_report_t){.kind = 0x81, .head_bytes = 104};
    link_write(report->head + 0, m->protocol, 2);
    link_write_bytes(report->head + 2, m->build_id, 20);
    link_write(report->head + 22, m->clock_hz, 4);
    link_write(report->head + 26, m->input_bytes, 4);
    link_write(report->head + 30, m->output_bytes, 4);
    link_write(report->head + 34, m->input_survives, 1);
    link_write(report->head + 35, m->streams, 1);
    link_write(report->head + 36, m->layer_count, 4);
    link_write_name(report->head + 40, m->board, 32);
    link_write_name(report->head + 72, m->model, 32);
}

/* The input's first `count` bytes are in memory. */
enum { LINK_LOADED = 0x82 };
typedef struct {
    uint32_t count;
} link_loaded_t;
_Static_assert(4 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_loaded_pack(link_report_t *report, const link_loaded_t *m) {
    *report = (link_report_t){.kind = 0x82, .head_bytes = 4};
    link_write(report->head + 0, m->count, 4);
}

/* The run begins or goes on; the device hears nothing until it pauses or is done. */
enum { LINK_STARTED = 0x83 };
static inline void link_started_pack(link_report_t *report) {
    *report = (link_report_t){.kind = 0x83, .head_bytes = 0};
}

/* The run is over. Cycles of the last, the fastest and the slowest iteration. Cycles that the last
 * iteration spent waiting for the host are counted apart. */
enum { LINK_DONE = 0x84 };
typedef struct {
    uint64_t cycles;
    uint64_t least_cycles;
    uint64_t most_cycles;
    uint64_t waiting_cycles;
} link_done_t;
_Static_assert(32 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_done_pack(link_report_t *report, const link_done_t *m) {
    *report = (link_report_t){.kind = 0x84, .head_bytes = 32};
    link_write(report->head + 0, m->cycles, 8);
    link_write(report->head + 8, m->least_cycles, 8);
    link_write(report->head + 16, m->most_cycles, 8);
    link_write(report->head + 24, m->waiting_cycles, 8);
}

/* A layer's name, the MACs that the model states for it, its cycles in the last iteration. */
enum { LINK_LAYER = 0x85 };
typedef struct {
    uint32_t macs;
    uint32_t cycles;
    const char *name;
} link_layer_t;
_Static_assert(8 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_layer_pack(link_report_t *report, const link_layer_t *m) {
    *report = (link_report_t){.kind = 0x85, .head_bytes = 8};
    link_write(report->head + 0, m->macs, 4);
    link_write(report->head + 4, m->cycles, 4);
    report->tail = (const uint8_t *)m->name;
    report->tail_bytes = link_text_bytes(m->name);
}

/* A piece of the outputs; from a streaming model's run as soon as it is computed. */
enum { LINK_OUTPUTS = 0x86 };
typedef struct {
    uint32_t offset;
    const uint8_t *data;
    uint32_t data_bytes;
} link_outputs_t;
_Static_assert(4 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_outputs_pack(link_report_t *report, const link_outputs_t *m) {
    *report = (link_report_t){.kind = 0x86, .head_bytes = 4};
    link_write(report->head + 0, m->offset, 4);
    report->tail = m->data;
    report->tail_bytes = m->data_bytes;
}

/* Memory set aside, and the most of the stack that was used since the reset. */
enum { LINK_MEMORY = 0x87 };
typedef struct {
    uint32_t arena_bytes;
    uint32_t static_bytes;
    uint32_t stack_bytes;
    uint32_t stack_high_water_bytes;
} link_memory_t;
_Static_assert(16 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_memory_pack(link_report_t *report, const link_memory_t *m) {
    *report = (link_report_t){.kind = 0x87, .head_bytes = 16};
    link_write(report->head + 0, m->arena_bytes, 4);
    link_write(report->head + 4, m->static_bytes, 4);
    link_write(report->head + 8, m->stack_bytes, 4);
    link_write(report->head + 12, m->stack_high_water_bytes, 4);
}

/* What has gone wrong on the line since the reset, as the device saw it. */
enum { LINK_STATISTICS = 0x88 };
typedef struct {
    uint32_t damaged_frames;
    uint32_t repeated_requests;
    uint32_t overruns;
    uint32_t framing_errors;
} link_statistics_t;
_Static_assert(16 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_statistics_pack(link_report_t *report, const link_statistics_t *m) {
    *report = (link_report_t){.kind = 0x88, .head_bytes = 16};
    link_write(report->head + 0, m->damaged_frames, 4);
    link_write(report->head + 4, m->repeated_requests, 4);
    link_write(report->head + 8, m->overruns, 4);
    link_write(report->head + 12, m->framing_errors, 4);
}

/* The request was understood and cannot be done; `reason` is a Refusal. */
enum { LINK_REFUSED = 0x89 };
typedef struct {
    uint8_t reason;
} link_refused_t;
_Static_assert(1 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_refused_pack(link_report_t *report, const link_refused_t *m) {
    *report = (link_report_t){.kind = 0x89, .head_bytes = 1};
    link_write(report->head + 0, m->reason, 1);
}

/* The run goes on when it gets this piece of the input. */
enum { LINK_WANTS = 0x8A };
typedef struct {
    uint32_t offset;
    uint32_t count;
} link_wants_t;
_Static_assert(8 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_wants_pack(link_report_t *report, const link_wants_t *m) {
    *report = (link_report_t){.kind = 0x8A, .head_bytes = 8};
    link_write(report->head + 0, m->offset, 4);
    link_write(report->head + 4, m->count, 4);
}

/* The bytes that were sent. */
enum { LINK_ECHO = 0x8B };
typedef struct {
    const uint8_t *data;
    uint32_t data_bytes;
} link_echo_t;
_Static_assert(0 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_echo_pack(link_report_t *report, const link_echo_t *m) {
    *report = (link_report_t){.kind = 0x8B, .head_bytes = 0};
    report->tail = m->data;
    report->tail_bytes = m->data_bytes;
}

/* The speed of everything behind this answer. */
enum { LINK_BAUD_SET = 0x8C };
typedef struct {
    uint32_t baud;
} link_baud_set_t;
_Static_assert(4 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_baud_set_pack(link_report_t *report, const link_baud_set_t *m) {
    *report = (link_report_t){.kind = 0x8C, .head_bytes = 4};
    link_write(report->head + 0, m->baud, 4);
}

/* Unasked: the device has just started, or is talked to for the first time. */
enum { LINK_BOOTED = 0xC1 };
static inline void link_booted_pack(link_report_t *report) {
    *report = (link_report_t){.kind = 0xC1, .head_bytes = 0};
}

/* Unasked: a damaged frame came in. Whoever waits for an answer asks again. */
enum { LINK_MISHEARD = 0xC2 };
static inline void link_misheard_pack(link_report_t *report) {
    *report = (link_report_t){.kind = 0xC2, .head_bytes = 0};
}

/* Unasked: a line for a person. */
enum { LINK_LOG = 0xC3 };
typedef struct {
    const char *text;
} link_log_t;
_Static_assert(0 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_log_pack(link_report_t *report, const link_log_t *m) {
    *report = (link_report_t){.kind = 0xC3, .head_bytes = 0};
    report->tail = (const uint8_t *)m->text;
    report->tail_bytes = link_text_bytes(m->text);
}

/* Unasked, and in answer to whatever is asked before the next greeting: the firmware crashed. The
 * registers at the exception, the stacked ones 0 where the stack was lost; then the fault status
 * and address registers (PM0214 section 4.4). An image that checks contracts notes which one was
 * broken. */
enum { LINK_FAULT = 0xC4 };
typedef struct {
    uint32_t exception;
    uint32_t exc_return;
    uint32_t r0;
    uint32_t r1;
    uint32_t r2;
    uint32_t r3;
    uint32_t r4;
    uint32_t r5;
    uint32_t r6;
    uint32_t r7;
    uint32_t r8;
    uint32_t r9;
    uint32_t r10;
    uint32_t r11;
    uint32_t r12;
    uint32_t sp;
    uint32_t lr;
    uint32_t pc;
    uint32_t xpsr;
    uint32_t cfsr;
    uint32_t hfsr;
    uint32_t mmfar;
    uint32_t bfar;
} link_fault_t;
_Static_assert(92 <= LINK_HEAD_BYTES, "a larger head");
static inline void link_fault_pack(link_report_t *report, const link_fault_t *m) {
    *report = (link_report_t){.kind = 0xC4, .head_bytes = 92};
    link_write(report->head + 0, m->exception, 4);
    link_write(report->head + 4, m->exc_return, 4);
    link_write(report->head + 8, m->r0, 4);
    link_write(report->head + 12, m->r1, 4);
    link_write(report->head + 16, m->r2, 4);
    link_write(report->head + 20, m->r3, 4);
    link_write(report->head + 24, m->r4, 4);
    link_write(report->head + 28, m->r5, 4);
    link_write(report->head + 32, m->r6, 4);
    link_write(report->head + 36, m->r7, 4);
    link_write(report->head + 40, m->r8, 4);
    link_write(report->head + 44, m->r9, 4);
    link_write(report->head + 48, m->r10, 4);
    link_write(report->head + 52, m->r11, 4);
    link_write(report->head + 56, m->r12, 4);
    link_write(report->head + 60, m->sp, 4);
    link_write(report->head + 64, m->lr, 4);
    link_write(report->head + 68, m->pc, 4);
    link_write(report->head + 72, m->xpsr, 4);
    link_write(report->head + 76, m->cfsr, 4);
    link_write(report->head + 80, m->hfsr, 4);
    link_write(report->head + 84, m->mmfar, 4);
    link_write(report->head + 88, m->bfar, 4);
}

#endif
