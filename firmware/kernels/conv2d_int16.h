/* The plain convolution of conv2d.h with int16 outputs. */
#ifndef HIL_CONV2D_INT16_H
#define HIL_CONV2D_INT16_H

#include "conv2d.h"

/* As conv2d_rows; a residual is int8. */
void conv2d_int16_rows(const conv2d_t *layer, const int8_t *x, const int8_t *residual,
                       int32_t first, int32_t count, int16_t *y);

#endif
