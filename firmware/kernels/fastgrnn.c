#include "fastgrnn.h"

#include <stdbool.h>

#include "contract.h"
#include "dsp.h"
#include "widen.h"

/* How many vectors are widened at a time. */
enum { WIDENED = 12 };

/* The code for states, on pixels widened to int16. */
static void widened_products(const fastgrnn_t *cell, const int8_t *x, int32_t count,
                             int32_t *products) {
    REQUIRES(cell->inputs <= FASTGRNN_MOST_WIDENED_INPUTS);
    _Alignas(4) int16_t wide[WIDENED * FASTGRNN_MOST_WIDENED_INPUTS];
    while (count > 0) {
        int32_t n = count < WIDENED ? count : WIDENED;
        if (count > n && count - n < FASTGRNN_LEAST_VECTORS) {
            n -= FASTGRNN_LEAST_VECTORS; /* so that enough are left */
        }
        widen_in_order(x, n * cell->inputs, wide);
        cell->state_products(wide, n, products);
        x += n * cell->inputs;
        products += n * cell->units;
        count -= n;
    }
}

/* Two pixels by two units at a time, of channels that are a multiple of four. */
static void two_pixels(const fastgrnn_t *cell, const int8_t *x, int32_t *products) {
    const int32_t inputs = cell->inputs;
    const int16_t *w = cell->w;
    for (int32_t i = 0; i < cell->units; i += 2, w += 2 * inputs) {
        int32_t sums[2][2] = {{0}};
        const int16_t *row = w;
        for (const int8_t *a = x, *end = x + inputs; a != end; a += 4, row += 4) {
            const int32_t w00 = dsp_load_word(row), w01 = dsp_load_word(row + 2);
            const int32_t w10 = dsp_load_word(row + inputs);
            const int32_t w11 = dsp_load_word(row + inputs + 2);
            int32_t even = dsp_sxtb16(dsp_load_word(a));
            int32_t odd = dsp_sxtb16_odd(dsp_load_word(a));
            int32_t low = dsp_pack_halfwords(even, odd), high = dsp_pkhtb(odd, even);
            sums[0][0] = dsp_smlad(high, w01, dsp_smlad(low, w00, sums[0][0]));
            sums[0][1] = dsp_smlad(high, w11, dsp_smlad(low, w10, sums[0][1]));
            even = dsp_sxtb16(dsp_load_word(a + inputs));
            odd = dsp_sxtb16_odd(dsp_load_word(a + inputs));
            low = dsp_pack_halfwords(even, odd);
            high = dsp_pkhtb(odd, even);
            sums[1][0] = dsp_smlad(high, w01, dsp_smlad(low, w00, sums[1][0]));
            sums[1][1] = dsp_smlad(high, w11, dsp_smlad(low, w10, sums[1][1]));
        }
        for (int32_t p = 0; p < 2; p++) {
            for (int32_t u = 0; u < 2; u++) {
                products[p * cell->units + i + u] =
                    (int32_t)((uint32_t)cell->bias[i + u] +
                              ((uint32_t)sums[p][u] << (uint32_t)cell->w_shift));
            }
        }
    }
}

void fastgrnn_pixel_products(const fastgrnn_t *cell, const int8_t *x, int32_t count,
                             int32_t *products) {
    REQUIRES(count > 0 && cell->units > 0 && cell->inputs > 0);
    REQUIRES(0 <= cell->w_shift && cell->w_shift < 32);
    const bool by_words = cell->inputs % 4 == 0 && cell->units % 2 == 0 && IS_ALIGNED(x, 4);
    if (cell->pixel_products != NULL && count >= FASTGRNN_LEAST_VECTORS) {
        cell->pixel_products(x, count, products);
        return;
    }
    if (cell->state_products != NULL && count >= FASTGRNN_LEAST_VECTORS) {
        widened_products(cell, x, count, products);
        return;
    }
    for (; by_words && count >= 2; count -= 2, x += 2 * cell->inputs, products += 2 * cell->units) {
        two_pixels(cell, x, products);
    }
    for (int32_t n = 0; n < count; n++, x += cell->inputs) {
        const int16_t *w = cell->w;
        for (int32_t i = 0; i < cell->units; i++, w += cell->inputs) {
            uint32_t sum = 0;
            for (int32_t k = 0; k < cell->inputs; k++) {
                sum += (uint32_t)(w[k] * x[k]);
            }
            *products++ = (int32_t)((uint32_t)cell->bias[i] + (sum << (uint32_t)cell->w_shift));
        }
    }
}

