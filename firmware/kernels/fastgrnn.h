/* A FastGRNN cell in integers, as tables and dense matrices. */
#ifndef HIL_FASTGRNN_H
#define HIL_FASTGRNN_H

#include <stdint.h>

enum { FASTGRNN_MOST_UNITS = 128 };

/*
 * acc   = bias[i] + (sum_k w[i][k] * x[k] << w_shift) + sum_k u[i][k] * h[k]
 * j     = clamp(acc >> index_shift, 0, 2**index_bits - 1)
 * h'[i] = (gate[i][j] * h[i] + 65536 * update[i][j] + gate[i][j]) >> 15
 */
typedef struct {
    const int16_t *w;      /* [units][inputs] */
    const int16_t *u;      /* [units][units] */
    const int32_t *bias;   /* [units] */
    const uint32_t *table; /* [2**index_bits][units]: gate | update << 16 */
    int32_t units, inputs;
    int32_t w_shift, index_shift, index_bits;
} fastgrnn_t;

/* One step of the state h, [units], on x, [inputs], which has its zero point taken off. */
void fastgrnn_step(const fastgrnn_t *cell, const int16_t *x, int16_t *h);

#endif
