#include "inverted_residual.h"

#include <stddef.h>

#include "dsp.h"

enum { MOST_KERNEL_ROWS = 16 };

void inverted_residual(const inverted_residual_t *block, const int8_t *x, const int8_t *residual,
                       int8_t *ring, int8_t *line, int8_t *y) {
    const conv2d_t *depthwise = &block->depthwise;
    const int32_t x_row_bytes = block->expand.columns * block->expand.channels;
    const int32_t y_row_bytes = block->project.out_columns * block->project.out_channels;
    const int32_t ring_row_bytes = depthwise->columns * depthwise->channels;
    int32_t expanded =
        0; /* rows of x expanded so far; row n stands in the ring at n modulo kernel_rows */
    for (int32_t row = 0; row < depthwise->out_rows; row++) {
        const int8_t *under[MOST_KERNEL_ROWS];
        for (int32_t i = 0; i < depthwise->kernel_rows; i++) {
            int32_t at = row * depthwise->stride + i - depthwise->top;
            if (at < 0 || at >= depthwise->rows) {
                under[i] = NULL;
                continue;
            }
            for (; expanded <= at; expanded++) {
                const int8_t *from = x + expanded * x_row_bytes;
                conv2d_row(&block->expand, &from, NULL,
                           ring + (expanded % depthwise->kernel_rows) * ring_row_bytes);
            }
            under[i] = ring + (at % depthwise->kernel_rows) * ring_row_bytes;
        }
        conv2d_row(depthwise, under, NULL, line);
        const int8_t *from = line;
        conv2d_row(&block->project, &from, residual == NULL ? NULL : residual + row * y_row_bytes,
                   y + row * y_row_bytes);
    }
}
