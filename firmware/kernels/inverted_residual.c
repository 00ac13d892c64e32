#include "inverted_residual.h"

#include <stddef.h>

#include "contract.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

void inverted_residual(const inverted_residual_t *block, const int8_t *x, const int8_t *residual,
                       int8_t *ring, int8_t *line, int8_t *y) {
    const conv2d_t *depthwise = &block->depthwise;
    REQUIRES(ARE_SIZES(depthwise->rows, depthwise->columns, depthwise->channels));
    REQUIRES(ARE_SIZES(depthwise->out_rows, depthwise->out_columns, depthwise->out_channels));
    REQUIRES(ARE_SIZES(depthwise->kernel_rows, depthwise->kernel_columns, depthwise->stride));
    REQUIRES(0 <= depthwise->top && depthwise->top <= 65536);
    REQUIRES(block->project.out_rows == depthwise->out_rows);
    REQUIRES(ARE_SIZES(1, block->project.out_columns, block->project.out_channels));
    REQUIRES(depthwise->depthwise && !block->expand.depthwise && !block->project.depthwise);
    REQUIRES(block->expand.kernel_rows == 1 && block->expand.stride == 1);
    REQUIRES(block->expand.out_rows == depthwise->rows);
    REQUIRES(block->expand.out_columns == depthwise->columns);
    REQUIRES(block->expand.out_channels == depthwise->channels);
    REQUIRES(block->project.kernel_rows == 1 && block->project.stride == 1);
    REQUIRES(block->project.rows == depthwise->out_rows);
    REQUIRES(block->project.columns == depthwise->out_columns);
    REQUIRES(block->project.channels == depthwise->out_channels);
    const int32_t y_row_bytes = block->project.out_columns * block->project.out_channels;
    const int32_t ring_row_bytes = depthwise->columns * depthwise->channels;
    const conv2d_map_t whole = {.data = x, .slots = block->expand.rows};
    const conv2d_map_t expanded = {.data = ring, .slots = depthwise->kernel_rows};
    const conv2d_map_t filtered = {.data = line, .slots = 1};
    int32_t done = 0; /* rows of x expanded so far */
    for (int32_t row = 0; row < depthwise->out_rows; row++) {
        const int32_t end = row * depthwise->stride - depthwise->top + depthwise->kernel_rows;
        for (; done < least(end, depthwise->rows); done++) {
            int8_t *slot = ring + done % depthwise->kernel_rows * ring_row_bytes;
            conv2d_row(&block->expand, whole, done, NULL, slot);
        }
        conv2d_row(depthwise, expanded, row, NULL, line);
        conv2d_row(&block->project, filtered, row,
                   residual == NULL ? NULL : residual + row * y_row_bytes, y + row * y_row_bytes);
    }
}
