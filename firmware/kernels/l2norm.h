/* L2 normalisation over channels, with a learned weight per channel. */
#ifndef HIL_L2NORM_H
#define HIL_L2NORM_H

#include <stdint.h>

#include "kernel_limits.h"

/*
 * s = sum_c (x[c] - x_zero)**2 ; r = (int)((float)2**30 / sqrt((float)s)), 0 when s = 0
 * y[c] = clamp(y_zero + smmulr((x[c] - x_zero) * r, multiplier[c]), -128, 127)
 */
typedef struct {
    const int32_t *multiplier; /* [channels] */
    int32_t channels;
    int32_t x_zero, y_zero;
} l2norm_t;

/* `pixels` of them, one after the other; `y` may be `x`. */
void l2norm(const l2norm_t *layer, int32_t pixels, const int8_t *x, int8_t *y);

/* The same as int16 in the order of `widen`, of channels that are a multiple of four. */
void l2norm_widened(const l2norm_t *layer, int32_t pixels, const int8_t *x, int16_t *y);

#endif
