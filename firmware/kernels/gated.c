#include "gated.h"

#include "contract.h"
#include "dsp.h"

static int32_t even(int32_t count) {
    return count + count % 2;
}

int32_t gated_gates(const gated_t *cell) {
    return cell->memory_shift < 0 ? 3 : 4;
}

int32_t gated_product_values(const gated_t *cell) {
    return gated_gates(cell) * cell->units;
}

int32_t gated_state_values(const gated_t *cell) {
    return even(cell->units) * (cell->memory_shift < 0 ? 1 : 2);
}

/* start + the sum of products of an even number of values; it may wrap on the way. */
static int32_t dot(const int16_t *a, const int16_t *b, int32_t count, int32_t start) {
    int32_t sum = start;
    for (int32_t k = 0; k < count; k += 2) {
        sum = dsp_smlad(dsp_load_word(a + k), dsp_load_word(b + k), sum);
    }
    return sum;
}

void gated_products(const gated_t *cell, const int16_t *x, int16_t *products) {
    REQUIRES(cell->units > 0 && cell->inputs > 0);
    REQUIRES(IS_ALIGNED(x, 4) && IS_ALIGNED(cell->w, 4));
    const int32_t gates = gated_gates(cell);
    const int32_t inputs = even(cell->inputs);
    const int16_t *w = cell->w;
    for (int32_t g = 0; g < gates; g++) {
        for (int32_t i = 0; i < cell->units; i++, w += inputs) {
            const int32_t at = g * cell->units + i;
            const int32_t scaled =
                dsp_smmulr(dot(w, x, inputs, cell->bias[at]), cell->multiplier[at]);
            products[i * gates + g] = (int16_t)dsp_clamp(scaled, -32768, 32767);
        }
    }
}

static int32_t sigmoid_at(const gated_t *cell, const int16_t *table, int32_t index) {
    const int32_t half = dsp_shift_left(1, cell->index_bits - 1);
    return table[half + dsp_clamp(index, -half, half - 1)];
}

/* s(a) of a gate of unit i, whose sum is over `read`; NULL for a zero state. */
static int32_t gate(const gated_t *cell, const int16_t *products, const int16_t *table, int32_t g,
                    int32_t i, const int16_t *read) {
    const int32_t states = even(cell->units);
    int32_t a = dsp_shift_left(products[i * gated_gates(cell) + g], cell->product_shift);
    if (read != NULL) {
        a = dot(cell->u + (g * cell->units + i) * states, read, states, a);
    }
    return sigmoid_at(cell, table, a >> cell->index_shift);
}

static void gru(const gated_t *cell, const int16_t *products, const int16_t *table, bool first,
                int16_t *h, int16_t *fresh) {
    const int32_t states = even(cell->units);
    int16_t *reset = fresh;
    int16_t *next = fresh + states;
    for (int32_t i = 0; i < cell->units && !first; i++) {
        reset[i] = (int16_t)(gate(cell, products, table, 0, i, h) * h[i] >> 15);
    }
    for (int32_t i = 0; i < cell->units; i++) {
        const int32_t before = first ? 0 : h[i];
        const int32_t z = gate(cell, products, table, 1, i, first ? NULL : h);
        const int32_t n = 2 * gate(cell, products, table, 2, i, first ? NULL : reset) - 32768;
        next[i] = (int16_t)(n + ((z * (before - n) + 16384) >> 15));
    }
    memcpy(h, next, (size_t)states * sizeof *h);
}

static void lstm(const gated_t *cell, const int16_t *products, const int16_t *table, bool first,
                 int16_t *state, int16_t *fresh) {
    const int32_t states = even(cell->units);
    const int16_t *h = first ? NULL : state;
    int16_t *memory = state + states;
    const int32_t told_shift = 18 - cell->index_bits - cell->memory_shift;
    for (int32_t i = 0; i < cell->units; i++) {
        const int32_t taken = gate(cell, products, table, 0, i, h);
        const int32_t kept = gate(cell, products, table, 1, i, h);
        const int32_t candidate = 2 * gate(cell, products, table, 2, i, h) - 32768;
        const int32_t told = gate(cell, products, table, 3, i, h);
        const int32_t before = first ? 0 : memory[i];
        const int32_t c = (kept * before + (taken * candidate >> cell->memory_shift) + 16384) >> 15;
        memory[i] = (int16_t)dsp_clamp(c, -32768, 32767);
        const int32_t t = 2 * sigmoid_at(cell, table, memory[i] >> told_shift) - 32768;
        fresh[i] = (int16_t)((told * t + 16384) >> 15);
    }
    memcpy(state, fresh, (size_t)states * sizeof *state);
}

void gated_step(const gated_t *cell, const int16_t *products, const int16_t *table, bool first,
                int16_t *state, int16_t *fresh) {
    REQUIRES(cell->units > 0 && cell->memory_shift <= 4);
    REQUIRES(1 <= cell->index_bits && cell->index_bits <= GATED_MOST_INDEX_BITS);
    REQUIRES(0 <= cell->index_shift && cell->index_shift < 32);
    REQUIRES(0 <= cell->product_shift && cell->product_shift < 16);
    REQUIRES(IS_ALIGNED(state, 4) && IS_ALIGNED(fresh, 4) && IS_ALIGNED(cell->u, 4));
    if (cell->units % 2 != 0) { /* beside the odd one out, in every place of a state */
        const int32_t states = even(cell->units);
        for (int32_t last = states - 1; last < 2 * states; last += states) {
            fresh[last] = 0;
        }
    }
    if (cell->memory_shift < 0) {
        gru(cell, products, table, first, state, fresh);
    } else {
        lstm(cell, products, table, first, state, fresh);
    }
}
