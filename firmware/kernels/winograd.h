/* 3x3 convolutions of one map, of stride 1 and few output channels, through Winograd's transform:
 * 16 multiplications for four outputs in place of 36. */
#ifndef HIL_WINOGRAD_H
#define HIL_WINOGRAD_H

#include "heads.h"

/*
 * F(2x2, 3x3). Of two output rows, a tile is 2x2 outputs and the 4x4 inputs d under them:
 *
 *   v = B d B' ; m[i][j] = sum over inputs c of u[i][j][c] * v[i][j][c] ; sum = A m A' >> excess
 *   y = clamp(zero + smmulr(bias + sum, multiplier))
 *   B = [1 0 -1 0 ; 0 1 1 0 ; 0 -1 1 0 ; 0 1 0 -1]   A = [1 1 1 0 ; 0 1 -1 -1]
 *
 * `weights` are words: for each of 16 (i, j), for every two output channels, for every two inputs a
 * word of the one's u and a word of the other's; then for each output channel bias, multiplier and
 * zero point. u is 2**excess times what the sum needs, so that it is whole: the shift is exact.
 * v fits int16, and sums are modulo 2**32 until they are whole again.
 */
typedef struct {
    /* The map, its norm, its padding and the parts. Of its product: four segments, the ring's
     * slots; channels, all parts' and even; low and high. It has no turned weights. */
    heads_t heads;
    const int32_t *weights; /* in flash */
    int32_t out_rows;
    int32_t fours, threes; /* groups of tiles in two rows, with those beside the map */
    int32_t tile_bytes;    /* in v, from a tile to the next */
    int32_t line_bytes;    /* in v, from i to i + 1 */
    int32_t excess;
    /* As written out for this shape, on the Cortex-M4; elsewhere there is only the C. The products
     * of the fours and of the threes, NULL where there are none of them. */
    void (*enter)(const int16_t *const *rows, int16_t *v);
    void (*multiply[2])(const int16_t *v, const int32_t *u, int32_t *m);
    void (*leave)(const int32_t *m, const int32_t *ends, int8_t *line);

    /* Working memory. */
    int32_t *copy; /* of the weights */
    int16_t *v;    /* [i][tile][j][channels], or [tile][i][j][channels] */
    int32_t *m;    /* [tile][output channel][i][j] */
    int8_t *line;  /* [2 rows][2 * tiles][output channels] */
} winograd_t;

/* All rows of the parts' outputs, to y[part]; `x` is the whole map. */
void winograd(const winograd_t *layer, const int8_t *x, int8_t *const *y);

#endif
