/* The RNNPool layer, patch by patch as the paper defines it: the plain kernel. */
#ifndef HIL_RNNPOOL_H
#define HIL_RNNPOOL_H

#include "fastgrnn.h"

enum { RNNPOOL_MOST_PATCH = 16, RNNPOOL_MOST_CHANNELS = 320 };

typedef struct {
    fastgrnn_t row;     /* RNN1: sweeps a row or a column of pixels */
    fastgrnn_t summary; /* RNN2: sweeps the row (column) summaries, both ways */
    int32_t rows, columns, channels, x_zero;
    int32_t out_rows,
        out_columns; /* beyond the last patch the map repeats its last row and column */
    int32_t patch, stride;
} rnnpool_t;

/* y = [rows down, rows up, columns right, columns left], each clamp((h + 128) >> 8, -128, 127). */
void rnnpool(const rnnpool_t *layer, const int8_t *x, int8_t *y);

#endif
