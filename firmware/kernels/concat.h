/* The channels of maps of one size, one after another. */
#ifndef HIL_CONCAT_H
#define HIL_CONCAT_H

#include <stdint.h>

/* One of the maps. Where it has the output's scale and zero point the multiplier is 0 and
 * y = x; else y = clamp(y_zero + smmulr((x - zero) << shift, multiplier), -128, 127) */
typedef struct {
    int32_t channels, zero, multiplier, shift;
} concat_part_t;

typedef struct {
    const concat_part_t *part;
    int32_t parts, pixels, y_zero;
} concat_t;

/* `y` may lie over x[0], if it ends where x[0] ends or before. */
void concat(const concat_t *layer, const int8_t *const *x, int8_t *y);

#endif
