#include "gru.h"

#include "contract.h"
#include "dsp.h"

enum { GATES = 3 };

int32_t gru_state_units(const gru_t *gru) {
    return gru->units + gru->units % 2;
}

int32_t gru_recurrent_words(const gru_t *gru) {
    return gru->units * (1 + GATES * gru_state_units(gru) / 2);
}

static int32_t sigmoid(const gru_t *gru, const int16_t *middle, int32_t a) {
    const int32_t half = dsp_shift_left(1, gru->index_bits - 1);
    return middle[dsp_clamp(a >> gru->index_shift, -half, half - 1)];
}

void gru_step(const gru_t *gru, const int16_t *products, const int32_t *recurrent,
              const int16_t *table, int32_t sequences, const int16_t *h, int16_t *next) {
    REQUIRES(gru->units > 0 && sequences > 0);
    REQUIRES(1 <= gru->index_bits && gru->index_bits <= 16);
    REQUIRES(0 <= gru->index_shift && gru->index_shift < 32);
    REQUIRES(0 <= gru->product_shift && gru->product_shift <= 16);
    REQUIRES(IS_ALIGNED(products, 4) && IS_ALIGNED(h, 4) && IS_ALIGNED(next, 4));
    REQUIRES(h != next);
    const int16_t *middle = table + dsp_shift_left(1, gru->index_bits - 1);
    if (gru->code != NULL) {
        gru->code(products, recurrent, middle, h, next, (sequences + 1) / 2);
        return;
    }
    const int32_t states = gru_state_units(gru);
    const int32_t product_values = GATES * gru->units + GATES * gru->units % 2;
    for (int32_t s = 0; s < sequences; s++, h += states, next += states) {
        const int16_t *p = products + s * product_values;
        const int32_t *word = recurrent;
        for (int32_t i = 0; i < gru->units; i++, p += GATES) {
            int32_t r = dsp_shift_left(p[0], gru->product_shift);
            int32_t z = dsp_shift_left(p[1], gru->product_shift);
            int32_t m = *word++;
            for (int32_t k = 0; k < states; k += 2, word += GATES) {
                const int32_t two = dsp_load_word(h + k);
                r = dsp_smlad(two, word[0], r);
                z = dsp_smlad(two, word[1], z);
                m = dsp_smlad(two, word[2], m);
            }
            const int32_t of_x = dsp_shift_left(p[2], gru->product_shift);
            const int32_t of_h = dsp_smlawb(m, sigmoid(gru, middle, r), of_x);
            const int32_t n = 2 * sigmoid(gru, middle, of_h) - 32768;
            next[i] = (int16_t)(n + ((sigmoid(gru, middle, z) * (h[i] - n) + 16384) >> 15));
        }
    }
}
