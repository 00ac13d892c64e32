#include "matmul.h"

#include "contract.h"
#include "dsp.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3, AT_ONCE = 4 };

int32_t matmul_stream_words(const matmul_t *product) {
    return product->channels / 2 *
           (BIAS_WORDS + product->segments * product->depth + TRAILER_WORDS);
}

/* Both halves of a word, neither of which overflows; `spilt` has the bits of the upper half that
 * the lower one's sign reaches. */
HIL_INLINE int32_t shift_halves(int32_t pair, int32_t shift, uint32_t spilt) {
    return (int32_t)((uint32_t)pair << shift & ~spilt);
}

static uint32_t spilt_by(int32_t shift) {
    return ((1U << shift) - 1) << 16;
}

void matmul_widen(int32_t four, int32_t shift, int32_t *to) {
    const uint32_t spilt = spilt_by(shift);
    to[0] = shift_halves(dsp_sxtb16(four), shift, spilt);
    to[1] = shift_halves(dsp_sxtb16_odd(four), shift, spilt);
}

/* Words of int8 weights, four at a time: loads in a row take a cycle each. Not inlined, so that all
 * of its registers are its own. */
__attribute__((noinline)) static void widen_weights(const int32_t *from, int32_t words,
                                                    int32_t *to) {
    for (; words >= AT_ONCE; words -= AT_ONCE, from += AT_ONCE, to += 2 * AT_ONCE) {
        const int32_t a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = dsp_sxtb16(a);
        to[1] = dsp_sxtb16_odd(a);
        to[2] = dsp_sxtb16(b);
        to[3] = dsp_sxtb16_odd(b);
        to[4] = dsp_sxtb16(c);
        to[5] = dsp_sxtb16_odd(c);
        to[6] = dsp_sxtb16(d);
        to[7] = dsp_sxtb16_odd(d);
    }
    for (; words > 0; words--, to += 2) {
        const int32_t four = *from++;
        to[0] = dsp_sxtb16(four);
        to[1] = dsp_sxtb16_odd(four);
    }
}

static void widen_shifted(const int32_t *from, int32_t words, int32_t shift, int32_t *to) {
    const uint32_t spilt = spilt_by(shift);
    for (; words > 0; words--, to += 2) {
        const int32_t four = *from++;
        to[0] = shift_halves(dsp_sxtb16(four), shift, spilt);
        to[1] = shift_halves(dsp_sxtb16_odd(four), shift, spilt);
    }
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
    const int32_t words = product->segments * product->depth / 2;
    for (int32_t c = 0; c < product->channels; c += 2) {
        *to++ = *from++;
        *to++ = *from++;
        if (product->shift > 0) {
            widen_shifted(from, words, product->shift, to);
        } else {
            widen_weights(from, words, to);
        }
        from += words;
        to += 2 * words;
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
        product->code[pixels - 1](x, weights, y, residual, 1);
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

/* How often matmul_take takes the most pixels of so many, of which it takes the most first. */
static int32_t groups_of(int32_t pixels) {
    const int32_t left = pixels % MATMUL_MOST_PIXELS;
    return pixels / MATMUL_MOST_PIXELS - (left == 0 ? 0 : MATMUL_MOST_PIXELS - 1 - left);
}

void matmul_run(const matmul_t *product, int32_t pixels, const int16_t *x, const int32_t *weights,
                void *y, const int8_t *residual) {
    REQUIRES(0 < product->most_pixels && product->most_pixels <= MATMUL_MOST_PIXELS);
    REQUIRES(IS_SIZE(pixels) && 0 <= product->pixel_bytes && product->pixel_bytes % 4 == 0);
    REQUIRES(IS_SIZE(product->y_pixel_bytes) && IS_SIZE(product->pixel_bytes));
    const int8_t *from = (const int8_t *)x;
    int8_t *to = y;
    for (int32_t left = pixels, taken = 0; left > 0; left -= taken) {
        taken = matmul_take(product, left);
        if (taken == MATMUL_MOST_PIXELS && product->code[taken - 1] != NULL) {
            const int32_t groups = groups_of(left);
            product->code[taken - 1]((const int16_t *)(const void *)from, weights, to, residual,
                                     groups);
            taken *= groups;
        } else {
            matmul(product, taken, (const int16_t *)(const void *)from, weights, to, residual);
        }
        from += taken * product->pixel_bytes;
        to += taken * product->y_pixel_bytes;
        residual = residual == NULL ? NULL : residual + taken * product->y_pixel_bytes;
    }
}
