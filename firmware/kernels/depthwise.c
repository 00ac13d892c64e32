#include "depthwise.h"

#include "contract.h"
#include "dsp.h"

static int32_t half(int32_t word, int32_t top) {
    return (int16_t)(uint16_t)((uint32_t)word >> (top ? 16U : 0U) & 0xFFFFU);
}

int32_t depthwise_sum(const int16_t *x, int32_t slot, const int32_t *weights, int32_t bias) {
    uint32_t sum = (uint32_t)bias;
    for (int32_t i = 0; i < DEPTHWISE_SLOTS; i++, x += slot, weights += 2) {
        sum += (uint32_t)(half(weights[0], 0) * x[0] + half(weights[0], 1) * x[1] +
                          half(weights[1], 1) * x[2]);
    }
    return (int32_t)sum;
}

void depthwise(const depthwise_t *row, const int16_t *ring, int32_t turn, const int32_t *weights,
               const int32_t *bias_multiplier, int16_t *y) {
    REQUIRES(0 <= turn && turn < DEPTHWISE_SLOTS);
    REQUIRES(row->channels > 0 && row->columns > 0);
    REQUIRES(row->stride == 1 || row->stride == 2);
    REQUIRES(row->slot_bytes % 4 == 0 && row->y_pixel_bytes % 2 == 0);
    REQUIRES(row->slot_bytes / 2 >= (row->columns - INT64_C(1)) * row->stride + DEPTHWISE_SLOTS);
    REQUIRES(row->y_pixel_bytes / 2 >= row->channels);
    REQUIRES(row->high >= 0 && row->high <= 255);
    REQUIRES(IS_ALIGNED(ring, 4) && IS_ALIGNED(y, 2));
    weights += 2 * turn;
    if (row->code != NULL) {
        row->code(ring, weights, bias_multiplier, y);
        return;
    }
    const int32_t slot = row->slot_bytes / 2;
    for (int32_t c = 0; c < row->channels; c++) {
        for (int32_t s = 0; s < row->columns; s++) {
            int32_t sum = depthwise_sum(ring + s * row->stride, slot, weights, bias_multiplier[0]);
            int32_t value = dsp_clamp(dsp_smmulr(sum, bias_multiplier[1]), 0, row->high);
            y[s * row->y_pixel_bytes / 2 + c] = (int16_t)value;
        }
        ring += DEPTHWISE_SLOTS * slot;
        weights += DEPTHWISE_WEIGHT_WORDS;
        bias_multiplier += 2;
    }
}
