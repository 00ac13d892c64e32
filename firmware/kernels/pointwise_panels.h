/* A 1x1 convolution whose weights do not fit the memory. */
#ifndef HIL_POINTWISE_PANELS_H
#define HIL_POINTWISE_PANELS_H

#include "panels.h"

/* y = product(x) (+ residual): every panel over all pixels, so that each weight is widened once.
 * `y` may lie over `x` only where all of `x` is held. */
typedef struct {
    panels_t panels;
    const int32_t *weights;            /* in flash */
    int32_t pixels, channels, outputs; /* of x; of y */
    bool held; /* all pixels of x are widened at once, rather than three for each panel anew */

    /* Working memory. */
    int32_t *copy;   /* a panel's weights */
    int16_t *window; /* all pixels, or three, widened */
} pointwise_panels_t;

void pointwise_panels(const pointwise_panels_t *layer, const int8_t *x, const int8_t *residual,
                      int8_t *y);

#endif
