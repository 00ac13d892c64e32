#include "stem.h"

#include "contract.h"
#include "dsp.h"

enum { SLOTS = 3, CHANNEL_WORDS = 7 };

/* Row `row` of x as words of two pixels; outside the map all of zeros. */
static void enter(const stem_t *layer, const int8_t *x, int32_t row, int32_t *slot) {
    const int32_t zero = (int32_t)((uint32_t)layer->x_zero & 0xFFFFU);
    int32_t before = dsp_shift_left(zero, 16); /* pixel 4k - 1 on top */
    if (row < 0 || row >= layer->rows) {
        for (int32_t i = 0; i <= layer->columns / 2; i++) {
            slot[i] = zero | dsp_shift_left(zero, 16);
        }
        return;
    }
    x += row * layer->columns;
    for (const int8_t *end = x + layer->columns; x != end; x += 4) {
        int32_t word = dsp_load_word(x);
        int32_t even = dsp_sxtb16(word);
        int32_t odd = dsp_sxtb16_odd(word);
        *slot++ = dsp_pkhbt(even, before);
        *slot++ = dsp_pkhbt(odd, even);
        before = odd;
    }
    *slot = before;
}

/* Two outputs of one channel: their sums over the words a, b and next of each slot. */
static void store_pair(const stem_t *layer, const int32_t *slots, const int32_t *w, int8_t *y) {
    const int32_t slot_words = layer->columns / 2 + 1;
    int32_t left = w[5];
    int32_t right = w[5];
    for (int32_t i = 0; i < SLOTS; i++, slots += slot_words) {
        const int32_t third = i == 1 ? w[3] >> 16 : w[3 + i / 2];
        left = dsp_smlabb(slots[1], third, dsp_smlad(slots[0], w[i], left));
        right = dsp_smlatb(slots[2], third, dsp_smladx(slots[1], w[i], right));
    }
    y[0] = (int8_t)dsp_clamp(layer->y_zero + dsp_smmulr(left, w[6]), layer->low, layer->high);
    y[STEM_CHANNELS] =
        (int8_t)dsp_clamp(layer->y_zero + dsp_smmulr(right, w[6]), layer->low, layer->high);
}

static void row(const stem_t *layer, const int32_t *weights, int8_t *y) {
    if (layer->code != NULL) {
        layer->code(layer->slots, weights, y);
        return;
    }
    for (int32_t column = 0; column < layer->columns / 2; column += 2) {
        for (int32_t c = 0; c < STEM_CHANNELS; c++) {
            store_pair(layer, layer->slots + column, weights + CHANNEL_WORDS * c, y++);
        }
        y += STEM_CHANNELS;
    }
}

void stem_rows(const stem_t *layer, const int8_t *x, int32_t first, int32_t count, int8_t *y) {
    REQUIRES(layer->columns > 0 && layer->columns % 4 == 0 && layer->rows > 0);
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, 1));
    REQUIRES(first >= 0 && count >= 0 && first <= (layer->rows + 1) / 2 - count);
    REQUIRES(IS_BYTE(layer->x_zero) && IS_BYTE(layer->y_zero));
    REQUIRES(IS_BYTE(layer->low) && IS_BYTE(layer->high) && layer->low <= layer->high);
    REQUIRES(IS_ALIGNED(x, 4));
    const int32_t slot_words = layer->columns / 2 + 1;
    int32_t *const middle = layer->slots + slot_words;
    int32_t *const outer[2] = {layer->slots, middle + slot_words};
    if (first == 0) {
        enter(layer, x, -1, outer[0]);
    }
    for (int32_t n = first; n < first + count; n++) {
        enter(layer, x, 2 * n, middle);
        enter(layer, x, 2 * n + 1, outer[1 - n % 2]);
        row(layer, layer->weights + n % 2 * STEM_WEIGHT_WORDS, y);
        y += layer->columns / 2 * STEM_CHANNELS;
    }
}
