/* What the device does when it is asked. */
#include "serve.h"

#include <stddef.h>

#include "board.h"
#include "cycles.h"
#include "faults.h"
#include "link.h"
#include "memory_map.h"
#include "model.h"
#include "port.h"
#include "stack.h"

void *memcpy(void *restrict to, const void *restrict from, size_t count);

enum { MOST_LAYERS = 128, BUILD_ID_AT = 16 };

static struct {
    link_receiver_t receiver;
    link_report_t report; /* the last answer */
    bool greeted;
    uint32_t loaded_bytes; /* of the input, from its start */
    uint32_t layer_cycles[MOST_LAYERS];
    bool layers_counted;
    uint8_t sequence; /* of the last request, 0 before any */
    bool cycles_count;
    uint32_t damaged_frames, repeated_requests;
} self;

static void answer(void) {
    self.report.sequence = self.sequence;
    link_send(&self.report);
}

static void refuse(uint8_t reason) {
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
    fault_forget();
    const link_hello_t message = {
        .protocol = LINK_PROTOCOL_VERSION,
        .build_id = (const uint8_t *)build_id_note + BUILD_ID_AT,
        .clock_hz = BOARD_CLOCK_HZ,
        .input_bytes = model_input_bytes,
        .output_bytes = model_output_bytes,
        .input_survives = model_input_survives,
        .layer_count = model_layer_count,
        .board = BOARD_NAME,
        .model = model_name,
    };
    link_hello_pack(&self.report, &message);
}

static void load(const link_load_t *request) {
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

/* One inference; the layers' counts share their reads, so that they sum to the whole. */
static uint64_t run_once(bool per_layer) {
    uint64_t total = 0;
    uint32_t before = cycles_now();
    for (uint32_t i = 0; i < model_layer_count; i++) {
        model_layers[i].run();
        const uint32_t now = cycles_now();
        if (per_layer) {
            self.layer_cycles[i] = now - before;
        }
        total += now - before;
        before = now;
    }
    return total;
}

static void run(const link_ask_run_t *request) {
    const bool again = request->iterations > 1 && !model_input_survives;
    if (self.loaded_bytes != model_input_bytes || request->iterations == 0 || again) {
        refuse(LINK_REFUSED_NO_INPUT);
        return;
    }
    if (request->per_layer && model_layer_count > MOST_LAYERS) {
        refuse(LINK_REFUSED_TOO_MANY_LAYERS);
        return;
    }
    link_started_pack(&self.report);
    answer();
    if (!self.cycles_count) {
        say("the cycle counter does not count");
    }

    link_done_t done = {.least_cycles = UINT64_MAX};
    for (uint32_t i = 0; i < request->iterations; i++) {
        done.cycles = run_once(request->per_layer);
        done.least_cycles = done.cycles < done.least_cycles ? done.cycles : done.least_cycles;
        done.most_cycles = done.cycles > done.most_cycles ? done.cycles : done.most_cycles;
    }
    self.layers_counted = request->per_layer;
    if (!model_input_survives) {
        self.loaded_bytes = 0;
    }
    link_done_pack(&self.report, &done);
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

/* Prepares the answer to a request whose frame is whole. */
static void dispatch(uint8_t kind, const uint8_t *body, uint32_t bytes) {
    union {
        link_load_t load;
        link_ask_run_t run;
        link_ask_layer_t layer;
        link_ask_outputs_t outputs;
    } request;

    if (kind == LINK_LOAD && link_load_unpack(body, bytes, &request.load)) {
        load(&request.load);
    } else if (kind == LINK_ASK_RUN && link_ask_run_unpack(body, bytes, &request.run)) {
        run(&request.run);
    } else if (kind == LINK_ASK_LAYER && link_ask_layer_unpack(body, bytes, &request.layer)) {
        layer(&request.layer);
    } else if (kind == LINK_ASK_OUTPUTS && link_ask_outputs_unpack(body, bytes, &request.outputs)) {
        outputs(&request.outputs);
    } else if (kind == LINK_ASK_MEMORY && bytes == 0) {
        memory();
    } else if (kind == LINK_ASK_STATISTICS && bytes == 0) {
        statistics();
    } else {
        refuse(LINK_REFUSED_UNKNOWN_REQUEST);
    }
}

/* Before a greeting nothing is known about who asks: they may not know that the chip has reset. */
static void turn_away(uint8_t sequence) {
    link_report_t report;
    if (fault_recorded() != NULL) {
        link_fault_pack(&report, fault_recorded());
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
        link_send(&self.report);
    } else {
        self.sequence = sequence;
        dispatch(kind, body, bytes);
        answer();
    }
}

void serve_start(bool cycles_count) {
    self.cycles_count = cycles_count;
    link_report_t report;
    link_booted_pack(&report);
    link_send(&report);
}

void serve_byte(uint8_t byte) {
    link_receiver_t *receiver = &self.receiver;
    switch (link_receive(receiver, byte)) {
    case LINK_NOTHING_YET:
        break;
    case LINK_FRAME:
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
