/* The sum of two maps, value by value. */
#ifndef HIL_ADD_H
#define HIL_ADD_H

#include <stdint.h>

enum { ADD_HEADROOM_BITS = 20, ADD_LEVELS = 256 };

/* rounded(smmulr(value, multiplier) / 2**shift), to the nearest, halves away from 0. */
typedef struct {
    int32_t multiplier, shift;
} add_scale_t;

typedef struct {
    add_scale_t terms[2], sum;
    int32_t zeros[2];
    int32_t y_zero, low, high;
    int32_t *tables; /* working memory: every term of each input */
} add_t;

/*
 * term[i] = scaled by terms[i]: (x[i] - zeros[i]) << 21
 * y = clamp(y_zero + scaled by sum: (term[0] + term[1]) << 1, low, high)
 *
 * For every one of `count` values; `y` may be `a` or `b`.
 */
void add(const add_t *layer, int32_t count, const int8_t *a, const int8_t *b, int8_t *y);

#endif
