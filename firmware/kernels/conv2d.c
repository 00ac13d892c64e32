#include "conv2d.h"

#include <stddef.h>

#include "contract.h"
#include "dsp.h"

#ifndef CONV2D_INT16
typedef int8_t conv2d_y_t;
enum { LEAST = INT8_MIN, MOST = INT8_MAX };
#endif

/* Row `at` of the input, NULL outside the map. */
static const int8_t *row_of(const conv2d_t *layer, conv2d_map_t x, int32_t at) {
    if (at < 0 || at >= layer->rows) {
        return NULL;
    }
    const int32_t slot = at < x.slots ? at : at % x.slots;
    return x.data + slot * layer->columns * layer->channels;
}

static int32_t dense_sum(const conv2d_t *layer, conv2d_map_t x, int32_t row, int32_t column,
                         int32_t out) {
    const int8_t *weight =
        layer->weight + out * layer->kernel_rows * layer->kernel_columns * layer->channels;
    uint32_t sum = 0;
    for (int32_t i = 0; i < layer->kernel_rows; i++) {
        const int8_t *const under = row_of(layer, x, row * layer->stride + i - layer->top);
        for (int32_t j = 0; j < layer->kernel_columns; j++, weight += layer->channels) {
            int32_t at = column * layer->stride + j - layer->left;
            if (under == NULL || at < 0 || at >= layer->columns) {
                continue;
            }
            const int8_t *pixel = under + at * layer->channels;
            for (int32_t c = 0; c < layer->channels; c++) {
                sum += (uint32_t)(weight[c] * (pixel[c] - layer->x_zero));
            }
        }
    }
    return (int32_t)sum;
}

static int32_t depthwise_sum(const conv2d_t *layer, conv2d_map_t x, int32_t row, int32_t column,
                             int32_t channel) {
    const int8_t *weight = layer->weight + channel * layer->kernel_rows * layer->kernel_columns;
    uint32_t sum = 0;
    for (int32_t i = 0; i < layer->kernel_rows; i++) {
        const int8_t *const under = row_of(layer, x, row * layer->stride + i - layer->top);
        for (int32_t j = 0; j < layer->kernel_columns; j++, weight++) {
            int32_t at = column * layer->stride + j - layer->left;
            if (under == NULL || at < 0 || at >= layer->columns) {
                continue;
            }
            sum += (uint32_t)(*weight * (under[at * layer->channels + channel] - layer->x_zero));
        }
    }
    return (int32_t)sum;
}

void conv2d_row(const conv2d_t *layer, conv2d_map_t x, int32_t row, const int8_t *residual,
                conv2d_y_t *y) {
    REQUIRES(row >= 0 && row < layer->out_rows);
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, layer->channels));
    REQUIRES(ARE_SIZES(layer->kernel_rows, layer->kernel_columns, layer->stride));
    REQUIRES(ARE_SIZES(layer->out_rows, layer->out_columns, layer->out_channels));
    REQUIRES(-65536 <= layer->top && layer->top <= 65536);
    REQUIRES(-65536 <= layer->left && layer->left <= 65536);
    REQUIRES((int64_t)layer->out_rows * layer->stride <= INT16_MAX * 256);
    REQUIRES((int64_t)layer->out_columns * layer->stride <= INT16_MAX * 256);
    REQUIRES(IS_BYTE(layer->x_zero));
    REQUIRES(LEAST <= layer->y_zero && layer->y_zero <= MOST);
    REQUIRES(x.data != NULL);
    REQUIRES(x.slots == layer->rows || x.slots >= layer->kernel_rows);
    REQUIRES(!layer->depthwise || layer->channels == layer->out_channels);
    REQUIRES(layer->shift >= 0 && layer->shift < 32);
    REQUIRES(LEAST <= layer->low && layer->low <= layer->high && layer->high <= MOST);
    REQUIRES(residual == NULL || (1 <= layer->residual_shift && layer->residual_shift <= 30));
    REQUIRES(residual == NULL || IS_BYTE(layer->residual_zero));
    REQUIRES(residual == NULL || IS_RESIDUAL_FACTOR(layer->residual_multiplier));
    for (int32_t column = 0; column < layer->out_columns; column++) {
        for (int32_t out = 0; out < layer->out_channels; out++) {
            int32_t sum = layer->depthwise ? depthwise_sum(layer, x, row, column, out)
                                           : dense_sum(layer, x, row, column, out);
            sum =
                (int32_t)((uint32_t)dsp_shift_left(sum, layer->shift) + (uint32_t)layer->bias[out]);
            int32_t value = layer->y_zero + dsp_smmulr(sum, layer->multiplier[out]);
            if (residual != NULL) {
                int32_t product = (*residual++ - layer->residual_zero) * layer->residual_multiplier;
                value += (product + dsp_shift_left(1, layer->residual_shift - 1)) >>
                         layer->residual_shift;
            }
            *y++ = (conv2d_y_t)dsp_clamp(value, layer->low, layer->high);
        }
    }
}

void conv2d_rows(const conv2d_t *layer, const int8_t *x, const int8_t *residual, int32_t first,
                 int32_t count, conv2d_y_t *y) {
    REQUIRES(ARE_SIZES(layer->out_rows, layer->out_columns, layer->out_channels));
    REQUIRES(first >= 0 && count >= 0 && first <= layer->out_rows - count);
    REQUIRES(IS_ALIGNED(y, sizeof(conv2d_y_t)));
    const int32_t row_values = layer->out_columns * layer->out_channels;
    const conv2d_map_t map = {.data = x, .slots = layer->rows};
    for (int32_t row = first; row < first + count; row++, y += row_values) {
        conv2d_row(layer, map, row, residual == NULL ? NULL : residual + row * row_values, y);
    }
}
