#include "pointwise_panels.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

static void multiply(const pointwise_panels_t *layer, const matmul_t *product, const int8_t *x,
                     const int8_t *residual, int8_t *y) {
    if (layer->held) {
        matmul_run(product, layer->pixels, layer->window, layer->copy, y, residual);
        return;
    }
    for (int32_t pixel = 0, pixels = 0; pixel < layer->pixels; pixel += pixels) {
        pixels = matmul_take(product, layer->pixels - pixel);
        widen(x + pixel * layer->channels, pixels * layer->channels, layer->window);
        matmul(product, pixels, layer->window, layer->copy, y + pixel * layer->outputs,
               residual == NULL ? NULL : residual + pixel * layer->outputs);
    }
}

void pointwise_panels(const pointwise_panels_t *layer, const int8_t *x, const int8_t *residual,
                      int8_t *y) {
    REQUIRES(layer->panels.product.depth == layer->channels && layer->channels % 4 == 0);
    REQUIRES(ARE_SIZES(layer->pixels, layer->channels, 1) && IS_ALIGNED(x, 4));
    REQUIRES(ARE_SIZES(layer->pixels, layer->outputs, 1));
    REQUIRES(layer->panels.product.segments == 1 && layer->panels.product.y_bytes == 1);
    REQUIRES(layer->panels.product.y_channel_bytes == 1 && layer->panels.product.most_pixels > 0);
    REQUIRES(layer->panels.product.y_pixel_bytes == layer->outputs);
    REQUIRES(layer->panels.product.pixel_bytes == INT64_C(2) * layer->channels);
    REQUIRES((int64_t)layer->panels.whole * layer->panels.product.channels +
                 layer->panels.rest.channels ==
             layer->outputs);
    REQUIRES(layer->held || y + layer->pixels * layer->outputs <= x ||
             x + layer->pixels * layer->channels <= y);
    const int32_t *weights = layer->weights;
    const matmul_t *product = NULL;
    if (layer->held) {
        widen(x, layer->pixels * layer->channels, layer->window);
    }
    for (int32_t i = 0; (product = panels_product(&layer->panels, i)) != NULL; i++) {
        weights = panels_unpack(product, weights, layer->copy);
        multiply(layer, product, x, residual, y);
        y += product->channels;
        residual = residual == NULL ? NULL : residual + product->channels;
    }
}
