#include "matmul.h"

#include "contract.h"
#include "dsp.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

int32_t matmul_stream_words(const matmul_t *product) {
    return product->channels / 2 *
           (BIAS_WORDS + product->segments * product->depth + TRAILER_WORDS);
}

/* Both halves of a word, neither of which overflows. */
static int32_t shift_halves(int32_t pair, int32_t shift) {
    const uint32_t bits = (uint32_t)pair;
    return (int32_t)((bits & 0xFFFF0000U) << shift | (bits << shift & 0xFFFFU));
}

void matmul_widen(int32_t four, int32_t shift, int32_t *to) {
    to[0] = shift_halves(dsp_sxtb16(four), shift);
    to[1] = shift_halves(dsp_sxtb16_odd(four), shift);
}

int32_t *matmul_unpack(const matmul_t *product, const int32_t *from, int32_t *to) {
    REQUIRES(ARE_SIZES(product->depth, product->segments, product->channels));
    REQUIRES(product->depth % 2 == 0 && product->channels % 2 == 0);
    REQUIRES(0 <= product->shift && product->shift <= 7);
    if (!product->narrow) {
        const int32_t words = matmul_stream_words(product);
        memcpy(to, from, (size_t)words * sizeof *to);
        return to + words;
    }
    const int32_t weights = product->segments * product->depth;
    for (int32_t c = 0; c < product->channels; c += 2) {
        *to++ = *from++;
        *to++ = *from++;
        if (product->shift > 0) {
            for (int32_t i = 0; i < weights; i += 2, to += 2) {
                matmul_widen(*from++, product->shift, to);
            }
        } else {
            for (int32_t i = 0; i < weights; i += 2) {
                const int32_t four = *from++;
                *to++ = dsp_sxtb16(four);
                *to++ = dsp_sxtb16_odd(four);
            }
        }
        for (int32_t i = 0; i < TRAILER_WORDS; i++) {
            *to++ = *from++;
        }
    }
    return to;
}

/* One pixel's sum for the first or second channel of a pair. */
static int32_t sum_of(const matmul_t *product, const int8_t *x, const int32_t *pair,
                      int32_t second) {
    int32_t sum = pair[second];
    const int32_t *weight = pair + 2 + second;
    for (int32_t s = 0; s < product->segments; s++) {
        for (int32_t k = 0; k < product->depth; k += 2, weight += 2) {
            sum = dsp_smlad(dsp_load_word(x + 2 * k), *weight, sum);
        }
        x += product->segment_bytes;
    }
    return sum;
}

static int32_t residual_term(const matmul_t *product, int32_t q) {
    int32_t scaled = (q - product->residual_zero) * product->residual_multiplier;
    return (scaled + dsp_shift_left(1, product->residual_shift - 1)) >> product->residual_shift;
}

void matmul(const matmul_t *product, int32_t pixels, const int16_t *x, const int32_t *weights,
            void *y, const int8_t *residual) {
    REQUIRES(0 < pixels && pixels <= product->most_pixels);
    REQUIRES(product->most_pixels <= MATMUL_MOST_PIXELS);
    REQUIRES(product->depth > 0 && product->depth % 2 == 0 && product->segments > 0);
    REQUIRES(product->channels > 0 && product->channels % 2 == 0);
    REQUIRES(product->y_bytes == 1 || product->y_bytes == 2);
    REQUIRES(product->low <= product->high);
    REQUIRES(product->y_bytes == 2 || (IS_BYTE(product->low) && IS_BYTE(product->high)));
    REQUIRES(product->low >= INT16_MIN && product->high <= INT16_MAX);
    REQUIRES(product->segment_bytes >= 0 && product->segment_bytes % 4 == 0);
    REQUIRES(product->pixel_bytes >= 0);
    REQUIRES(product->y_channel_bytes >= product->y_bytes && product->y_pixel_bytes >= 0);
    REQUIRES(product->y_channel_bytes % product->y_bytes == 0);
    REQUIRES(product->y_pixel_bytes % product->y_bytes == 0);
    REQUIRES(0 <= product->residual_shift && product->residual_shift <= 30);
    REQUIRES(product->residual_shift == 0 || (residual != NULL && product->y_bytes == 1));
    REQUIRES(product->residual_shift == 0 || IS_BYTE(product->residual_zero));
    REQUIRES(product->residual_shift == 0 || IS_RESIDUAL_FACTOR(product->residual_multiplier));
    REQUIRES(IS_ALIGNED(x, 4) && IS_ALIGNED(weights, 4));
    REQUIRES(product->y_bytes == 1 || IS_ALIGNED(y, 2));
    if (product->code[pixels - 1] != NULL) {
        product->code[pixels - 1](x, weights, y, residual);
        return;
    }
    const int32_t pair_words = BIAS_WORDS + product->segments * product->depth + TRAILER_WORDS;
    for (int32_t p = 0; p < pixels; p++) {
        const int8_t *from = (const int8_t *)x + p * product->pixel_bytes;
        for (int32_t c = 0; c < product->channels; c++) {
            const int32_t *pair = weights + c / 2 * pair_words;
            int32_t multiplier = pair[pair_words - 3 + c % 2];
            int32_t value = dsp_smmulr(sum_of(product, from, pair, c % 2), multiplier);
            value += pair[pair_words - 1];
            int32_t at = p * product->y_pixel_bytes + c * product->y_channel_bytes;
            if (product->residual_shift > 0) {
                value += residual_term(product, residual[at]);
            }
            value = dsp_clamp(value, product->low, product->high);
            if (product->y_bytes == 1) {
                *((int8_t *)y + at) = (int8_t)value;
            } else {
                *(int16_t *)(void *)((int8_t *)y + at) = (int16_t)value;
            }
        }
    }
}
