/* The two convolutions of expand_filter.h, the first of them with weights in an entropy code. */
#ifndef HIL_EXPAND_FILTER_CODED_H
#define HIL_EXPAND_FILTER_CODED_H

#include "coded.h"
#include "expand_filter.h"

/* As expand_filter(); `expand_weights` are panels as coded.h describes them, and `copy` has room
 * for the decoder's table. */
void expand_filter_coded(const expand_filter_t *layer, const int8_t *x, int8_t *y);

#endif
