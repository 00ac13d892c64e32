/* A GRU or LSTM cell in integers: products of its gates with inputs, and steps of one sequence. */
#ifndef HIL_GATED_H
#define HIL_GATED_H

#include <stdbool.h>
#include <stdint.h>

enum { GATED_MOST_INDEX_BITS = 14 };

/*
 * p[g] = clamp(smmulr(bias[g][i] + sum_k w[g][i][k] * x[k], multiplier[g][i]), -2**15, 2**15 - 1)
 * a[g] = (p[g] << product_shift) + sum_k u[g][i][k] * h[k]
 * s(a) = table[2**(index_bits - 1) + clamp(a >> index_shift, -2**(index_bits - 1),
 *              2**(index_bits - 1) - 1)], the sigmoid; t = 2 * s - 2**15
 *
 * GRU, gates r, z, n; n's sum is over (s(a[r]) of unit k * h[k]) >> 15 in the place of h[k]:
 * h'[i] = t(a[n]) + ((s(a[z]) * (h[i] - t(a[n])) + 2**14) >> 15)
 *
 * LSTM, gates i, f, g, o, with a memory c:
 * c'[i] = clamp((s(a[f]) * c[i] + ((s(a[i]) * t(a[g])) >> memory_shift) + 2**14) >> 15, -2**15,
 *               2**15 - 1)
 * h'[i] = (s(a[o]) * t(c'[i] >> (18 - index_bits - memory_shift)) + 2**14) >> 15
 *
 * Inputs and states take an even number of int16; weights of one that there is not are 0.
 */
typedef struct {
    const int16_t *w;          /* [gates][units][inputs] */
    const int16_t *u;          /* [gates][units][units] */
    const int32_t *bias;       /* [gates][units], an input's zero point folded in */
    const int32_t *multiplier; /* [gates][units] */
    int32_t units, inputs;     /* as there are */
    int32_t product_shift, index_shift, index_bits;
    int32_t memory_shift; /* of an LSTM; -1: a GRU */
} gated_t;

int32_t gated_gates(const gated_t *cell);

/* Values of one input's products: those of each unit in turn, gate by gate. */
int32_t gated_product_values(const gated_t *cell);

/* Values of one sequence's state: h, then an LSTM's memory. */
int32_t gated_state_values(const gated_t *cell);

/* The products of one input, an even number of int16. */
void gated_products(const gated_t *cell, const int16_t *x, int16_t *products);

/* One step. `first`: from a zero state, whatever is there. `table` is the sigmoid's, `fresh` has
 * room for two states' h. */
void gated_step(const gated_t *cell, const int16_t *products, const int16_t *table, bool first,
                int16_t *state, int16_t *fresh);

#endif
