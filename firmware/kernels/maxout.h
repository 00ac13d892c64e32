/* Max-out: the first channels reduced to their maximum. */
#ifndef HIL_MAXOUT_H
#define HIL_MAXOUT_H

#include <stdint.h>

typedef struct {
    int32_t pixels, channels, groups;
} maxout_t;

/* y = [max(x[0 .. groups)), x[groups ..]] in every pixel; `y` may be `x`. */
void maxout(const maxout_t *layer, const int8_t *x, int8_t *y);

#endif
