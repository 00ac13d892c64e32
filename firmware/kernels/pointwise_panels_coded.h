/* The 1x1 convolution of pointwise_panels.h with weights in an entropy code. */
#ifndef HIL_POINTWISE_PANELS_CODED_H
#define HIL_POINTWISE_PANELS_CODED_H

#include "coded.h"
#include "pointwise_panels.h"

/* As pointwise_panels(); `weights` are panels as coded.h describes them, and `copy` has room for
 * the decoder's table. */
void pointwise_panels_coded(const pointwise_panels_t *layer, const int8_t *x,
                            const int8_t *residual, int8_t *y);

#endif
