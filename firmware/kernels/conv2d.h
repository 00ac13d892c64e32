/* Convolution, dense or depthwise, of any shape: the plain kernel that every specialised one must
 * equal. */
#ifndef HIL_CONV2D_H
#define HIL_CONV2D_H

#include <stdbool.h>
#include <stdint.h>

/*
 * acc  = sum_ijc weight[o][i][j][c] * (x[r*stride + i - top][s*stride + j - left][c] - x_zero),
 *        zeros outside the map
 * y[r][s][o] = clamp(y_zero + smmulr((acc << shift) + bias[o], multiplier[o]) + term, low, high)
 * term = ((q - residual_zero) * residual_multiplier + 2**(residual_shift - 1)) >> residual_shift,
 *        where there is a residual
 *
 * Kernels may have any number of rows and columns.
 */
typedef struct {
    const int8_t
        *weight; /* [out][kernel rows][kernel columns][in]; depthwise: [channels][rows][columns] */
    const int32_t *bias;
    const int32_t *multiplier;
    int32_t rows, columns, channels;             /* of the input */
    int32_t out_rows, out_columns, out_channels; /* of the output */
    int32_t kernel_rows, kernel_columns, stride, top, left;
    int32_t shift, x_zero, y_zero, low, high;
    int32_t residual_zero, residual_multiplier, residual_shift;
    bool depthwise;
} conv2d_t;

/* A map, or its latest rows in a ring: row n stands in slot n modulo `slots`, each of columns *
 * channels bytes. Where all rows are there, there are as many slots as rows. */
typedef struct {
    const int8_t *data;
    int32_t slots;
} conv2d_map_t;

/* Output row `row`. The rows of x under it are in memory; `residual`, the output row's, is NULL
 * where there is none. */
void conv2d_row(const conv2d_t *layer, conv2d_map_t x, int32_t row, const int8_t *residual,
                int8_t *y);

/* `count` output rows from `first` on, to `y`; `x` and `residual` are whole maps, (row, column,
 * channel) order. */
void conv2d_rows(const conv2d_t *layer, const int8_t *x, const int8_t *residual, int32_t first,
                 int32_t count, int8_t *y);

#endif
