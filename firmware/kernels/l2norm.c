#include "l2norm.h"

#include <stdbool.h>

#include "contract.h"
#include "dsp.h"

/* 2**30 / sqrt(sum), rounded as IEEE single precision has it, then towards zero. */
static int32_t reciprocal_root(int32_t sum) {
    return sum == 0 ? 0 : (int32_t)(1073741824.0F / dsp_square_root((float)sum));
}

/* sum (x - zero)**2 */
static int32_t about_zero(const l2norm_t *layer, int32_t squares, int32_t sum) {
    return squares + layer->x_zero * (layer->channels * layer->x_zero - 2 * sum);
}

static int32_t sum_of_squares(const l2norm_t *layer, const int8_t *x) {
    int32_t squares = 0;
    int32_t sum = 0;
    for (const int8_t *end = x + layer->channels; x != end; x++) {
        squares += *x * *x;
        sum += *x;
    }
    return about_zero(layer, squares, sum);
}

/* The same of channels that are a multiple of four, at a word's address. */
static int32_t sum_of_fours(const l2norm_t *layer, const int8_t *x) {
    int32_t squares = 0;
    int32_t sum = 0;
    for (const int8_t *end = x + layer->channels; x != end; x += 4) {
        const int32_t word = dsp_load_word(x);
        const int32_t even = dsp_sxtb16(word);
        const int32_t odd = dsp_sxtb16_odd(word);
        squares = dsp_smlad(odd, odd, dsp_smlad(even, even, squares));
        sum = dsp_smlad(odd, 0x00010001, dsp_smlad(even, 0x00010001, sum));
    }
    return about_zero(layer, squares, sum);
}

/* Four values at a time, in registers. */
typedef struct {
    int32_t y[4];
} four_t;

/* saturate8(y_zero + smmulr(x * scale - offset, multiplier)) of four values. */
HIL_INLINE four_t scaled(int32_t word, const int32_t *multiplier, int32_t scale, int32_t offset,
                         int32_t y_zero) {
    const int32_t m0 = multiplier[0];
    const int32_t m1 = multiplier[1];
    const int32_t m2 = multiplier[2];
    const int32_t m3 = multiplier[3];
    return (four_t){
        {dsp_saturate8(dsp_smmlar(dsp_mla(dsp_sxtb(word, 0), scale, offset), m0, y_zero)),
         dsp_saturate8(dsp_smmlar(dsp_mla(dsp_sxtb(word, 1), scale, offset), m1, y_zero)),
         dsp_saturate8(dsp_smmlar(dsp_mla(dsp_sxtb(word, 2), scale, offset), m2, y_zero)),
         dsp_saturate8(dsp_smmlar(dsp_mla(dsp_sxtb(word, 3), scale, offset), m3, y_zero))}};
}

/* One pixel whose channels are a multiple of four; all aligned to words. */
static void scale_fours(const int8_t *x, const int32_t *multiplier, int32_t count, int32_t scale,
                        int32_t offset, int32_t y_zero, int8_t *y) {
    for (const int8_t *end = x + count; x != end; x += 4, y += 4, multiplier += 4) {
        const four_t four = scaled(dsp_load_word(x), multiplier, scale, offset, y_zero);
        dsp_store_word(y, dsp_pack_bytes(four.y[0], four.y[1], four.y[2], four.y[3]));
    }
}

/* The same in the order of `widen`; by itself, as its values fill the registers. */
static __attribute__((noinline)) void widen_fours(const int8_t *x, const int32_t *multiplier,
                                                  int32_t count, int32_t scale, int32_t offset,
                                                  int32_t y_zero, int16_t *y) {
    for (const int8_t *end = x + count; x != end; x += 4, y += 4, multiplier += 4) {
        const four_t four = scaled(dsp_load_word(x), multiplier, scale, offset, y_zero);
        dsp_store_word(y, dsp_pack_halfwords(four.y[0], four.y[2]));
        dsp_store_word(y + 2, dsp_pack_halfwords(four.y[1], four.y[3]));
    }
}

/* Pixels of four channels, a word each: their multipliers stay in registers, and nothing is called
 * for a pixel. */
static void widen_words(const l2norm_t *layer, int32_t pixels, const int8_t *x, int16_t *y) {
    const int32_t zero = layer->x_zero;
    const int32_t y_zero = layer->y_zero;
    const int32_t m[4] = {layer->multiplier[0], layer->multiplier[1], layer->multiplier[2],
                          layer->multiplier[3]};
    for (const int8_t *end = x + 4 * pixels; x != end; x += 4, y += 4) {
        const int32_t word = dsp_load_word(x);
        const int32_t even = dsp_sxtb16(word);
        const int32_t odd = dsp_sxtb16_odd(word);
        const int32_t squares = dsp_smlad(odd, odd, dsp_smlad(even, even, 0));
        const int32_t sum = dsp_smlad(odd, 0x00010001, dsp_smlad(even, 0x00010001, 0));
        const int32_t scale = reciprocal_root(squares + zero * (4 * zero - 2 * sum));
        const four_t four = scaled(word, m, scale, dsp_mla(-zero, scale, 0), y_zero);
        dsp_store_word(y, dsp_pack_halfwords(four.y[0], four.y[2]));
        dsp_store_word(y + 2, dsp_pack_halfwords(four.y[1], four.y[3]));
    }
}

void l2norm_widened(const l2norm_t *layer, int32_t pixels, const int8_t *x, int16_t *y) {
    REQUIRES(0 < layer->channels && layer->channels <= L2NORM_MOST_CHANNELS);
    REQUIRES(layer->channels % 4 == 0 && IS_ALIGNED(x, 4) && IS_ALIGNED(y, 4));
    REQUIRES(IS_BYTE(layer->x_zero) && IS_BYTE(layer->y_zero));
    REQUIRES(pixels >= 0);
    const int32_t channels = layer->channels;
    if (channels == 4) {
        widen_words(layer, pixels, x, y);
        return;
    }
    for (int32_t pixel = 0; pixel < pixels; pixel++, x += channels, y += channels) {
        const int32_t scale = reciprocal_root(sum_of_fours(layer, x));
        const int32_t offset = dsp_mla(-layer->x_zero, scale, 0);
        widen_fours(x, layer->multiplier, channels, scale, offset, layer->y_zero, y);
    }
}

void l2norm(const l2norm_t *layer, int32_t pixels, const int8_t *x, int8_t *y) {
    REQUIRES(0 < layer->channels && layer->channels <= L2NORM_MOST_CHANNELS);
    REQUIRES(IS_BYTE(layer->x_zero) && IS_BYTE(layer->y_zero));
    REQUIRES(pixels >= 0);
    const int32_t channels = layer->channels;
    const bool by_fours = channels % 4 == 0 && (((uintptr_t)x | (uintptr_t)y) & 3U) == 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++, x += channels, y += channels) {
        /* x * scale and zero * scale may wrap, their difference does not. */
        const int32_t scale =
            reciprocal_root(by_fours ? sum_of_fours(layer, x) : sum_of_squares(layer, x));
        const int32_t offset = dsp_mla(-layer->x_zero, scale, 0);
        if (by_fours) {
            scale_fours(x, layer->multiplier, channels, scale, offset, layer->y_zero, y);
            continue;
        }
        for (int32_t c = 0; c < channels; c++) {
            int32_t scaled = dsp_mla(x[c], scale, offset);
            y[c] = (int8_t)dsp_saturate8(dsp_smmlar(scaled, layer->multiplier[c], layer->y_zero));
        }
    }
}
