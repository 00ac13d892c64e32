#include "streamed_block.h"

#include "dsp.h"
#include "widen.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Copy words to free memory, which begins behind them afterwards. */
static const int32_t *copy(int32_t **free, const int32_t *from, int32_t words) {
    int32_t *to = *free;
    memcpy(to, from, (size_t)words * sizeof *to);
    *free = to + words;
    return to;
}

/* Without expansion: a row's channels, four at a time, into their planes. */
static void spread_row(const streamed_block_t *block, const int8_t *x, int16_t *slot) {
    const int32_t plane = DEPTHWISE_SLOTS * block->filter.slot_bytes / 2;
    const int32_t channels = block->channels;
    const int32_t minus_zero = pack_halfwords(-block->x_zero, -block->x_zero);
    for (int32_t c = 0; c < channels; c += 4, slot += 4 * plane) {
        const int8_t *from = x + c;
        int16_t *to = slot;
        for (int16_t *end = to + block->columns; to != end; to++, from += channels) {
            const int32_t word = load_word(from);
            const int32_t even = qadd16(sxtb16(word), minus_zero);
            const int32_t odd = qadd16(sxtb16_odd(word), minus_zero);
            to[0] = (int16_t)even;
            to[plane] = (int16_t)odd;
            to[2 * plane] = (int16_t)(even >> 16);
            to[3 * plane] = (int16_t)(odd >> 16);
        }
    }
}

/* Row `row` of x into its slot of the ring, a column of zeros before it. */
static void expand_row(const streamed_block_t *block, const int32_t *weights, const int8_t *x,
                       int32_t row) {
    int16_t *slot = block->ring + row % DEPTHWISE_SLOTS * block->filter.slot_bytes / 2 + 1;
    x += row * block->columns * block->channels;
    if (block->expand_weights == NULL) {
        spread_row(block, x, slot);
        return;
    }
    const int32_t most = block->expand.most_pixels;
    for (int32_t column = 0; column < block->columns; column += most) {
        int32_t pixels = least(most, block->columns - column);
        widen(x + column * block->channels, pixels * block->channels, block->pixels);
        matmul(&block->expand, pixels, block->pixels, weights, slot + column, NULL);
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

static void project_row(const streamed_block_t *block, const int32_t *weights,
                        const int8_t *residual, int8_t *y) {
    const int32_t wide = block->filter.channels;
    const int32_t most = block->project.most_pixels;
    for (int32_t column = 0; column < block->out_columns; column += most) {
        int32_t pixels = least(most, block->out_columns - column);
        int32_t at = column * block->out_channels;
        matmul(&block->project, pixels, block->filtered + column * wide, weights, y + at,
               residual == NULL ? NULL : residual + at);
    }
}

void streamed_block(const streamed_block_t *block, const int8_t *x, const int8_t *residual,
                    int8_t *y) {
    const int32_t *expand_weights = block->expand_weights;
    const int32_t *filter_weights = block->filter_weights;
    const int32_t *biases = block->filter_biases;
    const int32_t *project_weights = block->project_weights;
    if (block->weights != NULL) {
        int32_t *free = block->weights;
        if (expand_weights != NULL) {
            free = matmul_unpack(&block->expand, expand_weights, free);
            expand_weights = block->weights;
        }
        project_weights = free;
        free = matmul_unpack(&block->project, block->project_weights, free);
        filter_weights =
            copy(&free, filter_weights, DEPTHWISE_WEIGHT_WORDS * block->filter.channels);
        biases = copy(&free, biases, 2 * block->filter.channels);
    }
    memset(block->ring, 0,
           (size_t)(block->filter.channels * DEPTHWISE_SLOTS * block->filter.slot_bytes));

    const int32_t row_bytes = block->out_columns * block->out_channels;
    int32_t expanded = 0; /* rows of x so far */
    for (int32_t row = 0; row < block->out_rows; row++) {
        const int32_t top =
            row * block->filter.stride - 1; /* row of x under the kernel's first row */
        for (; expanded <= least(top + 2, block->rows - 1); expanded++) {
            expand_row(block, expand_weights, x, expanded);
        }
        if (top + 2 >= block->rows) {
            clear_slot(block, top + 2);
        }
        /* Row top + i stands in slot (top + i) modulo 3, so slot 0 meets the kernel's row -top
         * modulo 3. */
        const int32_t turn = (3 * block->rows - top) % DEPTHWISE_SLOTS;
        depthwise(&block->filter, block->ring, turn, filter_weights, biases, block->filtered);
        project_row(block, project_weights, residual == NULL ? NULL : residual + row * row_bytes,
                    y + row * row_bytes);
    }
}
