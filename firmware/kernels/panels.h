/* A matrix product whose weights are too many for the memory at once: they pass through it by
 * panels of output channels. */
#ifndef HIL_PANELS_H
#define HIL_PANELS_H

#include "matmul.h"

/* In flash all weights are int8, whatever their shift. */
typedef struct {
    matmul_t product; /* of one panel's channels */
    matmul_t rest;    /* of the channels after the whole panels; 0 channels where none are left */
    int32_t whole;    /* panels */
} panels_t;

/* The product of panel `index`; NULL after the last. */
const matmul_t *panels_product(const panels_t *panels, int32_t index);

/* Widen a panel's stream; returns what stands behind it in flash. */
const int32_t *panels_unpack(const matmul_t *product, const int32_t *from, int32_t *to);

#endif
