#include "l2norm.h"

#include "dsp.h"

/* 2**30 / sqrt(sum), rounded as IEEE single precision has it, then towards zero. */
static int32_t reciprocal_root(int32_t sum) {
    return sum == 0 ? 0 : (int32_t)(1073741824.0F / square_root((float)sum));
}

void l2norm(const l2norm_t *layer, const int8_t *x, int8_t *y) {
    for (int32_t pixel = 0; pixel < layer->pixels; pixel++) {
        int32_t sum = 0;
        for (int32_t c = 0; c < layer->channels; c++) {
            int32_t value = x[c] - layer->x_zero;
            sum += value * value;
        }
        int32_t scale = reciprocal_root(sum);
        for (int32_t c = 0; c < layer->channels; c++) {
            int32_t value = smmulr((x[c] - layer->x_zero) * scale, layer->multiplier[c]);
            y[c] = (int8_t)clamp(layer->y_zero + value, -128, 127);
        }
        x += layer->channels;
        y += layer->channels;
    }
}
