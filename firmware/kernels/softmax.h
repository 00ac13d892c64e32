/* Softmax over the channels of every pixel. */
#ifndef HIL_SOFTMAX_H
#define HIL_SOFTMAX_H

#include <stdint.h>

enum { SOFTMAX_LEVELS = 256, SOFTMAX_LARGEST = 1 << 22 };

/* table: exp by the distance from a pixel's greatest value, 2**22 for 0. */
typedef struct {
    const int32_t *table;
    int32_t channels;
} softmax_t;

/*
 * e[c] = table[max x - x[c]], y[c] = min((256 e[c] + sum / 2) / sum - 128, 127), sum being that of
 * e over the channels, in each of `pixels`; `y` may be `x`.
 */
void softmax(const softmax_t *layer, int32_t pixels, const int8_t *x, int8_t *y);

#endif
