#include "concat.h"

#include "contract.h"
#include "dsp.h"

static void rescale(const concat_part_t *part, int32_t y_zero, const int8_t *x, int8_t *y) {
    const int32_t zero = part->zero;
    const int32_t multiplier = part->multiplier;
    const int32_t shift = part->shift;
    for (int8_t *end = y + part->channels; y != end;) {
        const int32_t centred = dsp_shift_left(*x++ - zero, shift);
        *y++ = (int8_t)dsp_saturate8(dsp_smmlar(centred, multiplier, y_zero));
    }
}

void concat(const concat_t *layer, const int8_t *const *x, int8_t *y) {
    REQUIRES(layer->parts > 0 && layer->pixels >= 0 && IS_BYTE(layer->y_zero));
    for (int32_t pixel = 0; pixel < layer->pixels; pixel++) {
        for (int32_t i = 0; i < layer->parts; i++) {
            const concat_part_t *part = &layer->part[i];
            REQUIRES(part->channels > 0 && part->shift >= 0 && part->shift < 32);
            REQUIRES(part->multiplier == 0 || IS_BYTE(part->zero));
            const int8_t *from = x[i] + pixel * part->channels;
            if (part->multiplier == 0) {
                memmove(y, from, (size_t)part->channels);
            } else {
                rescale(part, layer->y_zero, from, y);
            }
            y += part->channels;
        }
    }
}
