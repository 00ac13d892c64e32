#include "pointwise.h"

#include "dsp.h"
#include "widen.h"

void pointwise_rows(const pointwise_t *layer, const int8_t *x, const int8_t *residual,
                    int32_t first, int32_t count, int8_t *y) {
    const int32_t *weights = layer->weights;
    const int32_t outputs = layer->product.channels;
    if (layer->copy != NULL) {
        if (first == 0) {
            matmul_unpack(&layer->product, weights, layer->copy);
        }
        weights = layer->copy;
    }
    const int32_t all = count * layer->columns;
    x += first * layer->columns * layer->channels;
    residual = residual == NULL ? NULL : residual + first * layer->columns * outputs;
    for (int32_t pixel = 0; pixel < all; pixel += MATMUL_MOST_PIXELS) {
        int32_t left = all - pixel;
        int32_t pixels = left < MATMUL_MOST_PIXELS ? left : MATMUL_MOST_PIXELS;
        widen(x + pixel * layer->channels, pixels * layer->channels, layer->window);
        matmul(&layer->product, pixels, layer->window, weights, y + pixel * outputs,
               residual == NULL ? NULL : residual + pixel * outputs);
    }
}
