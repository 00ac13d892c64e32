/* A 1x1 convolution and the 3x3 depthwise one over it, for weights that do not fit the memory. */
#ifndef HIL_EXPAND_FILTER_H
#define HIL_EXPAND_FILTER_H

#include "panels.h"

/* One row of the depthwise convolution: depthwise_t's, but for y[s][c] being int8,
 * y_zero + clamp(..., 0, high), in as many columns as there are. */
typedef struct {
    int32_t channels;
    int32_t columns; /* of the output */
    int32_t stride;
    int32_t slot_bytes;
    int32_t y_pixel_bytes; /* channels are int8 side by side */
    int32_t y_zero, high;
    /* The same as written out for this shape; NULL where there is only the C. */
    void (*code)(const int16_t *ring, const int32_t *weights, const int32_t *bias_multiplier,
                 int8_t *y);
} expand_filter_row_t;

/*
 * y = depthwise(expand(x)), by panels of the expanded channels: each panel over the whole map, so
 * that each weight is widened once. Only a panel's channels of three expanded rows are in memory,
 * [channel][slot][column], as in streamed_block_t. `y` may not lie over `x`.
 *
 * `filter_weights` holds for each channel three words, each a row's weights w0, w1, w1, w2 as
 * bytes, its bias and its multiplier.
 */
typedef struct {
    panels_t expand;
    expand_filter_row_t filter, filter_rest; /* of one panel's channels, and of what is left over */
    int32_t filter_shift;
    int32_t rows, columns, channels; /* of x */
    int32_t out_rows, out_row_bytes; /* of y */
    int32_t top, left;               /* zeros above and left of the filtered map: 0 or 1 */
    const int32_t *expand_weights, *filter_weights; /* in flash */
    bool held; /* all pixels of x are widened at once, rather than three for each panel anew */

    /* Working memory. */
    int32_t *copy;    /* a panel's expanding weights */
    int32_t *filters; /* its filtering weights, ten words a channel; behind them the biases */
    int16_t *pixels;  /* all of x, or three, widened */
    int16_t *ring;    /* [panel's channels][3][slot] */
} expand_filter_t;

void expand_filter(const expand_filter_t *layer, const int8_t *x, int8_t *y);

#endif
