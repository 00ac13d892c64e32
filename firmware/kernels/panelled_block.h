/* An inverted residual, row by row, whose weights pass through the memory by panels, each row anew.
 */
#ifndef HIL_PANELLED_BLOCK_H
#define HIL_PANELLED_BLOCK_H

#include "streamed_block.h"

/*
 * The same as `streamed_block_rows`, of a block with an expansion. `expand` and `project` are the
 * products of one panel's channels, which divide all there are; in flash all weights are int8.
 * `weights` has room for a panel of either; `pixels` for a row of x. The filter's weights are read
 * in flash.
 */
void panelled_block_rows(const streamed_block_t *block, const int8_t *x, const int8_t *residual,
                         int32_t first, int32_t count, int8_t *y);

#endif
