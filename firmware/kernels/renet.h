/* Half a ReNet layer: a GRU along every column or row of a map's patches, in both directions. */
#ifndef HIL_RENET_H
#define HIL_RENET_H

#include "gru.h"
#include "matmul.h"

/*
 * All columns (rows) are swept side by side: step by step, the patches under a step are gathered as
 * int16, three at a time, multiplied with W, and every sequence's state goes on. The output's
 * channels are the states of the forward direction and then those of the backward one, each
 * clamp((h + 128) >> 8, -128, 127).
 *
 * The backward direction comes first. Its states may wait in `backward`, so that the output is
 * written in the order of the steps, when the patches under the step have been read for good; it
 * may lie over them.
 */
typedef struct {
    const int32_t *weights;   /* of the product, in flash */
    const int32_t *recurrent; /* of the cell, in flash */
} renet_direction_t;

typedef struct {
    matmul_t product; /* p of a patch */
    gru_t gru;
    renet_direction_t forward, backward;
    const int16_t *sigmoid; /* in flash */
    int32_t sequences, steps;
    int32_t patch_rows, run_bytes; /* of a patch: rows, and bytes of each */
    int32_t row_bytes;             /* of x, from one row to the next */
    int32_t x_sequence_bytes, x_step_bytes;
    int32_t y_sequence_bytes, y_step_bytes;
    bool widened; /* patches are gathered by words, in the order of `widen` */

    /* Working memory. Weights and table: NULL to read them in flash. */
    int32_t *weights, *recurrent; /* copies of one direction's */
    int16_t *table;
    int16_t *window;   /* three patches */
    int16_t *products; /* of an even number of sequences, like both sets of states */
    int16_t *states;   /* [2][sequences][units] */
    int8_t *waiting;   /* [steps][sequences][units]; NULL: they go to the output at once */
} renet_t;

/* `x` and `y` are whole maps. */
void renet(const renet_t *layer, const int8_t *x, int8_t *y);

#endif
