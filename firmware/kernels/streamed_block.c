#include "streamed_block.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Where the kernels read the weights: in flash, or one after the other in memory. */
typedef struct {
    const int32_t *expand, *project, *filter, *biases;
} weights_t;

static weights_t weights_of(const streamed_block_t *block) {
    if (block->weights == NULL) {
        return (weights_t){block->expand_weights, block->project_weights, block->filter_weights,
                           block->filter_biases};
    }
    const int32_t *project =
        block->weights + (block->expand_weights == NULL ? 0 : matmul_stream_words(&block->expand));
    const int32_t *filter = project + matmul_stream_words(&block->project);
    const int32_t *biases = filter + DEPTHWISE_WEIGHT_WORDS * block->filter.channels;
    return (weights_t){block->weights, project, filter, biases};
}

/* Before the first row: weights into memory, and a ring of zeros. */
static void begin(const streamed_block_t *block) {
    const int32_t channels = block->filter.channels;
    if (block->weights != NULL) {
        int32_t *to = block->weights;
        if (block->expand_weights != NULL) {
            to = matmul_unpack(&block->expand, block->expand_weights, to);
        }
        to = matmul_unpack(&block->project, block->project_weights, to);
        const int32_t words = DEPTHWISE_WEIGHT_WORDS * channels;
        memcpy(to, block->filter_weights, (size_t)words * sizeof *to);
        memcpy(to + words, block->filter_biases, 2U * (size_t)channels * sizeof *to);
    }
    memset(block->ring, 0, (size_t)(channels * DEPTHWISE_SLOTS * block->filter.slot_bytes));
}

/* Four channels of a pixel into their planes, `plane` halfwords apart. */
static void spread_pixel(const int8_t *x, int32_t minus_zero, int32_t plane, int16_t *to) {
    const int32_t word = dsp_load_word(x);
    const int32_t even = dsp_sxtab16(minus_zero, word);
    const int32_t odd = dsp_sxtab16_odd(minus_zero, word);
    to[0] = (int16_t)even;
    to[plane] = (int16_t)odd;
    to[2 * plane] = (int16_t)(even >> 16);
    to[3 * plane] = (int16_t)(odd >> 16);
}

/* The same of so many pairs of pixels, whose places are whole words. */
static void spread_pairs(const int8_t *x, int32_t channels, int32_t pairs, int32_t minus_zero,
                         int32_t plane, int16_t *to) {
    for (; pairs > 0; pairs--, x += 2 * channels, to += 2) {
        const int32_t left = dsp_load_word(x), right = dsp_load_word(x + channels);
        const int32_t even = dsp_sxtab16(minus_zero, left);
        const int32_t odd = dsp_sxtab16_odd(minus_zero, left);
        const int32_t next_even = dsp_sxtab16(minus_zero, right);
        const int32_t next_odd = dsp_sxtab16_odd(minus_zero, right);
        dsp_store_word(to, dsp_pack_halfwords(even, next_even));
        dsp_store_word(to + plane, dsp_pack_halfwords(odd, next_odd));
        dsp_store_word(to + 2 * plane, dsp_pkhtb(next_even, even));
        dsp_store_word(to + 3 * plane, dsp_pkhtb(next_odd, odd));
    }
}

/* Without expansion: a row's channels, four at a time, into their planes. */
static void spread_row(const streamed_block_t *block, const int8_t *x, int16_t *slot) {
    const int32_t plane = DEPTHWISE_SLOTS * block->filter.slot_bytes / 2;
    const int32_t channels = block->channels;
    const int32_t minus_zero = dsp_pack_halfwords(-block->x_zero, -block->x_zero);
    const int32_t single = block->left; /* pixels in front of the first whole word */
    const int32_t pairs = (block->columns - single) / 2;
    const int32_t last = single + 2 * pairs;
    if (block->spread != NULL) {
        block->spread(x + single * channels, minus_zero, slot + single);
    }
    for (int32_t c = 0; c < channels; c += 4, slot += 4 * plane) {
        if (single != 0) {
            spread_pixel(x + c, minus_zero, plane, slot);
        }
        if (block->spread == NULL) {
            const int8_t *from = x + single * channels + c;
            spread_pairs(from, channels, pairs, minus_zero, plane, slot + single);
        }
        if (last < block->columns) {
            spread_pixel(x + last * channels + c, minus_zero, plane, slot + last);
        }
    }
}

/* Pixels to widen next where so many are left: half of them where the rest would be few. */
static int32_t widened_of(const streamed_block_t *block, int32_t left) {
    const int32_t most = block->expand.most_pixels;
    if (block->at_once == most) {
        return matmul_take(&block->expand, left);
    }
    if (left <= block->at_once || left >= 2 * block->at_once) {
        return least(left, block->at_once);
    }
    return (left / 2 + most - 1) / most * most;
}

