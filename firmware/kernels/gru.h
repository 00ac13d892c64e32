/* A GRU cell in integers: one step of many sequences. */
#ifndef HIL_GRU_H
#define HIL_GRU_H

#include <stdint.h>

/*
 * a[g]  = (p[g] << product_shift) + sum_k u[g][i][k] * h[k]     for g = r and z
 * m     = bias_n[i] + sum_k u[n][i][k] * h[k]
 * a[n]  = (p[n] << product_shift) + ((m * s(a[r])) >> 16)
 * n     = 2 * s(a[n]) - 2**15
 * h'[i] = n + ((s(a[z]) * (h[i] - n) + 2**14) >> 15)
 * s(a)  = table[2**(index_bits - 1) + clamp(a >> index_shift, -2**(index_bits - 1),
 *               2**(index_bits - 1) - 1)], the sigmoid
 *
 * A sequence's products p stand as r, z, n of each unit in turn, and at the next multiple of a word
 * those of the next sequence. A sequence's state takes an even number of units; one that there is
 * not is 0.
 */
typedef struct gru {
    int32_t units;
    int32_t product_shift, index_shift, index_bits;
    /* The same as written out for this cell, for pairs of sequences, NULL where there is only the
     * C. `middle` is that of the table. */
    void (*code)(const int16_t *products, const int32_t *recurrent, const int16_t *middle,
                 const int16_t *h, int16_t *next, int32_t pairs);
} gru_t;

/*
 * `recurrent` is a stream of words in the order in which they are read: for each unit bias_n, then
 * for every two states a word of each gate's weights. All memory is for an even number of
 * sequences, of which the last may be idle.
 */
void gru_step(const gru_t *gru, const int16_t *products, const int32_t *recurrent,
              const int16_t *table, int32_t sequences, const int16_t *h, int16_t *next);

/* Units of one sequence's state in memory. */
int32_t gru_state_units(const gru_t *gru);

/* Words of `recurrent`. */
int32_t gru_recurrent_words(const gru_t *gru);

#endif
