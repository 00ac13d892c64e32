/* Look-up: an activation that is no clamp, as a table of its 256 answers. */
#ifndef HIL_LOOKUP_H
#define HIL_LOOKUP_H

#include <stdint.h>

enum { LOOKUP_ENTRIES = 256 };

/* table: the answers, by the value's byte taken as unsigned. copy: memory for them, which is
   quicker than flash; NULL to read them where they are. */
typedef struct {
    const int8_t *table;
    int8_t *copy;
    int32_t channels;
} lookup_t;

/* y = table[(uint8_t)x] for every value of `pixels` pixels; `y` may be `x`. */
void lookup(const lookup_t *layer, int32_t pixels, const int8_t *x, int8_t *y);

#endif
