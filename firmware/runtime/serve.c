/* What the device does when it is asked. */
#include "serve.h"

#include <stddef.h>

#include "board.h"
#include "contract.h"
#include "cycles.h"
#include "faults.h"
#include "link.h"
#include "memory_map.h"
#include "model.h"
#include "port.h"
#include "runtime_limits.h"
#include "stack.h"

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

enum {
    BUILD_ID_AT = 16,
    MOST_BYTES_OF_TRIAL = 24, /* two of the shortest frames and some: bytes of another speed may
                               * have no zero among them that ends a frame */
};

/* What a run is about. */
typedef enum { IDLE, WORKING, WAITS_FOR_INPUT, WAITS_TO_GO_ON } run_state_t;

static struct {
    link_receiver_t receiver;
    link_report_t report; /* the last answer */
    bool greeted;
    uint32_t loaded_bytes; /* of the input, from its start */
    run_state_t run;
    link_wants_t wanted; /* of the input, where a run waits for it */
    int8_t *wanted_at;
    uint32_t lap_began;
    uint64_t cycles, waiting_cycles; /* of this iteration */
    uint32_t layer_cycles[MODEL_MOST_LAYERS];
    bool layers_counted;
    uint8_t sequence; /* of the last request, 0 before any */
    bool cycles_count;
    uint32_t damaged_frames, repeated_requests;
    uint32_t baud;       /* in force, 0 for the board's */
    uint32_t baud_asked; /* for; in force behind the answer */
    uint32_t trial;      /* bytes that may still come at a new speed before a whole frame does */
} self;

__attribute__((noinline)) static void use_baud(uint32_t baud, uint32_t trial) {
    port_drain();
    port_use_baud(baud);
    self.trial = trial;
}

/* The host has not followed to a new speed: go back to the one before. */
static void end_trial(void) {
    use_baud(self.baud != 0 ? self.baud : BOARD_BAUD, 0);
}

/* Send the last answer; a new speed is in force behind it. */
__attribute__((noinline)) static void send_answer(void) {
    link_send(&self.report);
    if (self.report.kind == LINK_BAUD_SET) {
        use_baud(self.baud_asked, MOST_BYTES_OF_TRIAL);
    }
}

static void answer(void) {
    self.report.sequence = self.sequence;
    send_answer();
}

__attribute__((noinline)) static void refuse(uint8_t reason) {
    link_refused_pack(&self.report, &(link_refused_t){.reason = reason});
}

static void say(const char *text) {
    link_report_t report;
    link_log_pack(&report, &(link_log_t){.text = text});
    link_send(&report);
}

static void hello(void) {
    self.greeted = true;
    self.loaded_bytes = 0;
    self.layers_counted = false;
    self.run = IDLE; /* a run that waits is abandoned */
    fault_forget();
    const link_hello_t message = {
        .protocol = LINK_PROTOCOL_VERSION,
        .build_id = (const uint8_t *)build_id_note + BUILD_ID_AT,
        .clock_hz = BOARD_CLOCK_HZ,
        .input_bytes = model_input_bytes,
        .output_bytes = model_output_bytes,
        .input_survives = model_input_survives,
        .streams = model_streams,
        .layer_count = model_layer_count,
        .board = BOARD_NAME,
        .model = model_name,
    };
    link_hello_pack(&self.report, &message);
}

static void load(const link_load_t *request) {
    if (model_streams) {
        refuse(LINK_REFUSED_STREAMS);
        return;
    }
    const bool first = request->offset == 0;
    if ((!first && request->offset != self.loaded_bytes) ||
        request->data_bytes > model_input_bytes - request->offset) {
        refuse(LINK_REFUSED_OUT_OF_RANGE);
        return;
    }
    memcpy(model_arena + model_input_offset + request->offset, request->data, request->data_bytes);
    self.loaded_bytes = request->offset + request->data_bytes;
    link_loaded_pack(&self.report, &(link_loaded_t){.count = self.loaded_bytes});
}

void model_lap(uint32_t layer) {
    const uint32_t now = cycles_now();
    self.layer_cycles[layer < MODEL_MOST_LAYERS ? layer : 0] += now - self.lap_began;
    self.cycles += now - self.lap_began;
    self.lap_began = now;
}

/* Say what the run waits for, and serve until it has come; false: a greeting ended the run. A run
 * that has ended waits for nothing more, whatever its layers go on to ask for. */
static bool wait_for(run_state_t what) {
    if (self.run != WORKING) {
        return false;
    }
    const uint32_t before = cycles_now();
    self.run = what;
    answer();
    while (self.run == what) {
        serve_byte(port_receive());
    }
    port_empty_caches();
    const uint32_t waited = cycles_now() - before;
    self.waiting_cycles += waited;
    self.lap_began += waited;
    return self.run == WORKING;
}

static uint32_t piece_of(uint32_t bytes) {
    return bytes < LINK_DATA_BYTES ? bytes : LINK_DATA_BYTES;
}

