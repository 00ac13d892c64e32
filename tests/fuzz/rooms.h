/* What descriptors are made of: numbers out of a fuzzer's input, and memory as long as they say. */
#ifndef FUZZ_ROOMS_H
#define FUZZ_ROOMS_H

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "kernels/add.h"
#include "kernels/coded.h"
#include "kernels/concat.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_int16.h"
#include "kernels/depthwise.h"
#include "kernels/dsp.h"
#include "kernels/expand_filter.h"
#include "kernels/expand_filter_coded.h"
#include "kernels/fastgrnn.h"
#include "kernels/gru.h"
#include "kernels/heads.h"
#include "kernels/heads_int16.h"
#include "kernels/inverted_residual.h"
#include "kernels/l2norm.h"
#include "kernels/lookup.h"
#include "kernels/matmul.h"
#include "kernels/maxout.h"
#include "kernels/one_pixel.h"
#include "kernels/panelled_block.h"
#include "kernels/panels.h"
#include "kernels/pointwise.h"
#include "kernels/pointwise_panels.h"
#include "kernels/pointwise_panels_coded.h"
#include "kernels/pool2d.h"
#include "kernels/renet.h"
#include "kernels/rnnpool.h"
#include "kernels/scale.h"
#include "kernels/softmax.h"
#include "kernels/stem.h"
#include "kernels/streamed_block.h"
#include "kernels/windowed.h"
#include "kernels/winograd.h"

enum { MOST_BYTES = 1 << 18, MOST_ROOMS = 64 };

static jmp_buf out;
static const uint8_t *said;
static size_t left;
static void *rooms[MOST_ROOMS];
static uint32_t room_count, noise;

_Noreturn void contract_broken(const char *file, uint32_t line, const char *condition) {
    (void)file, (void)line, (void)condition;
    longjmp(out, 1);
}

static int32_t byte(void) {
    return left > 0 ? (left--, *said++) : 0;
}

static bool flip(void) {
    return byte() & 1;
}

static const int32_t edges[] = {
    INT32_MIN, -65536, -32768, -129, -128, -1,  0,   1,     2,     3,     4,       5,         8,
    31,        32,     64,     127,  128,  255, 256, 32767, 32768, 65535, 1 << 20, INT32_MAX,
};

/* Most often what is right, now and then something near it, or at an edge. */
static int32_t about(int64_t right) {
    const int32_t b = byte();
    if (b < 200) {
        return (int32_t)right;
    }
    if (b < 216) {
        return (int32_t)(right + b - 208);
    }
    return edges[(uint32_t)(b - 216) % (sizeof edges / sizeof edges[0])];
}

static int32_t small(int32_t low, int32_t high) {
    return low + byte() % (high - low + 1);
}

/* From low to high, now and then at an edge. */
static int32_t pick(int32_t low, int32_t high) {
    const int32_t b = byte();
    return b < 240 ? low + b % (high - low + 1) : about(low);
}

/* A multiple, of a number from low to high. */
static int32_t scaled(int32_t factor, int32_t low, int32_t high) {
    return factor * small(low, high);
}

static int32_t any(void) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 8 | (uint32_t)byte();
    }
    return (int32_t)value;
}

/* Memory of exactly so many bytes, aligned as the kernels ask; too much of it ends the run. */
static void *memory(int64_t bytes) {
    if (bytes > MOST_BYTES || room_count == MOST_ROOMS) {
        longjmp(out, 2);
    }
    return rooms[room_count++] = malloc(bytes > 0 ? (size_t)bytes : 0);
}

static int32_t drawn(void) {
    noise = noise * 1664525U + 1013904223U;
    return (int32_t)noise;
}

/* Of bytes, with many at both ends. */
static void *room(int64_t bytes) {
    int8_t *const made = memory(bytes);
    for (int64_t i = 0; i < bytes; i++) {
        const int32_t value = drawn() >> 8;
        made[i] = (int8_t)(value & 1 ? value >> 8 : (value & 2 ? INT8_MIN : INT8_MAX));
    }
    return made;
}

/* Of int16, as maps stand widened: a byte less its zero point. */
static void *halves(int64_t bytes) {
    int16_t *const made = memory(bytes);
    for (int64_t i = 0; 2 * i + 2 <= bytes; i++) {
        made[i] = (int16_t)(drawn() >> 23);
    }
    return made;
}

/* Of words: weights, biases and multipliers, none so large that two and a zero point overflow. */
static void *words(int64_t bytes) {
    int32_t *const made = memory(bytes);
    for (int64_t i = 0; 4 * i + 4 <= bytes; i++) {
        made[i] = drawn() >> (drawn() & 8 ? 4 : 20);
    }
    return made;
}

static int64_t whole(int64_t a) {
    return a > 0 ? a : 0;
}

/* So many, or none where a factor is negative; a product too large to count ends the run. */
static int64_t times(int64_t a, int64_t b) {
    if (a <= 0 || b <= 0) {
        return 0;
    }
    if (a > INT32_MAX || b > INT32_MAX || a * b > 8 * (int64_t)MOST_BYTES) {
        longjmp(out, 2);
    }
    return a * b;
}

