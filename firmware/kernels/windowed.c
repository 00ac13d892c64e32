#include "windowed.h"

#include "dsp.h"
#include "widen.h"

/* The window of the output pixel (row, column), row by row: what lies left of the map, in it, and
 * right of it. */
static void gather(const windowed_t *layer, const int8_t *x, int32_t row, int32_t column,
                   int16_t *to) {
    const int32_t channels = layer->channels;
    const int32_t width = layer->kernel_columns * channels;
    const int32_t from = column * layer->stride - layer->left;
    const int32_t outside = clamp(-from, 0, layer->kernel_columns) * channels;
    const int32_t inside = clamp((layer->columns - from) * channels, outside, width) - outside;
    for (int32_t i = 0; i < layer->kernel_rows; i++, to += width) {
        int32_t at = row * layer->stride + i - layer->top;
        if (at < 0 || at >= layer->rows) {
            fill_halves(layer->x_zero, width, to);
        } else {
            const int8_t *row_of_x = x + (at * layer->columns + from) * channels;
            fill_halves(layer->x_zero, outside, to);
            widen_in_order(row_of_x + outside, inside, to + outside);
            fill_halves(layer->x_zero, width - outside - inside, to + outside + inside);
        }
    }
}

void windowed_rows(const windowed_t *layer, const int8_t *x, const int8_t *residual, int32_t first,
                   int32_t count, int8_t *y) {
    const int32_t *weights = layer->weights;
    if (layer->copy != NULL) {
        if (first == 0) {
            matmul_unpack(&layer->product, weights, layer->copy);
        }
        weights = layer->copy;
    }
    const int32_t row_bytes = layer->out_columns * layer->out_channels;
    fill_halves(0, MATMUL_MOST_PIXELS * layer->product.depth, layer->window);
    for (int32_t row = first; row < first + count; row++, y += row_bytes) {
        for (int32_t column = 0; column < layer->out_columns; column += MATMUL_MOST_PIXELS) {
            int32_t left = layer->out_columns - column;
            int32_t pixels = left < MATMUL_MOST_PIXELS ? left : MATMUL_MOST_PIXELS;
            for (int32_t p = 0; p < pixels; p++) {
                gather(layer, x, row, column + p, layer->window + p * layer->product.depth);
            }
            int32_t at = column * layer->out_channels;
            matmul(&layer->product, pixels, layer->window, weights, y + at,
                   residual == NULL ? NULL : residual + row * row_bytes + at);
        }
    }
}
