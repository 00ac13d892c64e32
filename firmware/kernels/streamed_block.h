/* An inverted residual, row by row, its expanded rows in a ring and its weights out of flash. */
#ifndef HIL_STREAMED_BLOCK_H
#define HIL_STREAMED_BLOCK_H

#include "depthwise.h"
#include "matmul.h"

/*
 * y = project(depthwise(expand(x))) (+ residual), or without expansion. The expanded rows are
 * planar,
 * [channel][slot][column], the filtered row [column][channel]; both int16 with their zero points
 * taken off.
 */
typedef struct {
    matmul_t expand;
    depthwise_t filter;
    matmul_t project;
    int32_t rows, columns, channels; /* of x */
    int32_t out_rows, out_columns, out_channels;
    int32_t top, left;    /* zeros above and left of the filtered map: 0 or 1 */
    int32_t rows_at_once; /* filtered rows that are projected together, one at least */
    int32_t at_once;      /* pixels that are widened together, a multiple of those multiplied so */
    int32_t x_zero;       /* without expansion */
    /* Without expansion: a row's pairs of pixels into the planes, as written out for this shape;
     * NULL where there is only the C. `minus_zero` is in both halves. */
    void (*spread)(const int8_t *x, int32_t minus_zero, int16_t *to);
    /* In flash; expand_weights NULL where there is no expansion. */
    const int32_t *expand_weights, *filter_weights, *filter_biases, *project_weights;

    /* Working memory. */
    int32_t *weights;  /* all four, one after the other; NULL to read them in flash */
    int16_t *pixels;   /* at_once of x, widened */
    int16_t *ring;     /* [expanded channels][3][slot] */
    int16_t *filtered; /* [rows_at_once out rows, a pixel more if odd][expanded channels] */
} streamed_block_t;

/* `count` output rows from `first` on, to `y`; `x` and `residual` are whole maps. Calls go on from
 * row to row. `y` may lie over `x` where no row of x is overwritten that is still to be expanded.
 */
void streamed_block_rows(const streamed_block_t *block, const int8_t *x, const int8_t *residual,
                         int32_t first, int32_t count, int8_t *y);

#endif
