#include "heads.h"

#include "dsp.h"
#include "widen.h"

enum { SLOTS = 3, TRAILER_WORDS = 3 };

/* A copy of the weights for a ring whose slot s holds the row under kernel row (s + turn) modulo 3.
 */
static void turn_weights(const heads_t *layer, int32_t turn, const int32_t *from, int32_t *to) {
    const size_t row_bytes = (size_t)layer->product.depth * sizeof(int32_t);
    for (int32_t c = 0; c < layer->product.channels; c += 2) {
        *to++ = *from++;
        *to++ = *from++;
        for (int32_t s = 0; s < SLOTS; s++, to += layer->product.depth) {
            memcpy(to, from + (s + turn) % SLOTS * layer->product.depth, row_bytes);
        }
        from += SLOTS * layer->product.depth;
        for (int32_t i = 0; i < TRAILER_WORDS; i++) {
            *to++ = *from++;
        }
    }
}

static int16_t *slot_of(const heads_t *layer, int32_t row) {
    return layer->ring + row % SLOTS * (layer->columns + 2) * layer->channels;
}

static void fill(int16_t *y, int32_t value, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        y[i] = (int16_t)value;
    }
}

/* Row `row` of the map, normalised and widened, into its slot; rows outside the map are zeros. */
static void enter(const heads_t *layer, const int8_t *x, int32_t row) {
    const int32_t count = layer->columns * layer->channels;
    int16_t *y = slot_of(layer, row) + layer->channels;
    if (row >= layer->rows) {
        fill(y, layer->x_zero, count);
        return;
    }
    x += row * count;
    if (layer->norm != NULL) {
        l2norm(layer->norm, layer->columns, x, layer->line);
        x = layer->line;
    }
    widen(x, count, y);
}

/* From the product's line, [column][channel], to one convolution's output row. */
static int8_t *leave(const heads_t *layer, const heads_part_t *part, int8_t *y) {
    const int8_t *from = layer->line + part->first;
    for (int32_t column = 0; column < layer->columns; column++, from += layer->product.channels) {
        int8_t most = from[0];
        for (int32_t c = 1; c < part->groups; c++) {
            most = from[c] > most ? from[c] : most;
        }
        *y++ = most;
        for (int32_t c = part->groups; c < part->channels; c++) {
            *y++ = from[c];
        }
    }
    return y;
}

void heads(const heads_t *layer, const int8_t *x, int8_t *const *y) {
    const int32_t most = layer->product.most_pixels;
    const int32_t words = matmul_stream_words(&layer->product);
    const int32_t slot_count = (layer->columns + 2) * layer->channels;
    int8_t *out[HEADS_MOST_PARTS];
    matmul_unpack(&layer->product, layer->weights, layer->turned);
    for (int32_t turn = 1; turn < SLOTS; turn++) {
        turn_weights(layer, turn, layer->turned, layer->turned + turn * words);
    }
    for (int32_t i = 0; i < layer->parts; i++) {
        out[i] = y[i];
    }
    fill(layer->ring, layer->x_zero, SLOTS * slot_count);
    enter(layer, x, 0);
    for (int32_t row = 0; row < layer->rows; row++) {
        enter(layer, x, row + 1);
        /* Row n stands in slot n modulo 3, so slot 0 meets kernel row (1 - row) modulo 3. */
        const int32_t *weights = layer->turned + (3 * layer->rows + 1 - row) % SLOTS * words;
        for (int32_t column = 0; column < layer->columns; column += most) {
            int32_t left = layer->columns - column;
            matmul(&layer->product, left < most ? left : most,
                   layer->ring + column * layer->channels, weights,
                   layer->line + column * layer->product.channels, NULL);
        }
        for (int32_t i = 0; i < layer->parts; i++) {
            out[i] = leave(layer, &layer->part[i], out[i]);
        }
    }
}
