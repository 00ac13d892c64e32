#include "windowed.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

/* The window of the output pixel (row, column), row by row: what lies left of the map, in it, and
 * right of it. */
static void gather(const windowed_t *layer, const int8_t *x, int32_t row, int32_t column,
                   int16_t *to) {
    const int32_t channels = layer->channels;
    const int32_t width = layer->kernel_columns * channels;
    const int32_t from = column * layer->stride - layer->left;
    const int32_t outside = dsp_clamp(-from, 0, layer->kernel_columns) * channels;
    const int32_t inside = dsp_clamp((layer->columns - from) * channels, outside, width) - outside;
    const int32_t first = row * layer->stride - layer->top;
    const int32_t above = dsp_clamp(-first, 0, layer->kernel_rows);
    const int32_t below = dsp_clamp(layer->rows - first, above, layer->kernel_rows);
    const int32_t pitch = layer->columns * channels;
    x += (first + above) * pitch + from * channels + outside;
    widen_fill(layer->x_zero, above * width, to);
    to += above * width;
    for (int32_t i = above; i < below; i++, x += pitch, to += width) {
        widen_fill(layer->x_zero, outside, to);
        if (channels % 4 == 0) {
            widen(x, inside, to + outside);
        } else {
            widen_in_order(x, inside, to + outside);
        }
        widen_fill(layer->x_zero, width - outside - inside, to + outside + inside);
    }
    widen_fill(layer->x_zero, (layer->kernel_rows - below) * width, to);
}

void windowed_rows(const windowed_t *layer, const int8_t *x, const int8_t *residual, int32_t first,
                   int32_t count, int8_t *y) {
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, layer->channels));
    REQUIRES(ARE_SIZES(layer->kernel_rows, layer->kernel_columns, layer->channels));
    REQUIRES(ARE_SIZES(layer->out_rows, layer->out_columns, layer->out_channels));
    REQUIRES(first >= 0 && count >= 0 && first <= layer->out_rows - count);
    REQUIRES(MATMUL_IS_PLAIN(&layer->product) && IS_BYTE(layer->x_zero));
    REQUIRES(ARE_SIZES(layer->product.most_pixels, layer->product.depth, 1));
    REQUIRES(layer->copy != NULL || !layer->product.narrow);
    REQUIRES(layer->product.depth >= layer->kernel_rows * layer->kernel_columns * layer->channels);
    REQUIRES(layer->product.channels == layer->out_channels && layer->product.segments == 1);
    REQUIRES(IS_SIZE(layer->stride) && 0 <= layer->top && layer->top <= 65536);
    REQUIRES(0 <= layer->left && layer->left <= 65536);
    REQUIRES((int64_t)layer->out_rows * layer->stride <= INT16_MAX * 256);
    REQUIRES((int64_t)layer->out_columns * layer->stride <= INT16_MAX * 256);
    REQUIRES(IS_ALIGNED(layer->window, 4));
    const int32_t *weights = layer->weights;
    if (layer->copy != NULL) {
        if (first == 0) {
            matmul_unpack(&layer->product, weights, layer->copy);
        }
        weights = layer->copy;
    }
    const int32_t most = layer->product.most_pixels;
    const int32_t row_bytes = layer->out_columns * layer->out_channels;
    widen_fill(0, most * layer->product.depth, layer->window);
    for (int32_t row = first; row < first + count; row++, y += row_bytes) {
        for (int32_t column = 0, pixels = 0; column < layer->out_columns; column += pixels) {
            pixels = matmul_take(&layer->product, layer->out_columns - column);
            for (int32_t p = 0; p < pixels; p++) {
                gather(layer, x, row, column + p, layer->window + p * layer->product.depth);
            }
            int32_t at = column * layer->out_channels;
            matmul(&layer->product, pixels, layer->window, weights, y + at,
                   residual == NULL ? NULL : residual + row * row_bytes + at);
        }
    }
}