/* Row `row` of x into its slot of the ring, behind the columns of zeros left of it. */
static void expand_row(const streamed_block_t *block, const int32_t *weights, const int8_t *x,
                       int32_t row) {
    int16_t *slot =
        block->ring + row % DEPTHWISE_SLOTS * block->filter.slot_bytes / 2 + block->left;
    x += row * block->columns * block->channels;
    if (block->expand_weights == NULL) {
        spread_row(block, x, slot);
        return;
    }
    for (int32_t column = 0, pixels = 0; column < block->columns; column += pixels) {
        pixels = widened_of(block, block->columns - column);
        widen(x + column * block->channels, pixels * block->channels, block->pixels);
        matmul_run(&block->expand, pixels, block->pixels, weights, slot + column, NULL);
    }
}

/* The row below the map is of zeros. */
static void clear_slot(const streamed_block_t *block, int32_t row) {
    const int32_t slot_bytes = block->filter.slot_bytes;
    int8_t *slot = (int8_t *)block->ring + row % DEPTHWISE_SLOTS * slot_bytes;
    for (int32_t c = 0; c < block->filter.channels; c++, slot += DEPTHWISE_SLOTS * slot_bytes) {
        memset(slot, 0, (size_t)slot_bytes);
    }
}

void streamed_block_rows(const streamed_block_t *block, const int8_t *x, const int8_t *residual,
                         int32_t first, int32_t count, int8_t *y) {
    REQUIRES(ARE_SIZES(block->rows, block->columns, block->channels));
    REQUIRES(ARE_SIZES(block->out_rows, block->out_columns, block->out_channels));
    REQUIRES(first >= 0 && count >= 0 && first <= block->out_rows - count);
    REQUIRES(block->filter.stride == 1 || block->filter.stride == 2);
    REQUIRES((int64_t)block->out_rows * block->filter.stride <= block->rows + 1);
    REQUIRES(block->project.depth == block->filter.channels && MATMUL_IS_PLAIN(&block->project));
    REQUIRES(block->filter.y_pixel_bytes == INT64_C(2) * block->filter.channels);
    REQUIRES(
        block->expand_weights == NULL ||
        (block->expand.depth == block->channels && block->expand.segments == 1 &&
         block->expand.pixel_bytes == INT64_C(2) * block->channels && block->expand.y_bytes == 2 &&
         block->expand.y_channel_bytes == (int64_t)DEPTHWISE_SLOTS * block->filter.slot_bytes &&
         0 < block->expand.most_pixels && block->expand.most_pixels <= MATMUL_MOST_PIXELS &&
         block->expand.y_pixel_bytes == 2));
    REQUIRES(block->expand_weights == NULL ||
             (0 < block->at_once && block->at_once % block->expand.most_pixels == 0));
    REQUIRES(block->project.most_pixels > 0);
    REQUIRES(IS_SIZE(block->rows_at_once) &&
             ARE_SIZES(block->rows_at_once, block->out_columns, block->filter.channels));
    REQUIRES(block->weights != NULL || !block->project.narrow);
    REQUIRES(block->weights != NULL || block->expand_weights == NULL || !block->expand.narrow);
    REQUIRES(IS_BYTE(block->x_zero) && ARE_SIZES(block->filter.channels, block->out_columns, 1));
    REQUIRES(IS_SIZE(block->filter.slot_bytes) &&
             ARE_SIZES(block->out_rows, block->out_columns, 1));
    REQUIRES(block->filter.columns == block->out_columns);
    REQUIRES(0 <= block->top && block->top <= 1 && 0 <= block->left && block->left <= 1);
    REQUIRES(block->filter.slot_bytes >= 2 * (block->columns + block->left));
    REQUIRES(block->project.channels == block->out_channels);
    REQUIRES(block->expand_weights != NULL || block->filter.channels == block->channels);
    REQUIRES(block->expand_weights == NULL || block->filter.channels == block->expand.channels);
    REQUIRES(block->channels % 4 == 0 && IS_ALIGNED(x, 4) && IS_ALIGNED(block->ring, 4));
    REQUIRES(block->filter.slot_bytes % 4 == 0);
    if (first == 0) {
        begin(block);
    }
    const weights_t weights = weights_of(block);
    const int32_t row_bytes = block->out_columns * block->out_channels;
    int32_t filtered = 0; /* rows that wait to be projected */
    for (int32_t row = first; row < first + count; row++) {
        /* Row of x under the kernel's first row. */
        const int32_t top = row * block->filter.stride - block->top;
        const int32_t last = least(top + 2, block->rows - 1);
        for (int32_t n = row == 0 ? 0 : top + 3 - block->filter.stride; n <= last; n++) {
            expand_row(block, weights.expand, x, n);
        }
        if (top + 2 >= block->rows) {
            clear_slot(block, top + 2);
        }
        /* Row top + i stands in slot (top + i) modulo 3, so slot 0 meets the kernel's row -top
         * modulo 3. */
        const int32_t turn = (3 * block->rows - top) % DEPTHWISE_SLOTS;
        depthwise(&block->filter, block->ring, turn, weights.filter, weights.biases,
                  block->filtered + filtered * block->out_columns * block->filter.channels);
        filtered++;
        if (filtered == block->rows_at_once || row + 1 == first + count) {
            const int32_t at = (row + 1 - filtered) * row_bytes;
            matmul_run(&block->project, filtered * block->out_columns, block->filtered,
                       weights.project, y, residual == NULL ? NULL : residual + at);
            y += filtered * row_bytes;
            filtered = 0;
        }
    }
}
