/* A matrix product with requantisation, up to four pixels at a time: pointwise and dense
 * convolutions over int16. */
#ifndef HIL_MATMUL_H
#define HIL_MATMUL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_limits.h"

/*
 * sum = bias[c] + sum over segments s and inputs k of weight[c][s][k] * x[pixel][s][k]
 * y   = clamp(zero + smmulr(sum, multiplier[c]) + term, low, high)
 * term = ((q - residual_zero) * residual_multiplier + 2**(residual_shift - 1)) >> residual_shift,
 * where there is a residual
 *
 * `weights` is a stream of words in the order in which they are read: for every two channels their
 * biases, then for every two inputs a word of the one's weights and a word of the other's, then
 * their multipliers. Zero points and shifts are folded in.
 */
typedef struct {
    int32_t depth, segments; /* inputs in one segment, even; segments */
    int32_t segment_bytes, pixel_bytes;
    int32_t channels; /* even */
    int32_t y_bytes;  /* 1: int8, 2: int16 */
    int32_t y_channel_bytes, y_pixel_bytes;
    int32_t low, high;
    int32_t most_pixels; /* that the code takes at a time */
    bool narrow;         /* the stream in flash has int8 weights, which matmul_unpack widens */
    int8_t shift;        /* of narrow weights, after they are widened */
    int32_t residual_zero, residual_multiplier, residual_shift; /* shift 0: there is none */
    /* The same for one to four pixels as written out for this shape; NULL where there is only the
     * C: on the host, for more than most_pixels, and for numbers that it is not called with.
     * MATMUL_MOST_PIXELS are taken `groups` times, fewer once. */
    void (*code[MATMUL_MOST_PIXELS])(const int16_t *x, const int32_t *weights, void *y,
                                     const int8_t *residual, int32_t groups);
} matmul_t;

/* Whether pixels of x follow each other, and int8 pixels of y. */
#define MATMUL_IS_PLAIN(product)                                                                   \
    ((product)->segments == 1 && (product)->pixel_bytes == INT64_C(2) * (product)->depth &&        \
     (product)->y_bytes == 1 && (product)->y_channel_bytes == 1 &&                                 \
     (product)->y_pixel_bytes == (product)->channels)

/* Words of the stream as matmul() reads it. */
int32_t matmul_stream_words(const matmul_t *product);

/*
 * Copy the stream from flash to memory. A narrow one holds four weights in the place of two words'
 * four: bytes 0 and 2 are the first word's, 1 and 3 the second's. Returns what follows the copy.
 */
int32_t *matmul_unpack(const matmul_t *product, const int32_t *from, int32_t *to);

/* Two words of int16 weights out of a word of int8 ones. */
void matmul_widen(int32_t four, int32_t shift, int32_t *to);

/* Pixels to take next where so many are left: the most, but where that would leave few, half. So
 * five are three and two, and nine are three threes: the code for one pixel takes the most cycles
 * for a pixel, and that for three as few as that for four. */
static inline int32_t matmul_take(const matmul_t *product, int32_t left) {
    const int32_t most = product->most_pixels;
    if (left < 2 * most) {
        return left > most ? (left + 1) / 2 : left;
    }
    return most == MATMUL_MOST_PIXELS && left == 2 * most + 1 ? most - 1 : most;
}

/* `residual` has the layout of an int8 `y`. */
void matmul(const matmul_t *product, int32_t pixels, const int16_t *x, const int32_t *weights,
            void *y, const int8_t *residual);

/* The same of any number of pixels, one behind the other. */
void matmul_run(const matmul_t *product, int32_t pixels, const int16_t *x, const int32_t *weights,
                void *y, const int8_t *residual);

#endif
