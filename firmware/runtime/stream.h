/* Steps of a model run row by row, so that the maps between them are never whole: an image larger
 * than the memory goes in row by row, and rows of the result go out as they are complete. */
#ifndef HIL_STREAM_H
#define HIL_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime_limits.h"

enum { STREAM_NO_RESULT = -1 };

/* A map of which only some rows are in memory, one after the other. */
typedef struct {
    int8_t *data;
    int32_t rows, row_bytes; /* of the map */
    int32_t capacity;        /* rows that there is room for */
    int32_t result_offset;   /* where the map begins in the model's result, or STREAM_NO_RESULT */
    int32_t first, made;     /* the row at `data`; rows written so far */
} stream_strip_t;

/*
 * A step. Its call n needs the rows of x below n * step + reach, as far as there are any; once n
 * calls are done, those from n * step + lead on are still needed.
 */
typedef struct {
    void (*run)(int32_t call);
    int32_t (*made)(int32_t calls); /* rows of y after so many calls; NULL: one a call */
    int32_t calls;
    stream_strip_t *x;
    int32_t step, reach, lead;
    stream_strip_t *y[STREAM_MOST_OUTPUTS]; /* NULL behind the last */
    uint32_t layer;                         /* of the model's layers */
} stream_stage_t;

typedef struct {
    const stream_stage_t *stages; /* in an order in which they can be computed */
    int32_t count;
    int32_t *done;         /* [count], working memory: calls so far */
    stream_strip_t *image; /* the model's input */
} stream_t;

/* Run all calls of all stages, the latest that can run first, and take rows of the image only when
 * none can. Returns early when the run is abandoned. */
void stream_run(const stream_t *stream);

/* The address that the map's row 0 has or would have, so that row n stands n rows after it. */
static inline int8_t *stream_strip_base(const stream_strip_t *strip) {
    return (int8_t *)((uintptr_t)strip->data -
                      (uintptr_t)strip->first * (uintptr_t)strip->row_bytes);
}

/* The address of a row that is in memory, or that is about to be written. */
static inline int8_t *stream_strip_row(const stream_strip_t *strip, int32_t row) {
    return strip->data + (row - strip->first) * strip->row_bytes;
}

#endif
