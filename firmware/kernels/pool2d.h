/* Average and maximum over windows of a map, channel by channel. */
#ifndef HIL_POOL2D_H
#define HIL_POOL2D_H

#include <stdint.h>

typedef struct {
    int32_t rows, columns, channels;
    int32_t y_columns;
    int32_t window_rows, window_columns, stride;
    int32_t top, left; /* padding */
    int32_t x_zero, y_zero, multiplier, shift;
} pool2d_t;

/*
 * acc = sum_ij (x[r*stride + i - top, s*stride + j - left, c] - x_zero), zeros outside the map
 * y[r, s, c] = clamp(y_zero + smmulr(acc << shift, multiplier), -128, 127)
 */
void pool2d_average(const pool2d_t *layer, const int8_t *x, int32_t first, int32_t count,
                    int8_t *y);

/* y[r, s, c] = max_ij x[r*stride + i - top, s*stride + j - left, c], inside the map */
void pool2d_max(const pool2d_t *layer, const int8_t *x, int32_t first, int32_t count, int8_t *y);

/* `count` output rows from `first` on, to `y`; `x` is the whole map. `y` may overlap `x` where each
 * of its rows ends before the first row under the row's windows. */

#endif
