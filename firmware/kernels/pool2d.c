#include "pool2d.h"

#include <stdbool.h>

#include "contract.h"
#include "dsp.h"

/* So many bytes of either sign add up within an int16. */
#define MOST_PIXELS 256

/* The pixels of one window that lie inside the map. */
typedef struct {
    const int8_t *first;
    int32_t rows, columns;
} window_t;

HIL_INLINE void require_sizes(const pool2d_t *layer, int32_t first, int32_t count) {
    (void)layer, (void)first, (void)count;
    REQUIRES(ARE_SIZES(layer->rows, layer->columns, layer->channels));
    REQUIRES(ARE_SIZES(layer->window_rows, layer->window_columns, layer->stride));
    REQUIRES(IS_BYTE(layer->x_zero) && IS_BYTE(layer->y_zero));
    REQUIRES(0 <= first && first <= 65536 && 0 <= count && count <= 65536);
}

static window_t window_at(const pool2d_t *layer, const int8_t *x, int32_t r, int32_t s) {
    REQUIRES(r >= 0 && (int64_t)r * layer->stride - layer->top < layer->rows);
    REQUIRES((int64_t)s * layer->stride - layer->left < layer->columns);
    REQUIRES(0 <= layer->top && layer->top < layer->window_rows);
    REQUIRES(0 <= layer->left && layer->left < layer->window_columns);
    const int32_t row = r * layer->stride - layer->top;
    const int32_t column = s * layer->stride - layer->left;
    const int32_t first_row = row < 0 ? 0 : row;
    const int32_t first_column = column < 0 ? 0 : column;
    return (window_t){
        .first = x + (first_row * layer->columns + first_column) * layer->channels,
        .rows = dsp_clamp(row + layer->window_rows, 0, layer->rows) - first_row,
        .columns = dsp_clamp(column + layer->window_columns, 0, layer->columns) - first_column,
    };
}

static int8_t requantise(const pool2d_t *layer, int32_t acc) {
    return (int8_t)dsp_saturate8(
        dsp_smmlar(dsp_shift_left(acc, layer->shift), layer->multiplier, layer->y_zero));
}

static int32_t sum(const pool2d_t *layer, window_t window, int32_t c) {
    int32_t total = 0;
    for (int32_t i = 0; i < window.rows; i++) {
        const int8_t *x = window.first + i * layer->columns * layer->channels + c;
        for (int32_t j = 0; j < window.columns; j++, x += layer->channels) {
            total += *x;
        }
    }
    return total;
}

/* Four channels at once: their sums as halfwords, of channels 0 and 2, and of 1 and 3. */
static void average_four(const pool2d_t *layer, window_t window, int32_t c, int32_t zeros,
                         int8_t *y) {
    int32_t even = 0;
    int32_t odd = 0;
    for (int32_t i = 0; i < window.rows; i++) {
        const int8_t *x = window.first + i * layer->columns * layer->channels + c;
        for (int32_t j = 0; j < window.columns; j++, x += layer->channels) {
            const int32_t word = dsp_load_word(x);
            even = dsp_qadd16(even, dsp_sxtb16(word));
            odd = dsp_qadd16(odd, dsp_sxtb16_odd(word));
        }
    }
    y[0] = requantise(layer, (int16_t)(even & 0xFFFF) - zeros);
    y[1] = requantise(layer, (int16_t)(odd & 0xFFFF) - zeros);
    y[2] = requantise(layer, (even >> 16) - zeros);
    y[3] = requantise(layer, (odd >> 16) - zeros);
}

static int8_t most(const pool2d_t *layer, window_t window, int32_t c) {
    int8_t best = INT8_MIN;
    for (int32_t i = 0; i < window.rows; i++) {
        const int8_t *x = window.first + i * layer->columns * layer->channels + c;
        for (int32_t j = 0; j < window.columns; j++, x += layer->channels) {
            best = *x > best ? *x : best;
        }
    }
    return best;
}

static int32_t most_four(const pool2d_t *layer, window_t window, int32_t c) {
    int32_t best = dsp_load_word(window.first + c);
    for (int32_t i = 0; i < window.rows; i++) {
        const int8_t *x = window.first + i * layer->columns * layer->channels + c;
        for (int32_t j = 0; j < window.columns; j++, x += layer->channels) {
            best = dsp_max_bytes(best, dsp_load_word(x));
        }
    }
    return best;
}

static bool is_by_words(const pool2d_t *layer, const int8_t *x, const int8_t *y) {
    return layer->channels % 4 == 0 && (((uintptr_t)x | (uintptr_t)y) & 3U) == 0;
}

void pool2d_average(const pool2d_t *layer, const int8_t *x, int32_t first, int32_t count,
                    int8_t *y) {
    require_sizes(layer, first, count);
    REQUIRES(0 <= layer->shift && layer->shift < 32);
    const int32_t pixels = layer->window_rows * layer->window_columns;
    const bool by_fours = pixels <= MOST_PIXELS && is_by_words(layer, x, y);
    for (int32_t r = first; r < first + count; r++) {
        for (int32_t s = 0; s < layer->y_columns; s++, y += layer->channels) {
            const window_t window = window_at(layer, x, r, s);
            const int32_t zeros = window.rows * window.columns * layer->x_zero;
            for (int32_t c = 0; by_fours && c < layer->channels; c += 4) {
                average_four(layer, window, c, zeros, y + c);
            }
            for (int32_t c = 0; !by_fours && c < layer->channels; c++) {
                y[c] = requantise(layer, sum(layer, window, c) - zeros);
            }
        }
    }
}

void pool2d_max(const pool2d_t *layer, const int8_t *x, int32_t first, int32_t count, int8_t *y) {
    require_sizes(layer, first, count);
    const bool by_fours = is_by_words(layer, x, y);
    for (int32_t r = first; r < first + count; r++) {
        for (int32_t s = 0; s < layer->y_columns; s++, y += layer->channels) {
            const window_t window = window_at(layer, x, r, s);
            for (int32_t c = 0; by_fours && c < layer->channels; c += 4) {
                dsp_store_word(y + c, most_four(layer, window, c));
            }
            for (int32_t c = 0; !by_fours && c < layer->channels; c++) {
                y[c] = most(layer, window, c);
            }
        }
    }
}
