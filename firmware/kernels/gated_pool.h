/* The RNNPool layer with GRU or LSTM cells, streamed: rows of the map go in, pooled rows come out,
 * and patches share what they have in common. */
#ifndef HIL_GATED_POOL_H
#define HIL_GATED_POOL_H

#include "gated.h"

/*
 * The patch at (py, px) is summarised by RNN1 along each of its rows and columns, and RNN2 over
 * those summaries both ways (paper, algorithm 1): y = [rows down, rows up, columns right, columns
 * left], each clamp((h + offset of the unit) >> shift, -128, 127).
 *
 * What patches share is computed once, as `rnnpool` does: a pixel's products, a row's sweep for all
 * patches over the row, a column's for all over the column, a summary's products for both ways.
 */
typedef struct {
    gated_t row;     /* RNN1: sweeps a row or a column of pixels */
    gated_t summary; /* RNN2: sweeps the row (column) summaries, both ways */
    int32_t columns, channels;
    int32_t out_rows,
        out_columns; /* beyond the last patch the map repeats its last row and column */
    int32_t patch_rows, patch_columns;
    int32_t patch, stride;
    const int16_t *offset;  /* [summary units]: the centres, taken off, and half for rounding */
    int32_t shift;          /* 1 to 8 */
    const int16_t *sigmoid; /* in flash, [2**index_bits] */

    /* Working memory. */
    int16_t *table;         /* the sigmoid, copied there; NULL to read it in flash */
    int16_t *pixel;         /* [channels, even] */
    int16_t *products;      /* [columns][products of the row, or of the summary] */
    int16_t *row_products;  /* [patch][patch columns][summary's], row n at n modulo patch */
    int16_t *state;         /* of either cell */
    int16_t *fresh;         /* two states' h of either cell */
    int16_t *column_states; /* [ceil(patch / stride)][columns][row's state] */
} gated_pool_t;

/* Copy the table; before the first row. */
void gated_pool_begin(const gated_pool_t *pool);

/* Rows of y that are complete once the rows of x before `rows` have been taken. */
int32_t gated_pool_made(const gated_pool_t *pool, int32_t rows);

/* Take row `row`, at `x`; write to `y`, the whole map, what it completes. */
void gated_pool_row(const gated_pool_t *pool, const int8_t *x, int32_t row, int8_t *y);

#endif
