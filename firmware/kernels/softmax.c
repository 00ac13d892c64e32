#include "softmax.h"

#include "contract.h"
#include "kernel_limits.h"

void softmax(const softmax_t *layer, int32_t pixels, const int8_t *x, int8_t *y) {
    REQUIRES(1 <= layer->channels && layer->channels <= SOFTMAX_MOST_CHANNELS);
    REQUIRES(pixels >= 0 && layer->table[0] == SOFTMAX_LARGEST);
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        int32_t most = x[0];
        for (int32_t c = 1; c < layer->channels; c++) {
            most = x[c] > most ? x[c] : most;
        }
        uint32_t sum = 0;
        for (int32_t c = 0; c < layer->channels; c++) {
            sum += (uint32_t)layer->table[most - x[c]];
        }
        for (int32_t c = 0; c < layer->channels; c++) {
            const uint32_t power = (uint32_t)layer->table[most - x[c]];
            const int32_t value = (int32_t)((power * SOFTMAX_LEVELS + sum / 2U) / sum) - 128;
            y[c] = (int8_t)(value > 127 ? 127 : value);
        }
        x += layer->channels;
        y += layer->channels;
    }
}
