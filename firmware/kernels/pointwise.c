#include "pointwise.h"

#include "dsp.h"
#include "widen.h"

void pointwise(const pointwise_t *layer, const int8_t *x, const int8_t *residual, int8_t *y) {
    const int32_t *weights = layer->weights;
    const int32_t outputs = layer->product.channels;
    if (layer->copy != NULL) {
        matmul_unpack(&layer->product, weights, layer->copy);
        weights = layer->copy;
    }
    const int32_t *factors = layer->scale == NULL ? NULL : scale_weights(layer->scale);
    const int32_t most = layer->product.most_pixels;
    for (int32_t pixel = 0; pixel < layer->pixels; pixel += most) {
        int32_t left = layer->pixels - pixel;
        int32_t pixels = left < most ? left : most;
        const int8_t *from = x + pixel * layer->channels;
        if (layer->scale != NULL) {
            scale(layer->scale, pixels, from, factors, layer->window);
        } else {
            widen(from, pixels * layer->channels, layer->window);
        }
        matmul(&layer->product, pixels, layer->window, weights, y + pixel * outputs,
               residual == NULL ? NULL : residual + pixel * outputs);
    }
}
