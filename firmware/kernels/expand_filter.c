#include "expand_filter.h"

#include "contract.h"
#include "depthwise.h"
#include "dsp.h"
#include "widen.h"

enum { ROWS = 3, NARROW_WORDS = ROWS + 2 };

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* A panel's filters in the form that depthwise_t tells of; returns what stands behind them in
 * flash. */
static const int32_t *unpack_filters(const expand_filter_t *layer, int32_t channels,
                                     const int32_t *from) {
    int32_t *to = layer->filters;
    int32_t *bias = to + DEPTHWISE_WEIGHT_WORDS * channels;
    for (int32_t c = 0; c < channels; c++, from += NARROW_WORDS, to += DEPTHWISE_WEIGHT_WORDS) {
        for (int32_t i = 0; i < ROWS; i++) {
            matmul_widen(from[i], layer->filter_shift, to + 2 * i);
        }
        memcpy(to + 2 * ROWS, to, 4 * sizeof *to);
        *bias++ = from[ROWS];
        *bias++ = from[ROWS + 1];
    }
    return from;
}

static void filter_row(const expand_filter_row_t *row, const int16_t *ring, const int32_t *weights,
                       const int32_t *bias_multiplier, int8_t *y) {
    REQUIRES(IS_BYTE(row->y_zero) && 0 <= row->high && row->high <= 127 - row->y_zero);
    REQUIRES(row->slot_bytes % 4 == 0 && row->columns > 0 && row->channels > 0);
    REQUIRES(row->slot_bytes / 2 >= (row->columns - INT64_C(1)) * row->stride + DEPTHWISE_SLOTS);
    REQUIRES(row->y_pixel_bytes >= row->channels);
    if (row->code != NULL) {
        row->code(ring, weights, bias_multiplier, y);
        return;
    }
    const int32_t slot = row->slot_bytes / 2;
    for (int32_t c = 0; c < row->channels; c++) {
        for (int32_t s = 0; s < row->columns; s++) {
            const int32_t sum =
                depthwise_sum(ring + s * row->stride, slot, weights, bias_multiplier[0]);
            const int32_t value = dsp_clamp(dsp_smmulr(sum, bias_multiplier[1]), 0, row->high);
            y[s * row->y_pixel_bytes + c] = (int8_t)(value + row->y_zero);
        }
        ring += DEPTHWISE_SLOTS * slot;
        weights += DEPTHWISE_WEIGHT_WORDS;
        bias_multiplier += 2;
    }
}

/* A panel's channels of row `row` of x into their slots, behind the columns of zeros left of it. */
static void expand_row(const expand_filter_t *layer, const matmul_t *expand, const int8_t *x,
                       int32_t row) {
    int16_t *slot =
        layer->ring + row % DEPTHWISE_SLOTS * layer->filter.slot_bytes / 2 + layer->left;
    const int8_t *const from = x + row * layer->columns * layer->channels;
    if (layer->held) {
        const int16_t *const window = layer->pixels + row * layer->columns * layer->channels;
        matmul_run(expand, layer->columns, window, layer->copy, slot, NULL);
        return;
    }
    for (int32_t column = 0, pixels = 0; column < layer->columns; column += pixels) {
        pixels = matmul_take(expand, layer->columns - column);
        widen(from + column * layer->channels, pixels * layer->channels, layer->pixels);
        matmul(expand, pixels, layer->pixels, layer->copy, slot + column, NULL);
    }
}

/* The row below the map is of zeros. */
static void clear_slot(const expand_filter_t *layer, int32_t channels, int32_t row) {
    const int32_t slot_bytes = layer->filter.slot_bytes;
    int8_t *slot = (int8_t *)layer->ring + row % DEPTHWISE_SLOTS * slot_bytes;
    for (int32_t c = 0; c < channels; c++, slot += DEPTHWISE_SLOTS * slot_bytes) {
        memset(slot, 0, (size_t)slot_bytes);
    }
}

