/* Max-out: the first channels reduced to their maximum. */
#ifndef HIL_MAXOUT_H
#define HIL_MAXOUT_H

#include <stdint.h>

typedef struct {
    int32_t channels, groups;
} maxout_t;

/* y = [max(x[0 .. groups)), x[groups ..]] in every one of `pixels`; `y` may be `x`. */
void maxout(const maxout_t *layer, int32_t pixels, const int8_t *x, int8_t *y);

#endif
