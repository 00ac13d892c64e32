/* One row of a 3x3 depthwise convolution over planar int16 rows in a ring. */
#ifndef HIL_DEPTHWISE_H
#define HIL_DEPTHWISE_H

#include <stdint.h>

enum { DEPTHWISE_SLOTS = 3, DEPTHWISE_WEIGHT_WORDS = 10 };

/*
 * y[s][c] = clamp(smmulr(bias[c] + sum_ij weight[c][i][j] * ring[c][slot of i][s*stride + j],
 * multiplier[c]), 0, high)
 *
 * All values have their zero points taken off. A channel's slots hold three rows of the map, each
 * with the columns of zeros that lie left and right of it; row n stands in slot n modulo 3. A
 * row of the kernel is two words of weights, (w0, w1) and (w1, w2); the kernel's rows stand as 0,
 * 1, 2, 0, 1, and `turn` says at which the ring's slot 0 begins.
 */
typedef struct {
    int32_t channels;
    int32_t columns; /* of the output; where they are odd and the stride is 1, one column more is
                        written */
    int32_t stride;
    int32_t slot_bytes;
    int32_t y_pixel_bytes; /* channels are int16 side by side */
    int32_t high;
    /* The same as written out for this shape; NULL where there is only the C. */
    void (*code)(const int16_t *ring, const int32_t *weights, const int32_t *bias_multiplier,
                 int16_t *y);
} depthwise_t;

/* The sum of one output: `x` its first pixel in slot 0, slots `slot` halfwords apart. */
int32_t depthwise_sum(const int16_t *x, int32_t slot, const int32_t *weights, int32_t bias);

void depthwise(const depthwise_t *row, const int16_t *ring, int32_t turn, const int32_t *weights,
               const int32_t *bias_multiplier, int16_t *y);

#endif
