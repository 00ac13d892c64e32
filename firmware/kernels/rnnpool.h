/* The RNNPool layer, streamed: rows of the map go in, pooled rows come out, and patches share what
 * they have in common. */
#ifndef HIL_RNNPOOL_H
#define HIL_RNNPOOL_H

#include "fastgrnn.h"

/*
 * The patch at (py, px) is summarised by RNN1 along each of its rows and columns, and RNN2 over
 * those summaries both ways (paper, algorithm 1): y = [rows down, rows up, columns right, columns
 * left], each clamp((h + offset of the unit) >> shift, -128, 127).
 *
 * Patches overlap, and a sweep depends on nothing but the pixels under it. So each pixel is
 * multiplied with W once, a row's sweep serves all the patches that lie over the row, a column's
 * sweep goes on as its rows arrive and serves all patches over the column, and a summary is
 * multiplied with RNN2's W once for both ways and all those patches.
 */
typedef struct {
    fastgrnn_t row;     /* RNN1: sweeps a row or a column of pixels */
    fastgrnn_t summary; /* RNN2: sweeps the row (column) summaries, both ways */
    int32_t columns, channels;
    int32_t out_rows,
        out_columns; /* beyond the last patch the map repeats its last row and column */
    int32_t patch_rows, patch_columns;
    int32_t patch, stride;
    const int16_t *offset; /* [summary units]: the centres, taken off, and half for rounding */
    const int8_t *order;   /* [summary units]: the channel that each unit is */
    int32_t shift;         /* 1 to 8 */
    int32_t band;          /* rows that go in together; divides patch and stride */

    /* Working memory. */
    uint32_t *row_table, *summary_table; /* the tables, copied there; NULL to read them in flash */
    int32_t *pixel_products; /* [band][columns][row units]; then [columns][summary units] */
    int32_t *row_products;   /* [patch][patch columns][summary units], row n at n modulo patch */
    int16_t *row_summaries;  /* or in half the memory what they are products of: [patch][patch
                              * columns][row units]; NULL where the products are kept */
    int32_t chunk;       /* rows whose products fit in pixel_products; where summaries are kept */
    int16_t *row_states; /* [patch columns][row units], then [patch columns][summary units] */
    int16_t *column_states; /* [ceil(patch / stride)][columns][row units] */

    /* Writes row_states out as one part of each of `columns` pixels of y; NULL where there is only
     * the C. */
    void (*store)(const int16_t *h, const int16_t *offset, int32_t columns, int8_t *y);
} rnnpool_t;

/* Copy the tables; before the first rows. */
void rnnpool_begin(const rnnpool_t *pool);

/* Rows of y that are complete once the rows of x before `rows` have been taken. */
int32_t rnnpool_made(const rnnpool_t *pool, int32_t rows);

/* Take the rows from `row` to `row + band`, contiguous at `x`; write to `y`, the whole map, what
 * they complete. */
void rnnpool_rows(const rnnpool_t *pool, const int8_t *x, int32_t row, int8_t *y);

#endif
