#include "l2norm.h"

#include "dsp.h"

/* 2**30 / sqrt(sum), rounded as IEEE single precision has it, then towards zero. */
static int32_t reciprocal_root(int32_t sum) {
    return sum == 0 ? 0 : (int32_t)(1073741824.0F / square_root((float)sum));
}

static int32_t sum_of_squares(const l2norm_t *layer, const int8_t *x) {
    int32_t squares = 0;
    int32_t sum = 0;
    int32_t c = 0;
    for (; c + 4 <= layer->channels && ((uintptr_t)x & 3U) == 0; c += 4) {
        int32_t word = load_word(x + c);
        int32_t even = sxtb16(word);
        int32_t odd = sxtb16_odd(word);
        squares = smlad(odd, odd, smlad(even, even, squares));
        sum = smlad(odd, 0x00010001, smlad(even, 0x00010001, sum));
    }
    for (; c < layer->channels; c++) {
        squares += x[c] * x[c];
        sum += x[c];
    }
    /* sum (x - zero)**2 */
    return squares - 2 * layer->x_zero * sum + layer->channels * layer->x_zero * layer->x_zero;
}

void l2norm(const l2norm_t *layer, int32_t pixels, const int8_t *x, int8_t *y) {
    const int32_t y_zero = layer->y_zero;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        /* x * scale and zero * scale may wrap, their difference does not. */
        const uint32_t scale = (uint32_t)reciprocal_root(sum_of_squares(layer, x));
        const uint32_t offset = (uint32_t)layer->x_zero * scale;
        const int32_t *multiplier = layer->multiplier;
        const int8_t *end = x + layer->channels;
        for (; layer->channels % 4 == 0 && x != end; x += 4, y += 4, multiplier += 4) {
            const uint32_t word = (uint32_t)load_word(x);
            uint32_t packed = 0;
            for (uint32_t lane = 0; lane < 4; lane++) {
                uint32_t value = (uint32_t)(int8_t)(uint8_t)(word >> (8 * lane) & 0xFFU);
                int32_t scaled = (int32_t)(value * scale - offset);
                uint32_t rounded = (uint32_t)saturate8(smmlar(scaled, multiplier[lane], y_zero));
                packed |= (rounded & 0xFFU) << (8 * lane);
            }
            store_word(y, (int32_t)packed);
        }
        while (x != end) {
            int32_t scaled = (int32_t)((uint32_t)*x++ * scale - offset);
            *y++ = (int8_t)saturate8(smmlar(scaled, *multiplier++, y_zero));
        }
    }
}
