/* Several 3x3 convolutions of one map as a single product, the map's L2 normalisation and the
 * heads' max-out in passing. */
#ifndef HIL_HEADS_H
#define HIL_HEADS_H

#include "l2norm.h"
#include "matmul.h"

enum { HEADS_MOST_PARTS = 4 };

/* One convolution's share of the product's channels; the first `groups` of them are reduced to
 * their maximum. */
typedef struct {
    int32_t first, channels, groups; /* groups 1: nothing is reduced */
} heads_part_t;

/*
 * y[part] = maxout(conv[part](x or its L2 norm)), stride 1, one row and column of zeros around the
 * map. Rows stand widened in a ring of three slots, each with a pixel of zeros before and after; as
 * the ring turns, one of three copies of the weights, its kernel rows turned alike, meets it.
 */
typedef struct {
    const l2norm_t *norm; /* NULL: the map as it is */
    matmul_t product;
    const int32_t *weights; /* in flash */
    int32_t rows, columns, channels;
    int32_t x_zero; /* of the convolutions' input */
    int32_t parts;
    heads_part_t part[HEADS_MOST_PARTS];

    /* Working memory. */
    int32_t *turned; /* the weights in three copies */
    int16_t *ring;   /* [3][columns + 2][channels] */
    int8_t *line;    /* a normalised row; then [columns][product.channels] */
} heads_t;

/* `count` output rows from `first` on, to y[part]; `x` is the whole map. Calls go on from row to
 * row.
 */
void heads_rows(const heads_t *layer, const int8_t *x, int32_t first, int32_t count,
                int8_t *const *y);

#endif
