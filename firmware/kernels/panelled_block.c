#include "panelled_block.h"

#include <stddef.h>

#include "contract.h"
#include "dsp.h"
#include "widen.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Four int8 weights, each times 2**shift, into two words: of bytes with their signs flipped the
 * halves do not run into each other, and `flipped` takes off what that adds. */
static void widen_four(int32_t four, int32_t shift, int32_t flipped, int32_t *to) {
    const uint32_t bytes = (uint32_t)four ^ 0x80808080U;
    to[0] = dsp_qadd16((int32_t)((bytes & 0x00FF00FFU) << shift), flipped);
    to[1] = dsp_qadd16((int32_t)((bytes >> 8 & 0x00FF00FFU) << shift), flipped);
}

/* What `matmul_unpack` does, in fewer cycles, as it is done in each row; returns the stream's end.
 */
static const int32_t *widen_panel(const matmul_t *product, const int32_t *from, int32_t *to) {
    REQUIRES(product->narrow && product->depth % 4 == 0 && product->channels % 2 == 0);
    REQUIRES(0 <= product->shift && product->shift <= 7);
    const int32_t shift = product->shift;
    const int32_t half = -dsp_shift_left(128, shift);
    const int32_t flipped = dsp_pack_halfwords(half, half);
    for (int32_t c = 0; c < product->channels; c += 2) {
        memcpy(to, from, BIAS_WORDS * sizeof *to);
        from += BIAS_WORDS;
        to += BIAS_WORDS;
        for (int32_t i = 0; i < product->depth; i += 4, from += 2, to += 4) {
            widen_four(from[0], shift, flipped, to);
            widen_four(from[1], shift, flipped, to + 2);
        }
        memcpy(to, from, TRAILER_WORDS * sizeof *to);
        from += TRAILER_WORDS;
        to += TRAILER_WORDS;
    }
    return from;
}

/* Row `row` of x into its slot of the ring, panel by panel. */
static void expand_row(const streamed_block_t *block, const int8_t *x, int32_t row) {
    const matmul_t *expand = &block->expand;
    const int32_t slot_bytes = block->filter.slot_bytes;
    int16_t *slot = block->ring + row % DEPTHWISE_SLOTS * slot_bytes / 2 + block->left;
    const int32_t *from = block->expand_weights;
    widen(x + row * block->columns * block->channels, block->columns * block->channels,
          block->pixels);
    for (int32_t c = 0; c < block->filter.channels; c += expand->channels) {
        from = widen_panel(expand, from, block->weights);
        matmul_run(expand, block->columns, block->pixels, block->weights, slot, NULL);
        slot += expand->channels * DEPTHWISE_SLOTS * slot_bytes / 2;
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

static void project_row(const streamed_block_t *block, const int8_t *residual, int8_t *y) {
    const matmul_t *project = &block->project;
    const int32_t *from = block->project_weights;
    for (int32_t c = 0; c < block->out_channels; c += project->channels) {
        from = widen_panel(project, from, block->weights);
        matmul_run(project, block->out_columns, block->filtered, block->weights, y + c,
                   residual == NULL ? NULL : residual + c);
    }
}

void panelled_block_rows(const streamed_block_t *block, const int8_t *x, const int8_t *residual,
                         int32_t first, int32_t count, int8_t *y) {
    REQUIRES(ARE_SIZES(block->rows, block->columns, block->channels));
    REQUIRES(ARE_SIZES(block->out_rows, block->out_columns, block->out_channels));
    REQUIRES(first >= 0 && count >= 0 && first <= block->out_rows - count);
    REQUIRES(block->filter.stride == 1 || block->filter.stride == 2);
    REQUIRES((int64_t)block->out_rows * block->filter.stride <= block->rows + 1);
    REQUIRES(block->expand_weights != NULL && block->weights != NULL);
    REQUIRES(block->expand.depth == block->channels && block->expand.segments == 1);
    REQUIRES(block->expand.pixel_bytes == INT64_C(2) * block->channels);
    REQUIRES(block->expand.y_bytes == 2 && block->expand.y_pixel_bytes == 2);
    REQUIRES(block->expand.y_channel_bytes == (int64_t)DEPTHWISE_SLOTS * block->filter.slot_bytes);
    REQUIRES(block->expand.most_pixels > 0 && block->expand.channels > 0);
    REQUIRES(block->filter.channels % block->expand.channels == 0);
    REQUIRES(block->project.depth == block->filter.channels && block->project.segments == 1);
    REQUIRES(block->project.pixel_bytes == INT64_C(2) * block->project.depth);
    REQUIRES(block->project.y_bytes == 1 && block->project.y_channel_bytes == 1);
    REQUIRES(block->project.y_pixel_bytes == block->out_channels);
    REQUIRES(block->project.most_pixels > 0 && block->project.channels > 0);
    REQUIRES(block->out_channels % block->project.channels == 0);
    REQUIRES(block->filter.y_pixel_bytes == INT64_C(2) * block->filter.channels);
    REQUIRES(ARE_SIZES(block->filter.channels, block->filter.slot_bytes, DEPTHWISE_SLOTS));
    REQUIRES(block->filter.columns == block->out_columns);
    REQUIRES(ARE_SIZES(block->filter.channels, block->out_columns, 1));
    REQUIRES(0 <= block->top && block->top <= 1 && 0 <= block->left && block->left <= 1);
    REQUIRES(block->filter.slot_bytes >= 2 * (block->columns + block->left));
    REQUIRES(block->channels % 4 == 0 && IS_ALIGNED(x, 4));
    if (first == 0) {
        memset(block->ring, 0,
               (size_t)(block->filter.channels * DEPTHWISE_SLOTS * block->filter.slot_bytes));
    }
    const int32_t row_bytes = block->out_columns * block->out_channels;
    for (int32_t row = first; row < first + count; row++, y += row_bytes) {
        /* Row of x under the kernel's first row. */
        const int32_t top = row * block->filter.stride - block->top;
        const int32_t last = least(top + 2, block->rows - 1);
        for (int32_t n = row == 0 ? 0 : top + 3 - block->filter.stride; n <= last; n++) {
            expand_row(block, x, n);
        }
        if (top + 2 >= block->rows) {
            clear_slot(block, top + 2);
        }
        /* Row top + i stands in slot (top + i) modulo 3, so slot 0 meets the kernel's row -top
         * modulo 3. */
        const int32_t turn = (3 * block->rows - top) % DEPTHWISE_SLOTS;
        depthwise(&block->filter, block->ring, turn, block->filter_weights, block->filter_biases,
                  block->filtered);
        project_row(block, residual == NULL ? NULL : residual + row * row_bytes, y);
    }
}
