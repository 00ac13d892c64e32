/* A dense convolution of any kernel, stride and padding, as a product over gathered windows. */
#ifndef HIL_WINDOWED_H
#define HIL_WINDOWED_H

#include "matmul.h"

/* The arithmetic of conv2d_t. Windows are gathered as int16, [kernel row][kernel column][channel],
 * x_zero outside; where the channels are a multiple of four, in the order of widen(). */
typedef struct {
    matmul_t product;                /* its depth is the window's values, rounded up to even */
    const int32_t *weights;          /* in flash */
    int32_t rows, columns, channels; /* of x */
    int32_t out_rows, out_columns, out_channels; /* of y */
    int32_t kernel_rows, kernel_columns, stride, top, left;
    int32_t x_zero;

    /* Working memory. */
    int32_t *copy;   /* of the weights; NULL to read them in flash */
    int16_t *window; /* product.most_pixels windows */
} windowed_t;

/* `count` output rows from `first` on, to `y`; `x` and `residual` are whole maps. */
void windowed_rows(const windowed_t *layer, const int8_t *x, const int8_t *residual, int32_t first,
                   int32_t count, int8_t *y);

#endif
