#include "pointwise.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

void pointwise_rows(const pointwise_t *layer, const int8_t *x, const int8_t *residual,
                    int32_t first, int32_t count, int8_t *y) {
    REQUIRES(layer->product.depth == layer->channels && layer->product.segments == 1);
    REQUIRES(layer->channels % 4 == 0 && layer->product.most_pixels > 0);
    REQUIRES(first >= 0 && count >= 0 && ARE_SIZES(layer->columns, layer->channels, 1));
    REQUIRES(layer->scale == NULL || layer->scale->channels == layer->channels);
    REQUIRES(layer->scale == NULL || layer->scale->y_bytes == 2);
    REQUIRES(MATMUL_IS_PLAIN(&layer->product) && IS_ALIGNED(x, 4));
    REQUIRES(layer->copy != NULL || !layer->product.narrow);
    const int32_t *weights = layer->weights;
    const int32_t outputs = layer->product.channels;
    if (layer->copy != NULL) {
        if (first == 0) {
            matmul_unpack(&layer->product, weights, layer->copy);
        }
        weights = layer->copy;
    }
    const int32_t *factors = NULL;
    if (layer->scale != NULL) {
        factors = scale_weights(layer->scale, first == 0);
    }
    const int32_t all = count * layer->columns;
    x += first * layer->columns * layer->channels;
    residual = residual == NULL ? NULL : residual + first * layer->columns * outputs;
    for (int32_t pixel = 0, pixels = 0; pixel < all; pixel += pixels) {
        pixels = matmul_take(&layer->product, all - pixel);
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
