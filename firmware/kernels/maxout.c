#include "maxout.h"

#include "contract.h"

void maxout(const maxout_t *layer, int32_t pixels, const int8_t *x, int8_t *y) {
    REQUIRES(1 <= layer->groups && layer->groups <= layer->channels);
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        int8_t most = x[0];
        for (int32_t c = 1; c < layer->groups; c++) {
            most = x[c] > most ? x[c] : most;
        }
        *y++ = most;
        for (int32_t c = layer->groups; c < layer->channels; c++) {
            *y++ = x[c];
        }
        x += layer->channels;
    }
}
