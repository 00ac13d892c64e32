/* A 3x3 convolution of stride 2 from one channel to four, such as begins a network on monochrome
 * images. */
#ifndef HIL_STEM_H
#define HIL_STEM_H

#include <stdint.h>

enum { STEM_CHANNELS = 4, STEM_WEIGHT_WORDS = 28 };

/*
 * The arithmetic of conv2d_t, with one row and column of zeros around the map. Rows of x stand
 * widened as words of two pixels, (4k, 4k - 1) and (4k + 1, 4k + 2) by turns; the row under the
 * kernel's middle in slot 1, those above and below in slots 0 and 2 or, under odd output rows, in 2
 * and 0.
 *
 * For each channel there are seven words: (w01, w00), (w11, w10), (w21, w20), (w02, w12), (w22, -),
 * bias, multiplier.
 */
typedef struct {
    int32_t rows, columns; /* of x; columns are a multiple of four */
    int32_t x_zero, y_zero, low, high;
    const int32_t *weights; /* [2][STEM_WEIGHT_WORDS]: as they are, and upside down */
    int32_t *slots;         /* working memory: [3][columns / 2 + 1] */
    /* One row as written out for this shape; NULL where there is only the C. */
    void (*code)(const int32_t *slots, const int32_t *weights, int8_t *y);
} stem_t;

/* `count` output rows from `first` on to `y`, [row][column][4]; `x` is the whole map. Calls go on
 * from row to row. */
void stem_rows(const stem_t *layer, const int8_t *x, int32_t first, int32_t count, int8_t *y);

#endif
