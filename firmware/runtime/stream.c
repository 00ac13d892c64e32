#include "stream.h"

#include <stddef.h>

#include "contract.h"
#include "model.h"

void *memmove(void *to, const void *from, size_t count);

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static int32_t made_after(const stream_stage_t *stage, int32_t calls) {
    return stage->made != NULL ? stage->made(calls) : calls;
}

static bool is_ready(const stream_stage_t *stage, int32_t done) {
    return done < stage->calls &&
           stage->x->made >= least(stage->x->rows, done * stage->step + stage->reach);
}

/* The first row of a map that a stage has still to read. */
static int32_t first_needed(const stream_t *stream, const stream_strip_t *strip) {
    int32_t first = strip->made;
    for (int32_t i = 0; i < stream->count; i++) {
        const stream_stage_t *stage = &stream->stages[i];
        const int32_t done = stream->done[i];
        if (stage->x == strip && done < stage->calls) {
            const int32_t from = done * stage->step + stage->lead;
            first = least(first, done == 0 || from < 0 ? 0 : from);
        }
    }
    return first;
}

/* Room for `count` rows more: where there is none left, drop the rows that nobody needs. */
static void make_room(const stream_t *stream, stream_strip_t *strip, int32_t count) {
    if (strip->made + count - strip->first <= strip->capacity) {
        return;
    }
    const int32_t first = first_needed(stream, strip);
    const int32_t kept = strip->made - first;
    REQUIRES(strip->first <= first && kept + count <= strip->capacity);
    memmove(strip->data, stream_strip_row(strip, first), (size_t)(kept * strip->row_bytes));
    strip->first = first;
}

/* Rows up to `made` are written; those of the result go out. */
static bool add_rows(stream_strip_t *strip, int32_t made) {
    REQUIRES(strip->made <= made && made <= strip->rows);
    const int32_t before = strip->made;
    strip->made = made;
    if (strip->result_offset == STREAM_NO_RESULT || made == before) {
        return true;
    }
    return model_give((uint32_t)(strip->result_offset + before * strip->row_bytes),
                      stream_strip_row(strip, before),
                      (uint32_t)((made - before) * strip->row_bytes));
}

static bool call(const stream_t *stream, int32_t index) {
    const stream_stage_t *stage = &stream->stages[index];
    const int32_t made = made_after(stage, stream->done[index] + 1);
    for (int32_t i = 0; i < STREAM_MOST_OUTPUTS && stage->y[i] != NULL; i++) {
        make_room(stream, stage->y[i], made - stage->y[i]->made);
    }
    stage->run(stream->done[index]++);
    bool goes_on = true;
    for (int32_t i = 0; goes_on && i < STREAM_MOST_OUTPUTS && stage->y[i] != NULL; i++) {
        goes_on = add_rows(stage->y[i], made);
    }
    model_lap(stage->layer);
    return goes_on;
}

static bool take_row(const stream_t *stream) {
    stream_strip_t *image = stream->image;
    make_room(stream, image, 1);
    const uint32_t bytes = (uint32_t)image->row_bytes;
    return model_take((uint32_t)image->made * bytes, stream_strip_row(image, image->made), bytes) &&
           add_rows(image, image->made + 1);
}

static void begin(const stream_t *stream) {
    stream->image->first = stream->image->made = 0;
    for (int32_t i = 0; i < stream->count; i++) {
        stream->done[i] = 0;
        for (int32_t k = 0; k < STREAM_MOST_OUTPUTS && stream->stages[i].y[k] != NULL; k++) {
            stream->stages[i].y[k]->first = stream->stages[i].y[k]->made = 0;
        }
    }
}

void stream_run(const stream_t *stream) {
    REQUIRES(stream->count > 0);
    begin(stream);
    bool goes_on = true;
    while (goes_on) {
        int32_t index = stream->count - 1;
        bool unfinished = false;
        for (; index >= 0 && !is_ready(&stream->stages[index], stream->done[index]); index--) {
            unfinished |= stream->done[index] < stream->stages[index].calls;
        }
        if (index < 0 && !unfinished) {
            return;
        }
        goes_on = index >= 0 ? call(stream, index) : take_row(stream);
    }
}