void fastgrnn_state_products(const fastgrnn_t *cell, const int16_t *x, int32_t count,
                             int32_t *products) {
    REQUIRES(count > 0 && IS_ALIGNED(x, 4) && cell->units > 0 && cell->inputs > 0);
    REQUIRES(0 <= cell->w_shift && cell->w_shift < 32);
    if (cell->state_products != NULL && count >= FASTGRNN_LEAST_VECTORS) {
        cell->state_products(x, count, products);
        return;
    }
    for (int32_t n = 0; n < count; n++, x += cell->inputs) {
        const int16_t *w = cell->w;
        for (int32_t i = 0; i < cell->units; i++, w += cell->inputs) {
            uint32_t sum = 0;
            for (int32_t k = 0; k < cell->inputs; k++) {
                sum += (uint32_t)(w[k] * x[k]);
            }
            *products++ = (int32_t)((uint32_t)cell->bias[i] + (sum << (uint32_t)cell->w_shift));
        }
    }
}

static uint32_t entry_of(const fastgrnn_t *cell, const uint32_t *table, int32_t acc, int32_t unit) {
    int32_t index = dsp_clamp(acc >> cell->index_shift, 0, dsp_shift_left(1, cell->index_bits) - 1);
    return table[index * cell->units + unit];
}

static void step(const fastgrnn_t *cell, const int32_t *products, const uint32_t *table,
                 int16_t *h) {
    REQUIRES(cell->units > 0 && cell->units <= FASTGRNN_MOST_UNITS);
    int16_t next[FASTGRNN_MOST_UNITS];
    const bool by_words = cell->units % 4 == 0;
    const int16_t *u = cell->u;
    for (int32_t i = 0; i < cell->units; i++, u += cell->units) {
        uint32_t acc = (uint32_t)products[i];
        int32_t k = 0;
        for (; by_words && k < cell->units; k += 4) {
            const int32_t u0 = dsp_load_word(u + k), u1 = dsp_load_word(u + k + 2);
            const int32_t h0 = dsp_load_word(h + k), h1 = dsp_load_word(h + k + 2);
            acc = (uint32_t)dsp_smlad(u1, h1, dsp_smlad(u0, h0, (int32_t)acc));
        }
        for (; k < cell->units; k++) {
            acc += (uint32_t)(u[k] * h[k]);
        }
        uint32_t entry = entry_of(cell, table, (int32_t)acc, i);
        uint32_t product = (uint32_t)(dsp_smlabb((int32_t)entry, h[i], 0));
        next[i] = (int16_t)((int32_t)(product + entry) >> 15);
    }
    memcpy(h, next, (size_t)cell->units * sizeof next[0]);
}

void fastgrnn_go_on(const fastgrnn_t *cell, const int32_t *products, const uint32_t *table,
                    const fastgrnn_sweep_t *sweep, int16_t *h) {
    REQUIRES(sweep->steps >= 0 && sweep->sequences > 0);
    REQUIRES(1 <= cell->index_bits && cell->index_bits <= FASTGRNN_MOST_INDEX_BITS);
    REQUIRES(0 <= cell->index_shift && cell->index_shift < 32 && IS_ALIGNED(h, 4));
    if (sweep->steps == 0) {
        return;
    }
    if (cell->go_on != NULL) {
        cell->go_on(products, table, sweep, h);
        return;
    }
    for (int32_t s = 0; s < sweep->sequences; s++, h += cell->units) {
        for (int32_t t = 0; t < sweep->steps; t++) {
            step(cell, products + s * sweep->sequence_stride + t * sweep->step_stride, table, h);
        }
    }
}

void fastgrnn_start(const fastgrnn_t *cell, const int32_t *products, const uint32_t *table,
                    const fastgrnn_sweep_t *sweep, int16_t *h) {
    REQUIRES(sweep->steps > 0 && sweep->sequences > 0 && cell->units > 0);
    REQUIRES(1 <= cell->index_bits && cell->index_bits <= FASTGRNN_MOST_INDEX_BITS);
    REQUIRES(0 <= cell->index_shift && cell->index_shift < 32);
    if (cell->start != NULL) {
        cell->start(products, table, sweep, h);
    } else {
        int16_t *state = h;
        for (int32_t s = 0; s < sweep->sequences; s++) {
            const int32_t *acc = products + s * sweep->sequence_stride;
            for (int32_t i = 0; i < cell->units; i++) {
                *state++ = (int16_t)((int32_t)entry_of(cell, table, acc[i], i) >> 15);
            }
        }
    }
    fastgrnn_sweep_t rest = *sweep;
    rest.steps -= 1;
    fastgrnn_go_on(cell, products + sweep->step_stride, table, &rest, h);
}
