/* int8 values as int16, in the order in which two instructions widen four of them. */
#ifndef HIL_WIDEN_H
#define HIL_WIDEN_H

#include "dsp.h"

/* y = x[0], x[2], x[1], x[3], x[4], x[6], x[5], x[7] ... for a count that is a multiple of four;
 * both aligned to words. */
HIL_INLINE void widen(const int8_t *x, int32_t count, int16_t *y) {
    for (const int8_t *end = x + count; x != end; x += 4, y += 4) {
        int32_t word = load_word(x);
        store_word(y, sxtb16(word));
        store_word(y + 2, sxtb16_odd(word));
    }
}

#endif
