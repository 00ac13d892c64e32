/* The convolutions of heads.h with int16 outputs. */
#ifndef HIL_HEADS_INT16_H
#define HIL_HEADS_INT16_H

#include "heads.h"

/* As heads_rows; the product's outputs are int16, and so are those in `line`. */
void heads_int16_rows(const heads_t *layer, const int8_t *x, int32_t first, int32_t count,
                      int16_t *const *y);

#endif
