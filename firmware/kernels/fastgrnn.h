/* A FastGRNN cell in integers: its products with inputs, and sweeps of many sequences.
 */
#ifndef HIL_FASTGRNN_H
#define HIL_FASTGRNN_H

#include <stdint.h>

#include "kernel_limits.h"

enum { FASTGRNN_LEAST_VECTORS = 3, FASTGRNN_MOST_INDEX_BITS = 16 };

/*
 * acc   = bias[i] + (sum_k w[i][k] * x[k] << w_shift) + sum_k u[i][k] * h[k]
 * j     = clamp(acc >> index_shift, 0, 2**index_bits - 1)
 * h'[i] = (gate[i][j] * h[i] + 65536 * update[i][j] + gate[i][j]) >> 15
 *
 * The first two terms do not depend on the state. They are the products: computed once for each
 * input, read by every sweep that passes over it. Sweeps in several sequences run side by side:
 * sequence s stands at its h[s][units], and reads the products of step t at products + s *
 * sequence_stride + t * step_stride (in words).
 */
typedef struct {
    int32_t sequence_stride, step_stride; /* in words */
    int32_t sequences, steps;
} fastgrnn_sweep_t;

typedef struct fastgrnn {
    const int16_t *w;      /* [units][inputs] */
    const int16_t *u;      /* [units][units] */
    const int32_t *bias;   /* [units], an input's zero point folded in */
    const uint32_t *table; /* in flash, [2**index_bits][units]: gate | update << 16 */
    int32_t units, inputs;
    int32_t w_shift, index_shift, index_bits;

    /* The same functions as written out for this cell, NULL where there is only the C below. */
    void (*pixel_products)(const int8_t *x, int32_t count, int32_t *products);
    /* Both products for FASTGRNN_LEAST_VECTORS or more. */
    void (*state_products)(const int16_t *x, int32_t count, int32_t *products);
    void (*start)(const int32_t *products, const uint32_t *table, const fastgrnn_sweep_t *sweep,
                  int16_t *h);
    void (*go_on)(const int32_t *products, const uint32_t *table, const fastgrnn_sweep_t *sweep,
                  int16_t *h);
} fastgrnn_t;

/* products[n][units] of `count` inputs that are int8 pixels, their zero point included. */
void fastgrnn_pixel_products(const fastgrnn_t *cell, const int8_t *x, int32_t count,
                             int32_t *products);

/* products[n][units] of `count` inputs that are int16 states. */
void fastgrnn_state_products(const fastgrnn_t *cell, const int16_t *x, int32_t count,
                             int32_t *products);

/* h = the states after sweep->steps steps from zero. `table` is the cell's, in memory without wait
 * states. */
void fastgrnn_start(const fastgrnn_t *cell, const int32_t *products, const uint32_t *table,
                    const fastgrnn_sweep_t *sweep, int16_t *h);

/* h = the states after sweep->steps more steps. */
void fastgrnn_go_on(const fastgrnn_t *cell, const int32_t *products, const uint32_t *table,
                    const fastgrnn_sweep_t *sweep, int16_t *h);

#endif
