#include "panels.h"

#include "contract.h"
#include "dsp.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

const matmul_t *panels_product(const panels_t *panels, int32_t index) {
    REQUIRES(index >= 0 && panels->whole > 0);
    if (index < panels->whole) {
        return &panels->product;
    }
    return index == panels->whole && panels->rest.channels > 0 ? &panels->rest : NULL;
}

/* Both halves of a word, neither of which overflows. */
static int32_t shift_halves(int32_t pair, int32_t shift) {
    const uint32_t bits = (uint32_t)pair;
    return (int32_t)((bits & 0xFFFF0000U) << shift | (bits << shift & 0xFFFFU));
}

void panels_widen(int32_t four, int32_t shift, int32_t *to) {
    to[0] = shift_halves(dsp_sxtb16(four), shift);
    to[1] = shift_halves(dsp_sxtb16_odd(four), shift);
}

const int32_t *panels_unpack(const panels_t *panels, const matmul_t *product, const int32_t *from,
                             int32_t *to) {
    REQUIRES(0 <= panels->shift && panels->shift <= 7);
    REQUIRES(product->narrow && product->channels % 2 == 0);
    const int32_t weights = product->segments * product->depth;
    if (panels->shift == 0) {
        matmul_unpack(product, from, to);
        return from + product->channels / 2 * (BIAS_WORDS + weights / 2 + TRAILER_WORDS);
    }
    for (int32_t c = 0; c < product->channels; c += 2) {
        for (int32_t i = 0; i < BIAS_WORDS; i++) {
            *to++ = *from++;
        }
        for (int32_t i = 0; i < weights; i += 2, to += 2) {
            panels_widen(*from++, panels->shift, to);
        }
        for (int32_t i = 0; i < TRAILER_WORDS; i++) {
            *to++ = *from++;
        }
    }
    return from;
}
