#include "one_pixel.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

void one_pixel(const one_pixel_t *layer, const int8_t *x, int8_t *y) {
    REQUIRES(ARE_SIZES(layer->inputs, layer->channels, 1));
    REQUIRES(layer->inputs % 4 == 0 && layer->channels % 2 == 0);
    REQUIRES(0 <= layer->shift && layer->shift <= 7);
    REQUIRES(layer->low <= layer->high && IS_BYTE(layer->low) && IS_BYTE(layer->high));
    REQUIRES(IS_ALIGNED(x, 4) && IS_ALIGNED(layer->window, 4) && IS_ALIGNED(layer->weights, 4));
    widen(x, layer->inputs, layer->window);
    if (layer->code != NULL) {
        layer->code(layer->window, layer->weights, y);
        return;
    }
    const int32_t words = layer->inputs / 2;
    const int32_t *pair = layer->weights;
    for (int32_t c = 0; c < layer->channels; c += 2) {
        int32_t sums[2] = {0, 0};
        for (int32_t i = 0; i < words; i++) {
            const int32_t two = dsp_load_word(layer->window + 2 * i);
            const int32_t four = pair[BIAS_WORDS + i];
            sums[0] = dsp_smlad(two, dsp_sxtb16(four), sums[0]);
            sums[1] = dsp_smlad(two, dsp_sxtb16_odd(four), sums[1]);
        }
        const int32_t *const trailer = pair + BIAS_WORDS + words;
        for (int32_t i = 0; i < 2; i++) {
            const uint32_t shifted = (uint32_t)dsp_shift_left(sums[i], layer->shift);
            const int32_t sum = (int32_t)(shifted + (uint32_t)pair[i]);
            const int32_t value = trailer[2] + dsp_smmulr(sum, trailer[i]);
            *y++ = (int8_t)dsp_clamp(value, layer->low, layer->high);
        }
        pair = trailer + TRAILER_WORDS;
    }
}
