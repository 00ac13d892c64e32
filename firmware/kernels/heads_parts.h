/* What kernels do to rows before and after a product of several convolutions. */
#ifndef HIL_HEADS_PARTS_H
#define HIL_HEADS_PARTS_H

#include "contract.h"
#include "dsp.h"
#include "heads.h"
#include "widen.h"

/* Row `row` of the map, normalised and widened, into its slot; rows outside the map are zeros. */
HIL_INLINE void heads_enter(const heads_t *layer, const int8_t *x, int32_t row) {
    const int32_t slots = layer->product.segments;
    const int32_t count = layer->columns * layer->channels;
    int16_t *y = layer->ring + (row + slots) % slots * layer->product.segment_bytes / 2 +
                 layer->left * layer->channels;
    if (row < 0 || row >= layer->rows) {
        widen_fill(layer->x_zero, count, y);
        return;
    }
    x += row * count;
    if (layer->norm != NULL && layer->channels % 4 == 0) {
        l2norm_widened(layer->norm, layer->columns, x, y);
        return;
    }
    if (layer->norm != NULL) {
        l2norm(layer->norm, layer->columns, x, layer->line);
        x = layer->line;
    }
    if (layer->channels % 4 == 0) {
        widen(x, count, y);
    } else {
        widen_in_order(x, count, y);
    }
}

/* Copies `bytes` of each of `columns` pixels that are `pixel_bytes` apart; by words, all of it. */
HIL_INLINE void heads_copy(const int8_t *from, int32_t pixel_bytes, int32_t columns, int32_t bytes,
                           int8_t *y) {
    for (const int8_t *const end = y + columns * bytes; y != end; from += pixel_bytes) {
        const int8_t *x = from;
        for (const int8_t *const last = x + bytes; x != last; x += 4, y += 4) {
            dsp_store_word(y, dsp_load_word(x));
        }
    }
}

/* From a line, [column][channel], to one convolution's output row; its type is an output's. */
#define HEADS_LEAVE(name, y_t)                                                                     \
    static y_t *name(const heads_t *layer, const heads_part_t *part, const y_t *line, y_t *y) {    \
        REQUIRES(part->first >= 0 && 0 < part->channels);                                          \
        REQUIRES(part->first <= layer->product.channels - part->channels);                         \
        REQUIRES(1 <= part->groups && part->groups <= part->channels);                             \
        REQUIRES(IS_ALIGNED(y, sizeof(y_t)));                                                      \
        const y_t *from = line + part->first;                                                      \
        const int32_t bytes = part->channels * (int32_t)sizeof(y_t);                               \
        const int32_t pixel_bytes = layer->product.channels * (int32_t)sizeof(y_t);                \
        if (part->groups == 1 &&                                                                   \
            (((uintptr_t)from | (uintptr_t)y | (uintptr_t)bytes | (uintptr_t)pixel_bytes) & 3U) == \
                0) {                                                                               \
            heads_copy((const int8_t *)from, pixel_bytes, layer->out_columns, bytes, (int8_t *)y); \
            return y + layer->out_columns * part->channels;                                        \
        }                                                                                          \
        for (int32_t column = 0; column < layer->out_columns;                                      \
             column++, from += layer->product.channels) {                                          \
            y_t most = from[0];                                                                    \
            for (int32_t c = 1; c < part->groups; c++) {                                           \
                most = from[c] > most ? from[c] : most;                                            \
            }                                                                                      \
            *y++ = most;                                                                           \
            for (int32_t c = part->groups; c < part->channels; c++) {                              \
                *y++ = from[c];                                                                    \
            }                                                                                      \
        }                                                                                          \
        return y;                                                                                  \
    }

#endif
