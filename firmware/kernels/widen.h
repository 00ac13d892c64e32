/* int8 values as int16. */
#ifndef HIL_WIDEN_H
#define HIL_WIDEN_H

#include "dsp.h"

/* In the order in which two instructions widen four of them: y = x[0], x[2], x[1], x[3], x[4],
 * x[6], x[5], x[7] ... for a count that is a multiple of four; both aligned to words. */
HIL_INLINE void widen(const int8_t *x, int32_t count, int16_t *y) {
    for (const int8_t *end = x + count; x != end; x += 4, y += 4) {
        int32_t word = dsp_load_word(x);
        dsp_store_word(y, dsp_sxtb16(word));
        dsp_store_word(y + 2, dsp_sxtb16_odd(word));
    }
}

/* In their own order, any count, at any address. */
HIL_INLINE void widen_in_order(const int8_t *x, int32_t count, int16_t *y) {
    const int8_t *const end = x + count;
    for (const int8_t *fours = x + (count & ~3); x != fours; x += 4, y += 4) {
        const int32_t word = dsp_load_word_anywhere(x);
        const int32_t even = dsp_sxtb16(word);
        const int32_t odd = dsp_sxtb16_odd(word);
        dsp_store_word_anywhere(y, dsp_pack_halfwords(even, odd));
        dsp_store_word_anywhere(y + 2, dsp_pkhtb(odd, even));
    }
    while (x != end) {
        *y++ = *x++;
    }
}

/* So many times the same. */
HIL_INLINE void widen_fill(int32_t value, int32_t count, int16_t *y) {
    for (const int16_t *end = y + count; y != end;) {
        *y++ = (int16_t)value;
    }
}

#endif
