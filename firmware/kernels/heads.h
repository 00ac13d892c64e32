/* Convolutions of one map, of one kernel size, as a single product over a ring of its rows; the
 * map's L2 normalisation and a detector's max-outs in passing. */
#ifndef HIL_HEADS_H
#define HIL_HEADS_H

#include "kernel_limits.h"
#include "l2norm.h"
#include "matmul.h"

/* One convolution's share of the product's channels; the first `groups` of them are reduced to
 * their maximum. */
typedef struct {
    int32_t first, channels, groups; /* groups 1: nothing is reduced */
} heads_part_t;

/*
 * y[part] = maxout(conv[part](x or its L2 norm)), zeros around the map. Rows stand widened in a
 * ring of as many slots as the kernel has rows, each with the pixels of zeros that lie left and
 * right of the map; as the ring turns, one of as many copies of the weights, its kernel rows turned
 * alike, meets it. Where the channels are a multiple of four, the values stand as `widen` leaves
 * them.
 */
typedef struct {
    const l2norm_t *norm;   /* NULL: the map as it is */
    matmul_t product;       /* a segment for each kernel row; its pixels are a stride apart */
    const int32_t *weights; /* in flash */
    int32_t rows, columns, channels;
    int32_t out_columns;
    int32_t stride, top, left;
    int32_t x_zero; /* of the convolutions' input */
    int32_t parts;
    heads_part_t part[HEADS_MOST_PARTS];

    /* Working memory. */
    int32_t *turned; /* the weights, [product.segments] copies */
    int16_t *ring;   /* [product.segments][product.segment_bytes] */
    int8_t *line;    /* a normalised row; then [out columns][product.channels] */
} heads_t;

/* `count` output rows from `first` on, to y[part]; `x` is the whole map. Calls go on from row to
 * row. Where there is one part, `y` may lie over `x` where no row of x is overwritten that is still
 * to be entered into the ring. */
void heads_rows(const heads_t *layer, const int8_t *x, int32_t first, int32_t count,
                int8_t *const *y);

#endif