bool model_take(uint32_t offset, int8_t *to, uint32_t bytes) {
    for (uint32_t done = 0; done < bytes; done += self.wanted.count) {
        self.wanted = (link_wants_t){.offset = offset + done, .count = piece_of(bytes - done)};
        self.wanted_at = to + done;
        link_wants_pack(&self.report, &self.wanted);
        if (!wait_for(WAITS_FOR_INPUT)) {
            return false;
        }
    }
    return true;
}

bool model_give(uint32_t offset, const int8_t *from, uint32_t bytes) {
    for (uint32_t done = 0; done < bytes;) {
        const link_outputs_t piece = {
            .offset = offset + done,
            .data = (const uint8_t *)from + done,
            .data_bytes = piece_of(bytes - done),
        };
        link_outputs_pack(&self.report, &piece);
        if (!wait_for(WAITS_TO_GO_ON)) {
            return false;
        }
        done += piece.data_bytes;
    }
    return true;
}

static void feed(const link_feed_t *request) {
    if (self.run != WAITS_FOR_INPUT) {
        refuse(LINK_REFUSED_NOT_WAITING);
    } else if (request->offset != self.wanted.offset || request->data_bytes != self.wanted.count) {
        refuse(LINK_REFUSED_OUT_OF_RANGE);
    } else {
        REQUIRES(request->data_bytes <= LINK_DATA_BYTES);
        memcpy(self.wanted_at, request->data, request->data_bytes);
        self.run = WORKING;
        link_started_pack(&self.report);
    }
}

static void proceed(void) {
    if (self.run != WAITS_TO_GO_ON) {
        refuse(LINK_REFUSED_NOT_WAITING);
        return;
    }
    self.run = WORKING;
    link_started_pack(&self.report);
}

/* One inference; the layers' counts share their reads, so that they sum to the whole. */
static void run_once(void) {
    memset(self.layer_cycles, 0, sizeof self.layer_cycles);
    self.cycles = self.waiting_cycles = 0;
    port_empty_caches(); /* of what was polled until the request had come */
    self.lap_began = cycles_now();
    for (uint32_t i = 0; i < model_layer_count && self.run == WORKING; i++) {
        if (model_layers[i].run != NULL) {
            model_layers[i].run();
            model_lap(i);
        }
    }
}

/* Returns whether there is anything to say: not when a greeting, answered already, ended it. */
static bool run(const link_ask_run_t *request) {
    const bool again = request->iterations > 1 && !model_input_survives && !model_streams;
    const bool loaded = model_streams || self.loaded_bytes == model_input_bytes;
    if (self.run != IDLE) {
        refuse(LINK_REFUSED_BUSY);
        return true;
    }
    if (!loaded || request->iterations == 0 || again) {
        refuse(LINK_REFUSED_NO_INPUT);
        return true;
    }
    if (model_layer_count > MODEL_MOST_LAYERS) {
        refuse(LINK_REFUSED_TOO_MANY_LAYERS);
        return true;
    }
    link_started_pack(&self.report);
    answer();
    if (!self.cycles_count) {
        say("the cycle counter does not count");
    }

    self.run = WORKING;
    link_done_t done = {.least_cycles = UINT64_MAX};
    for (uint32_t i = 0; i < request->iterations; i++) {
        run_once();
        if (self.run != WORKING) {
            return false;
        }
        done.cycles = self.cycles;
        done.waiting_cycles = self.waiting_cycles;
        done.least_cycles = done.cycles < done.least_cycles ? done.cycles : done.least_cycles;
        done.most_cycles = done.cycles > done.most_cycles ? done.cycles : done.most_cycles;
    }
    self.run = IDLE;
    self.layers_counted = request->per_layer;
    if (!model_input_survives) {
        self.loaded_bytes = 0;
    }
    link_done_pack(&self.report, &done);
    return true;
}

static void layer(const link_ask_layer_t *request) {
    if (!self.layers_counted) {
        refuse(LINK_REFUSED_NO_RUN);
        return;
    }
    if (request->index >= model_layer_count) {
        refuse(LINK_REFUSED_OUT_OF_RANGE);
        return;
    }
    const model_layer_t *layer = &model_layers[request->index];
    const link_layer_t message = {
        .macs = layer->macs,
        .cycles = self.layer_cycles[request->index],
        .name = layer->name,
    };
    link_layer_pack(&self.report, &message);
}

static void outputs(const link_ask_outputs_t *request) {
    if (model_streams) {
        refuse(LINK_REFUSED_STREAMS);
        return;
    }
    if (request->count > LINK_DATA_BYTES || request->offset > model_output_bytes ||
        request->count > model_output_bytes - request->offset) {
        refuse(LINK_REFUSED_OUT_OF_RANGE);
        return;
    }
    const link_outputs_t message = {
        .offset = request->offset,
        .data = model_arena + model_output_offset + request->offset,
        .data_bytes = request->count,
    };
    link_outputs_pack(&self.report, &message);
}

static void memory(void) {
    const link_memory_t message = {
        .arena_bytes = model_arena_bytes,
        .static_bytes = memory_bytes(data_start, data_end) + memory_bytes(bss_start, bss_end) +
                        memory_bytes(noinit_start, noinit_end),
        .stack_bytes = stack_bytes(),
        .stack_high_water_bytes = stack_high_water(),
    };
    link_memory_pack(&self.report, &message);
}

