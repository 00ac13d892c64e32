/* A 1x1 convolution of a single pixel: the fully connected layer that ends a classifier. */
#ifndef HIL_ONE_PIXEL_H
#define HIL_ONE_PIXEL_H

#include <stdint.h>

/*
 * sum = bias[c] + (sum over inputs k of weight[c][k] * x[k] << shift)
 * y   = clamp(zero + smmulr(sum, multiplier[c]), low, high)
 *
 * Each weight meets one value only, so that weights are read where they stand in flash, as int8,
 * and widened in registers. The stream is a narrow one of matmul.h: for every two channels their
 * biases, then for every two inputs a word whose bytes 0 and 2 are the one's weights and 1 and 3
 * the other's, then their multipliers and the zero point. Zero points are folded in.
 */
typedef struct {
    int32_t inputs;   /* a multiple of four */
    int32_t channels; /* of y, even */
    int32_t shift, low, high;
    const int32_t *weights; /* in flash */
    int16_t *window;        /* working memory: x widened */
    /* The same as written out for this shape; NULL where there is only the C. */
    void (*code)(const int16_t *window, const int32_t *weights, int8_t *y);
} one_pixel_t;

/* `y` may lie over `x`. */
void one_pixel(const one_pixel_t *layer, const int8_t *x, int8_t *y);

#endif