static int32_t shifted(void) {
    return about(pick(0, 12));
}

/* A product of `depth` values, y of `y_bytes` in pixels one after another. */
static matmul_t product_of(int32_t depth, int32_t segments, int32_t channels, int32_t y_bytes) {
    matmul_t made = {
        .depth = about(depth),
        .segments = about(segments),
        .channels = about(channels),
        .y_bytes = about(y_bytes),
        .most_pixels = pick(1, MATMUL_MOST_PIXELS),
        .narrow = flip(),
        .shift = (int8_t)about(small(0, 7)),
        .low = about(y_bytes == 1 ? -128 : -32768),
        .high = about(y_bytes == 1 ? 127 : 32767),
    };
    made.segment_bytes = about(2 * (int64_t)depth);
    made.pixel_bytes = about(2 * (int64_t)depth * segments);
    made.y_channel_bytes = about(y_bytes);
    made.y_pixel_bytes = about((int64_t)y_bytes * channels);
    return made;
}

static void with_residual(matmul_t *product) {
    product->residual_zero = about(-3);
    product->residual_multiplier = about(20000);
    product->residual_shift = about(pick(1, 20));
}

/* Bytes of its stream in flash. */
static int64_t stream_bytes(const matmul_t *product, bool narrow) {
    const int64_t weights = times(product->segments, product->depth);
    return 4 * times(whole(product->channels) / 2, 5 + (narrow ? weights / 2 : weights));
}

static const int8_t *residual_or_none(bool there, int64_t bytes) {
    return there ? room(bytes) : NULL;
}

/* What one call of matmul() may touch: from the first byte to behind the last. */
static int64_t reach(int64_t count, int64_t pitch) {
    return count <= 1 ? 0 : times(count - 1, pitch);
}

static int64_t map(int64_t rows, int64_t columns, int64_t channels) {
    return times(times(rows, columns), channels);
}

static int64_t greater(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t even(int64_t count) {
    return count + (count & 1);
}

static panels_t panels_of(int32_t depth, int32_t channels, int32_t y_bytes) {
    panels_t made = {.product = product_of(depth, 1, channels, y_bytes), .whole = pick(1, 3)};
    made.product.narrow = flip() || flip() || flip();
    made.rest = made.product;
    made.rest.channels = about(scaled(2, 0, 2));
    return made;
}

static int64_t panels_bytes(const panels_t *panels) {
    return times(panels->whole, stream_bytes(&panels->product, true)) +
           stream_bytes(&panels->rest, true);
}

/* Words of a panel in codes that noise fills, or nearly: two weights take 13 to 16 bits. */
static int64_t coded_words(const matmul_t *product, int64_t spare) {
    enum { HEADER = 11, ENDS = 4 };
    const int64_t pairs = whole(product->channels) / 2;
    const int64_t codes = times(times(product->segments, product->depth), pairs) / 2 + spare;
    return HEADER + ENDS * pairs + codes;
}

/* Panels in codes, of which each symbol has as many bits or two have one each. */
static int32_t *coded_panels(const panels_t *panels) {
    enum { LENGTHS_AT = 3, LENGTH_WORDS = 8, MOST_PANELS = 8 };
    const int64_t spare = small(0, 4);
    const int64_t each = coded_words(&panels->product, spare);
    const int64_t last = panels->rest.channels > 0 ? coded_words(&panels->rest, spare) : 0;
    const int32_t count = panels->whole;
    if (count > MOST_PANELS) {
        longjmp(out, 2);
    }
    int32_t *const made = words(4 * (times(count, each) + last)), *to = made;
    for (int32_t i = 0; i < count + (last > 0); i++) {
        const bool is_even = flip();
        const int64_t length = i < count ? each : last;
        to[0] = (int32_t)length;
        to[1] = about(small(3, 5));
        to[2] = about(-3);
        for (int j = 0; j < LENGTH_WORDS; j++) {
            to[LENGTHS_AT + j] = about(is_even ? 0x66666666 : j == 0 ? 0x11 : 0);
        }
        to += length;
    }
    return made;
}

/* The widened weights of any panel, and the decoder's table behind them. */
static int32_t *decoded_panel(const panels_t *panels) {
    return words(
        greater(stream_bytes(&panels->product, false), stream_bytes(&panels->rest, false)) +
        4 * CODED_TABLE_WORDS);
}

static scale_t scale_of(int32_t channels, int32_t y_bytes, bool copies) {
    scale_t made = {.channels = about(channels),
                    .y_bytes = about(y_bytes),
                    .y_zero = about(4),
                    .low = about(y_bytes == 1 ? -128 : -32768),
                    .high = about(y_bytes == 1 ? 127 : 32767)};
    made.weights = words(40 * times(whole(made.channels) / 4, 1));
    made.copy = copies ? words(40 * times(whole(made.channels) / 4, 1)) : NULL;
    return made;
}

static l2norm_t l2norm_of(int32_t channels) {
    l2norm_t made = {.channels = about(channels), .x_zero = about(-3), .y_zero = about(5)};
    made.multiplier = words(4 * times(made.channels, 1));
    return made;
}

#endif