static void statistics(void) {
    const port_errors_t errors = port_errors();
    const link_statistics_t message = {
        .damaged_frames = self.damaged_frames,
        .repeated_requests = self.repeated_requests,
        .overruns = errors.overruns,
        .framing_errors = errors.framing,
    };
    link_statistics_pack(&self.report, &message);
}

/* The bytes stand in the receiver, where a repeated request puts the same. */
static void echo(const link_ask_echo_t *request) {
    const link_echo_t message = {.data = request->data, .data_bytes = request->data_bytes};
    link_echo_pack(&self.report, &message);
}

static void set_baud(const link_set_baud_t *request) {
    if (!port_reaches(request->baud)) {
        refuse(LINK_REFUSED_OUT_OF_RANGE);
        return;
    }
    self.baud_asked = request->baud;
    link_baud_set_pack(&self.report, &(link_baud_set_t){.baud = request->baud});
}

/* Prepares the answer to a request whose frame is whole; false: there is none to send. */
static bool dispatch(uint8_t kind, const uint8_t *body, uint32_t bytes) {
    union {
        link_load_t load;
        link_ask_run_t run;
        link_ask_layer_t layer;
        link_ask_outputs_t outputs;
        link_feed_t feed;
        link_ask_echo_t echo;
        link_set_baud_t baud;
    } request;

    if (kind == LINK_LOAD && link_load_unpack(body, bytes, &request.load)) {
        load(&request.load);
    } else if (kind == LINK_ASK_RUN && link_ask_run_unpack(body, bytes, &request.run)) {
        return run(&request.run);
    } else if (kind == LINK_ASK_LAYER && link_ask_layer_unpack(body, bytes, &request.layer)) {
        layer(&request.layer);
    } else if (kind == LINK_ASK_OUTPUTS && link_ask_outputs_unpack(body, bytes, &request.outputs)) {
        outputs(&request.outputs);
    } else if (kind == LINK_FEED && link_feed_unpack(body, bytes, &request.feed)) {
        feed(&request.feed);
    } else if (kind == LINK_ASK_ECHO && link_ask_echo_unpack(body, bytes, &request.echo)) {
        echo(&request.echo);
    } else if (kind == LINK_SET_BAUD && link_set_baud_unpack(body, bytes, &request.baud)) {
        set_baud(&request.baud);
    } else if (kind == LINK_PROCEED && bytes == 0) {
        proceed();
    } else if (kind == LINK_ASK_MEMORY && bytes == 0) {
        memory();
    } else if (kind == LINK_ASK_STATISTICS && bytes == 0) {
        statistics();
    } else {
        refuse(LINK_REFUSED_UNKNOWN_REQUEST);
    }
    return true;
}

/* Before a greeting nothing is known about who asks: they may not know that the chip has reset. */
static void turn_away(uint8_t sequence) {
    link_report_t report;
    if (fault_recorded() != NULL) {
        fault_pack(&report, fault_recorded());
    } else {
        link_refused_pack(&report, &(link_refused_t){.reason = LINK_REFUSED_NOT_GREETED});
    }
    report.sequence = sequence;
    link_send(&report);
}

static void serve_frame(uint8_t kind, uint8_t sequence, const uint8_t *body, uint32_t bytes) {
    if (kind == LINK_ASK_HELLO && bytes == 0) {
        self.sequence = sequence;
        hello();
        answer();
    } else if (!self.greeted) {
        turn_away(sequence);
    } else if (sequence == self.sequence) {
        self.repeated_requests++;
        send_answer();
    } else {
        self.sequence = sequence;
        if (dispatch(kind, body, bytes)) {
            answer();
        }
    }
}

void serve_start(bool cycles_count) {
    REQUIRES(model_input_offset + model_input_bytes <= model_arena_bytes || model_streams);
    REQUIRES(model_output_offset + model_output_bytes <= model_arena_bytes || model_streams);
    self.cycles_count = cycles_count;
    serve_booted();
}

void serve_booted(void) {
    link_report_t report;
    link_booted_pack(&report);
    link_send(&report);
}

bool serve_is_greeted(void) {
    return self.greeted;
}

void serve_byte(uint8_t byte) {
    link_receiver_t *receiver = &self.receiver;
    const link_event_t event = link_receive(receiver, byte);
    if (event != LINK_FRAME && self.trial > 0 && --self.trial == 0) {
        end_trial();
    }
    switch (event) {
    case LINK_NOTHING_YET:
        break;
    case LINK_FRAME:
        self.baud = self.trial > 0 ? self.baud_asked : self.baud;
        self.trial = 0;
        serve_frame(link_kind(receiver), link_sequence(receiver), link_body(receiver),
                    link_body_bytes(receiver));
        break;
    case LINK_DAMAGED: {
        self.damaged_frames++;
        link_report_t report;
        link_misheard_pack(&report);
        link_send(&report);
        break;
    }
    }
}
