#include "scale.h"

#include "contract.h"
#include "dsp.h"

enum { FOUR = 4, WORDS = 10, PAIR_WORDS = 5 };

/* One value; a pair's channels are `second` 0 and 1. */
static int32_t scaled(const scale_t *layer, const int32_t *pair, int32_t second, int32_t x) {
    const int32_t sum = second ? dsp_smlabt(x, pair[0], pair[2]) : dsp_smlabb(x, pair[0], pair[1]);
    const int32_t value = dsp_smmlar(sum, pair[3 + second], layer->y_zero);
    return dsp_clamp(value, layer->low, layer->high);
}

void scale(const scale_t *layer, int32_t pixels, const int8_t *x, const int32_t *weights, void *y) {
    REQUIRES(0 < pixels && pixels <= SCALE_MOST_PIXELS);
    REQUIRES(layer->channels > 0 && layer->channels % FOUR == 0);
    REQUIRES(layer->y_bytes == 1 || layer->y_bytes == 2);
    REQUIRES(layer->low <= layer->high && layer->low >= INT16_MIN && layer->high <= INT16_MAX);
    REQUIRES(layer->y_bytes == 2 || (IS_BYTE(layer->low) && IS_BYTE(layer->high)));
    REQUIRES(INT16_MIN <= layer->y_zero && layer->y_zero <= INT16_MAX);
    REQUIRES(IS_ALIGNED(x, 4) && IS_ALIGNED(y, 4));
    if (layer->code[pixels - 1] != NULL) {
        layer->code[pixels - 1](x, weights, y);
        return;
    }
    int16_t *wide = y;
    int8_t *narrow = y;
    for (int32_t p = 0; p < pixels; p++, x += layer->channels) {
        for (int32_t c = 0; c < layer->channels; c++) {
            const int32_t odd = c % 2;
            const int32_t second = c / 2 % 2;
            const int32_t *pair = weights + c / FOUR * WORDS + odd * PAIR_WORDS;
            const int32_t value = scaled(layer, pair, second, x[c]);
            if (layer->y_bytes == 1) {
                narrow[p * layer->channels + c] = (int8_t)value;
            } else {
                wide[p * layer->channels + c / FOUR * FOUR + 2 * odd + second] = (int16_t)value;
            }
        }
    }
}

const int32_t *scale_weights(const scale_t *layer, bool first) {
    REQUIRES(layer->channels > 0 && layer->channels % FOUR == 0);
    if (layer->copy == NULL) {
        return layer->weights;
    }
    if (first) {
        const int32_t words = layer->channels / FOUR * WORDS;
        memcpy(layer->copy, layer->weights, (size_t)words * sizeof *layer->copy);
    }
    return layer->copy;
}

void scale_map(const scale_t *layer, bool first, int32_t pixels, const int8_t *x, int8_t *y) {
    REQUIRES(layer->y_bytes == 1);
    const int32_t *weights = scale_weights(layer, first);
    for (; pixels > 0; pixels -= SCALE_MOST_PIXELS) {
        scale(layer, pixels < SCALE_MOST_PIXELS ? pixels : SCALE_MOST_PIXELS, x, weights, y);
        x += SCALE_MOST_PIXELS * layer->channels;
        y += SCALE_MOST_PIXELS * layer->channels;
    }
}
