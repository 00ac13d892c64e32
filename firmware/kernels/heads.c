#include "heads.h"

#include "contract.h"
#include "dsp.h"
#include "heads_parts.h"
#include "widen.h"

enum { TRAILER_WORDS = 3 };

#ifndef HEADS_INT16
typedef int8_t heads_y_t;
#endif

/* A copy of the weights for a ring whose slot s holds the row under kernel row s + turn, modulo the
 * slots. */
static void turn_weights(const heads_t *layer, int32_t turn, const int32_t *from, int32_t *to) {
    const int32_t slots = layer->product.segments;
    const size_t row_bytes = (size_t)layer->product.depth * sizeof(int32_t);
    for (int32_t c = 0; c < layer->product.channels; c += 2) {
        *to++ = *from++;
        *to++ = *from++;
        for (int32_t s = 0; s < slots; s++, to += layer->product.depth) {
            memcpy(to, from + (s + turn) % slots * layer->product.depth, row_bytes);
        }
        from += slots * layer->product.depth;
        for (int32_t i = 0; i < TRAILER_WORDS; i++) {
            *to++ = *from++;
        }
    }
}

HEADS_LEAVE(leave, heads_y_t)

/* Before the first row: the weights in all turns, and zeros around the map. */
static void begin(const heads_t *layer) {
    const matmul_t *product = &layer->product;
    const int32_t words = matmul_stream_words(product);
    matmul_unpack(product, layer->weights, layer->turned);
    for (int32_t turn = 1; turn < product->segments; turn++) {
        turn_weights(layer, turn, layer->turned, layer->turned + turn * words);
    }
    widen_fill(layer->x_zero, product->segments * product->segment_bytes / 2, layer->ring);
}

void heads_rows(const heads_t *layer, const int8_t *x, int32_t first, int32_t count,
                heads_y_t *const *y) {
    REQUIRES(0 < layer->parts && layer->parts <= HEADS_MOST_PARTS);
    REQUIRES(0 < layer->stride && layer->stride <= layer->product.segments);
    REQUIRES(0 <= layer->top && layer->top < layer->product.segments);
    REQUIRES(0 <= first && first <= 65536 && 0 <= count && count <= 65536);
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, layer->channels));
    REQUIRES(IS_BYTE(layer->x_zero) && 0 <= layer->left && layer->left <= 65536);
    REQUIRES(ARE_SIZES(layer->out_columns, layer->product.channels, 1));
    REQUIRES(layer->product.segment_bytes / 2 >=
             (int64_t)(layer->left + layer->columns) * layer->channels);
    REQUIRES(layer->product.segment_bytes >=
             (int64_t)(layer->out_columns - 1) * layer->product.pixel_bytes +
                 INT64_C(2) * layer->product.depth);
    REQUIRES(layer->product.y_bytes == (int32_t)sizeof(heads_y_t));
    REQUIRES(layer->product.y_channel_bytes == (int32_t)sizeof(heads_y_t));
    REQUIRES(layer->product.y_pixel_bytes ==
             (int32_t)sizeof(heads_y_t) * (int64_t)layer->product.channels);
    REQUIRES(IS_ALIGNED(layer->line, sizeof(heads_y_t)));
    REQUIRES(layer->norm == NULL || layer->norm->channels == layer->channels);
    REQUIRES(ARE_SIZES(layer->product.depth, layer->product.segments, layer->product.channels));
    const int32_t slots = layer->product.segments;
    const int32_t words = matmul_stream_words(&layer->product);
    const bool is_alone = layer->parts == 1 && layer->part[0].groups == 1;
    heads_y_t *out[HEADS_MOST_PARTS];
    for (int32_t i = 0; i < layer->parts; i++) {
        out[i] = y[i];
    }
    if (first == 0) {
        begin(layer);
    }
    for (int32_t row = first; row < first + count; row++) {
        const int32_t under = row * layer->stride - layer->top; /* the kernel's first row */
        const int32_t entered = row == 0 ? -layer->top : under - layer->stride + slots;
        for (int32_t n = entered; n < under + slots; n++) {
            heads_enter(layer, x, n);
        }
        /* Row n stands in slot n modulo the slots, so slot 0 meets kernel row -under. */
        const int32_t turn = (slots - (under + slots) % slots) % slots;
        const int32_t *weights = layer->turned + turn * words;
        if (is_alone) {
            matmul_run(&layer->product, layer->out_columns, layer->ring, weights, out[0], NULL);
            out[0] += layer->out_columns * layer->product.channels;
            continue;
        }
        matmul_run(&layer->product, layer->out_columns, layer->ring, weights, layer->line, NULL);
        for (int32_t i = 0; i < layer->parts; i++) {
            out[i] =
                leave(layer, &layer->part[i], (const heads_y_t *)(const void *)layer->line, out[i]);
        }
    }
}
