#include "depthwise.h"

#include "dsp.h"

static int32_t half(int32_t word, int32_t top) {
    return (int16_t)(uint16_t)((uint32_t)word >> (top ? 16U : 0U) & 0xFFFFU);
}

void depthwise(const depthwise_t *row, const int16_t *ring, int32_t turn, const int32_t *weights,
               const int32_t *bias_multiplier, int16_t *y) {
    weights += 2 * turn;
    if (row->code != NULL) {
        row->code(ring, weights, bias_multiplier, y);
        return;
    }
    const int32_t slot = row->slot_bytes / 2;
    for (int32_t c = 0; c < row->channels; c++) {
        for (int32_t s = 0; s < row->columns; s++) {
            uint32_t sum = (uint32_t)bias_multiplier[0];
            for (int32_t i = 0; i < DEPTHWISE_SLOTS; i++) {
                const int16_t *x = ring + i * slot + s * row->stride;
                const int32_t *w = weights + 2 * i;
                sum +=
                    (uint32_t)(half(w[0], 0) * x[0] + half(w[0], 1) * x[1] + half(w[1], 1) * x[2]);
            }
            int32_t value = clamp(smmulr((int32_t)sum, bias_multiplier[1]), 0, row->high);
            y[s * row->y_pixel_bytes / 2 + c] = (int16_t)value;
        }
        ring += DEPTHWISE_SLOTS * slot;
        weights += DEPTHWISE_WEIGHT_WORDS;
        bias_multiplier += 2;
    }
}
