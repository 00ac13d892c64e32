/* A 1x1 convolution by itself. */
#ifndef HIL_POINTWISE_H
#define HIL_POINTWISE_H

#include "matmul.h"

/* y = product(x) (+ residual), pixel by pixel. */
typedef struct {
    matmul_t product;
    const int32_t *weights;    /* in flash */
    int32_t columns, channels; /* of x */

    /* Working memory. */
    int32_t *copy;   /* of the weights; NULL to read them in flash */
    int16_t *window; /* three pixels, widened */
} pointwise_t;

/* `count` rows from `first` on, to `y`; `x` and `residual` are whole maps. `y` may lie over `x`
 * where no pixel of x is overwritten that is still to be read. */
void pointwise_rows(const pointwise_t *layer, const int8_t *x, const int8_t *residual,
                    int32_t first, int32_t count, int8_t *y);

#endif
