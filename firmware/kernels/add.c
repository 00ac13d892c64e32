#include "add.h"

#include "contract.h"
#include "dsp.h"

/* A shift of 0 adds no half and takes nothing off. */
static int32_t scaled(int32_t value, const add_scale_t *by) {
    const int32_t product = dsp_smmulr(value, by->multiplier);
    if (by->shift == 0) {
        return product;
    }
    const int32_t half = dsp_shift_left(1, by->shift - 1);
    return (product + half - (product < 0 ? 1 : 0)) >> by->shift;
}

/* Every term that an input's byte, taken as unsigned, can give. */
static void tabulate(const add_t *layer, int32_t i, int32_t *terms) {
    for (int32_t byte = 0; byte < ADD_LEVELS; byte++) {
        const int32_t q = (int8_t)(uint8_t)byte - layer->zeros[i];
        terms[byte] = scaled(dsp_shift_left(q, ADD_HEADROOM_BITS + 1), &layer->terms[i]);
    }
}

void add(const add_t *layer, int32_t count, const int8_t *a, const int8_t *b, int8_t *y) {
    REQUIRES(count >= 0 && layer->tables != NULL && IS_ALIGNED(layer->tables, 4));
    REQUIRES(IS_BYTE(layer->low) && layer->low <= layer->high && layer->high <= 127);
    REQUIRES(IS_BYTE(layer->y_zero));
    for (int32_t i = 0; i < 2; i++) {
        REQUIRES(0 <= layer->terms[i].shift && layer->terms[i].shift <= 30);
        REQUIRES(-128 <= layer->zeros[i] && layer->zeros[i] <= 127);
        tabulate(layer, i, layer->tables + i * ADD_LEVELS);
    }
    REQUIRES(0 <= layer->sum.shift && layer->sum.shift <= 30);
    const int32_t *first = layer->tables, *second = layer->tables + ADD_LEVELS;
    /* In registers: a store to y could change what layer points to. */
    const add_scale_t whole = layer->sum;
    const int32_t zero = layer->y_zero, low = layer->low, high = layer->high;
    const int8_t *end = a + count;
    while (a < end) {
        const int32_t sum = first[(uint8_t)*a++] + second[(uint8_t)*b++];
        const int32_t value = zero + scaled(dsp_shift_left(sum, 1), &whole);
        *y++ = (int8_t)dsp_clamp(value, low, high);
    }
}
