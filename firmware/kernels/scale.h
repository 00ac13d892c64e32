/* A batch norm or an activation by itself: each channel by a factor, and an offset. */
#ifndef HIL_SCALE_H
#define HIL_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_limits.h"

/*
 * y[p][c] = clamp(y_zero + smmulr(bias[c] + weight[c] * x[p][c], multiplier[c]), low, high)
 *
 * The weights are, for every four channels, (weight[0], weight[2]), the biases and the multipliers
 * of both, and the same of channels 1 and 3: ten words, zero points and shifts folded in.
 */
typedef struct {
    const int32_t *weights; /* in flash */
    int32_t channels;       /* a multiple of four */
    int32_t y_bytes;        /* 1: int8, 2: int16 in the order of widen() */
    int32_t y_zero, low, high;
    int32_t *copy; /* working memory for the weights; NULL to read them in flash */
    /* The same for one, two and three pixels as written out for this shape; NULL where there is
     * only the C. */
    void (*code[SCALE_MOST_PIXELS])(const int8_t *x, const int32_t *weights, void *y);
} scale_t;

/* The weights where they are to be read; `first`: they are copied there now. */
const int32_t *scale_weights(const scale_t *layer, bool first);

/* Up to three pixels. */
void scale(const scale_t *layer, int32_t pixels, const int8_t *x, const int32_t *weights, void *y);

/* `pixels` of a map, to int8; `first`: none before. `y` may lie over `x`, if it starts three pixels
 * before or more. */
void scale_map(const scale_t *layer, bool first, int32_t pixels, const int8_t *x, int8_t *y);

#endif