/* All rows of a panel's channels. */
static void filter_panel(const expand_filter_t *layer, const matmul_t *expand,
                         const expand_filter_row_t *filter, const int8_t *x, int8_t *y) {
    const int32_t channels = filter->channels;
    const int32_t *biases = layer->filters + DEPTHWISE_WEIGHT_WORDS * channels;
    memset(layer->ring, 0, (size_t)(channels * DEPTHWISE_SLOTS * filter->slot_bytes));
    int32_t expanded = 0; /* rows of x so far */
    for (int32_t row = 0; row < layer->out_rows; row++, y += layer->out_row_bytes) {
        /* Row of x under the kernel's first row. */
        const int32_t top = row * filter->stride - layer->top;
        for (; expanded <= least(top + 2, layer->rows - 1); expanded++) {
            expand_row(layer, expand, x, expanded);
        }
        if (top + 2 >= layer->rows) {
            clear_slot(layer, channels, top + 2);
        }
        /* Row top + i stands in slot (top + i) modulo 3, so slot 0 meets the kernel's row -top
         * modulo 3. */
        const int32_t turn = (3 * layer->rows - top) % DEPTHWISE_SLOTS;
        filter_row(filter, layer->ring, layer->filters + 2 * turn, biases, y);
    }
}

void expand_filter(const expand_filter_t *layer, const int8_t *x, int8_t *y) {
    REQUIRES(layer->rows > 0 && layer->columns > 0 && layer->channels % 4 == 0);
    REQUIRES(layer->filter.stride == 1 || layer->filter.stride == 2);
    REQUIRES(0 <= layer->top && layer->top <= 1 && 0 <= layer->left && layer->left <= 1);
    REQUIRES(layer->filter.slot_bytes >= 2 * (layer->columns + layer->left));
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, layer->channels));
    REQUIRES(layer->expand.product.depth == layer->channels);
    REQUIRES(layer->expand.product.segments == 1 && layer->expand.product.y_bytes == 2);
    REQUIRES(layer->expand.product.pixel_bytes == INT64_C(2) * layer->channels);
    REQUIRES(layer->expand.product.y_pixel_bytes == 2 && layer->expand.product.most_pixels > 0);
    REQUIRES(layer->expand.product.y_channel_bytes ==
             (int64_t)DEPTHWISE_SLOTS * layer->filter.slot_bytes);
    REQUIRES(ARE_SIZES(layer->filter.channels, layer->filter.slot_bytes, DEPTHWISE_SLOTS));
    REQUIRES(layer->filter_rest.channels == 0 ||
             (layer->filter_rest.slot_bytes == layer->filter.slot_bytes &&
              layer->filter_rest.stride == layer->filter.stride &&
              layer->filter_rest.columns == layer->filter.columns &&
              layer->filter_rest.y_pixel_bytes == layer->filter.y_pixel_bytes));
    REQUIRES(ARE_SIZES(layer->filter.columns, layer->filter.y_pixel_bytes, layer->out_rows));
    REQUIRES(layer->filter.columns * layer->filter.y_pixel_bytes <= layer->out_row_bytes);
    REQUIRES((int64_t)layer->expand.whole * layer->filter.channels + layer->filter_rest.channels <=
             layer->filter.y_pixel_bytes);
    REQUIRES(0 <= layer->filter_shift && layer->filter_shift <= 7);
    REQUIRES(0 < layer->out_rows &&
             (int64_t)layer->out_rows * layer->filter.stride <= layer->rows + 1);
    REQUIRES(layer->filter.channels == layer->expand.product.channels);
    REQUIRES(layer->filter_rest.channels == layer->expand.rest.channels);
    REQUIRES(IS_ALIGNED(x, 4) && IS_ALIGNED(layer->pixels, 4) && IS_ALIGNED(layer->ring, 4));
    const int32_t *expand_weights = layer->expand_weights;
    const int32_t *filter_weights = layer->filter_weights;
    const matmul_t *expand = NULL;
    if (layer->held) {
        widen(x, layer->rows * layer->columns * layer->channels, layer->pixels);
    }
    for (int32_t i = 0; (expand = panels_product(&layer->expand, i)) != NULL; i++) {
        const expand_filter_row_t *filter =
            i < layer->expand.whole ? &layer->filter : &layer->filter_rest;
        expand_weights = panels_unpack(expand, expand_weights, layer->copy);
        filter_weights = unpack_filters(layer, filter->channels, filter_weights);
        filter_panel(layer, expand, filter, x, y);
        y += filter->channels;
    }
}
